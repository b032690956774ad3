"""Every setting of a search, in one place: the flags of the command, the keys of a YAML file and of ``tune()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shape_dnn.errors import UsageError


def _text(value: object) -> object:
    """Accept numbers, fractions and ranges where their text is meant."""
    plain = not isinstance(value, bool | str | list | tuple | dict) and value is not None
    text = str(value) if plain else value
    if isinstance(text, str) and ("\0" in text or not text.strip()):
        raise ValueError("it should be text, and is empty or has a NUL character")
    return text


def _texts(value: object) -> object:
    """Accept a mapping for ``NAME=VALUE`` pairs, and a single text for a list of one."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={item}" for name, item in value.items())
    if isinstance(value, str):
        return (_text(value),)
    return tuple(map(_text, value)) if isinstance(value, list | tuple) else value


def _names(value: object) -> object:
    """Accept names separated by commas, and lists of such texts."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return tuple(name.strip() for text in texts for name in text.split(","))


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Settings(BaseModel):
    """The settings of a search. Text is read when it is used, in the notation of the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arch: Text = Field("wrn", description="Architecture.")
    dataset: Text = Field("digits", description="Dataset.")
    data_dir: Text | None = Field(None, description="Directory with the files of the dataset.")
    depth: Text | None = Field(None, description="Range of depths, MIN:MAX:STEP with MAX excluded.")
    width: Text | None = Field(None, description="Range of widths, MIN:MAX:STEP with MAX excluded; 1/16 is exact.")
    max_size: Text | None = Field(
        None, description="Largest size, for example 2MB (parameters and batch-norm buffers)."
    )
    max_latency: Text | None = Field(None, description="Longest forward pass of a batch, for example 4ms.")
    max_energy: Text | None = Field(None, description="Most energy of a batch, for example 3J.")
    min_accuracy: Text | None = Field(None, description="Lowest accuracy, for example 95%.")
    max: Texts = Field((), description="METRIC=VALUE, an upper limit on any metric; repeatable.")
    min: Texts = Field((), description="METRIC=VALUE, a lower limit on any metric; repeatable.")
    goal: Text | None = Field(
        None,
        description="What makes the best shape: a metric, an expression such as 'latency + 0.2*energy', or several in "
        "order, accuracy:0.5,size; without it all that comply are returned.",
    )
    pareto: Names = Field((), description="METRIC,METRIC, return the shapes that no other beats in all of them.")
    strategy: Text = Field("standard", description="How many shapes to train, by the size of the space.")
    train: Text | None = Field(None, description="Number or percentage of shapes to train instead, 12 or 20%.")
    sampler: Text = Field("active", description="Which shapes to train.")
    model: Text = Field("log-linear", description="Accuracy model that predicts the others.")
    confidence: Text | None = Field(
        None,
        description="Train until the answer stands with this probability, and list what complies with it; "
        "by default 0.95 with the sampler active, and expected accuracies alone with others.",
    )
    batch_size: int = Field(1, ge=1, lt=2**31, description="Images in a measured forward pass.")
    device: Text = Field("auto", description="Where to train and measure: cpu, cuda, cuda:1, or auto.")
    recipe: Literal["short", "paper"] = Field("short", description="Training recipe: quick, or that of the paper.")
    epochs: int | None = Field(None, ge=1, description="Epochs of a training instead of the recipe's.")
    lr: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Highest learning rate instead of the recipe's."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of everything random.")
    seeds: int = Field(1, ge=1, le=1000, description="Trainings of each shape, with seeds from --seed on.")
    protocol: Literal["validation", "paper"] = Field(
        "validation", description="Judge epochs on held-out training images, or on the test set as in the paper."
    )
    transfer: Text | None = Field(
        None,
        description="Verify by trainings that start from the weights of a smaller shape and take this part of the "
        "epochs, 1/4; by default from scratch.",
    )
    executor: Text = Field("local", description="Where trainings run.")
    workers: int | None = Field(
        None, ge=1, description="Trainings at once; by default one per core, as far as memory allows."
    )
    terminator: Text = Field("none", description="Which trainings are stopped early.")
    observer: Texts = Field((), description="Who else is told what happens; repeatable.")
    meter: Texts = Field((), description="METRIC=NAME, another meter for a metric; repeatable.")
    fit_depths: int | None = Field(
        None,
        ge=3,
        description="Measure only this many depths of each width where a line in depth predicts the others within 3 %.",
    )
    option: Texts = Field((), description="KIND.OPTION=VALUE, an option of a plugin or the recipe; repeatable.")
    plugin: Texts = Field((), description="Python file that declares plugins; repeatable.")
    study: Text = Field("shape-dnn-study", description="Directory that remembers everything measured and trained.")
    report: Text | None = Field(
        None, description="HTML file that shows the outcome; by default report.html in the study, for a replay none."
    )
    retry_failed: bool = Field(default=False, description="Train shapes again whose training failed before.")
    checkpoint_minutes: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Least time between two checkpoints of a training; 0 for every epoch.",
    )
    hang_minutes: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="Time without a sign of life after which a training is ended and tried once more.",
    )
    remeasure: bool = Field(
        default=False, description="Measure again what was disturbed, imprecise or came to no value before."
    )
    replay: Text | None = Field(None, description="CSV table whose accuracies are looked up instead of trained.")

    @classmethod
    def create(cls, values: Mapping[str, Any]) -> Settings:
        """Check values and make settings of them.

        Raises:
            UsageError: names the first setting that is unknown or has an impossible value.
        """
        unknown = sorted(set(values) - set(cls.model_fields))
        if unknown:
            raise UsageError(unknown_setting(unknown[0]), setting=unknown[0])
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            setting = str(first["loc"][0])
            message = first["msg"].replace("Input should", "it should", 1).removeprefix("Value error, ")
            raise UsageError(f"{first['input']!r} is not accepted: {message}", setting=setting) from None


def unknown_setting(name: str) -> str:
    """Say that there is no such setting, and which one may be meant."""
    import difflib

    known = sorted(Settings.model_fields)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"there is no setting {name!r}; {hint}"
