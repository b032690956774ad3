import math
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from shape_dnn import AccuracyModel, PluginError, Shape
from shape_dnn.builtin.accuracy_models import log_error
from shape_dnn.builtin.accuracy_models.equation2 import features
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.accuracy_models.paper import LeastSquares
from shape_dnn.builtin.accuracy_models.power_law import PowerLaw
from shape_dnn.builtin.accuracy_models.ridge import Ridge
from shape_dnn.records import Prediction, Training
from shape_dnn.search import fitting
from shape_dnn.search.design import d_optimal
from shape_dnn.search.guesses import guess

SPACE = [Shape(depth, Fraction(width, 4)) for width in range(4, 24) for depth in range(10, 60, 6)]


def accuracy(shape: Shape, rng: np.random.Generator | None = None, noise: float = 0.0) -> float:
    d, w = shape.depth, float(shape.width)
    return 97 - 6 / w - 30 / d + 2 / w**2 - 5 / (d * w) + (0.0 if rng is None else rng.normal(0, noise))


def some(number: int) -> list[Shape]:
    return [SPACE[i] for i in np.random.default_rng(number).permutation(len(SPACE))[:number]]


def test_the_features_are_those_of_equation_2() -> None:
    d, w = 10, 0.5
    expected = [1 / w, 1 / d, 1 / w**2, 1 / (d * w), 1 / d**2, 1 / w**3, 1 / (w**2 * d), 1 / (w * d**2), 1 / d**3]
    assert features([Shape(10, Fraction(1, 2))])[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "points"),
    [(Ridge(), 0.2), (LogLinear(), 0.2), (PowerLaw(), 0.2), (LogError(), 0.2)],
)
def test_eight_trainings_suffice_for_most_of_a_plausible_surface(model: AccuracyModel, points: float) -> None:
    trained = [SPACE[i] for i in (0, 8, 40, 85, 95, 130, 171, 179)]
    model.fit(trained, [accuracy(s) for s in trained])
    errors = [abs(p.mean - accuracy(s)) for p, s in zip(model.predict(SPACE), SPACE, strict=True)]
    assert np.mean(errors) < points


@pytest.mark.parametrize("model", [Ridge(), LogLinear(), PowerLaw(), LogError()])
def test_intervals_hold_about_as_many_new_trainings_as_they_say(model: AccuracyModel) -> None:
    inside = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        trained = [SPACE[i] for i in rng.permutation(len(SPACE))[:14]]
        model.fit(trained, [accuracy(s, rng, 0.3) for s in trained])
        for prediction, shape in zip(model.predict(SPACE[::6]), SPACE[::6], strict=True):
            assert prediction.std is not None
            inside.append(abs(prediction.mean - accuracy(shape, rng, 0.3)) < 1.645 * prediction.std)
    assert 0.8 < np.mean(inside) <= 0.99, "90 % intervals"


def test_a_power_law_is_found_by_the_model_of_that_name() -> None:
    def law(shape: Shape) -> float:
        return 100 - (4 + 30 * shape.depth**-0.9 + 3 * float(shape.width) ** -1.4)

    trained = SPACE[::11]
    model = PowerLaw()
    model.fit(trained, [law(s) for s in trained])
    errors = [abs(p.mean - law(s)) for p, s in zip(model.predict(SPACE), SPACE, strict=True)]
    assert max(errors) < 0.1


def test_the_model_of_the_error_does_not_believe_an_accident() -> None:
    trained = SPACE[::20]
    honest = [accuracy(s) for s in trained]
    misled = [*honest[:4], honest[4] - 15, *honest[5:]]
    errors = []
    for accuracies in (honest, misled):
        model = LogError()
        model.fit(trained, accuracies)
        errors.append(np.mean([abs(p.mean - accuracy(s)) for p, s in zip(model.predict(SPACE), SPACE, strict=True)]))
    assert errors[1] < errors[0] + 0.3, "of 15 points"


def test_with_many_trainings_the_model_of_the_error_predicts_as_by_its_whole_grid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With accidents among them, which a part of the trainings may not show."""
    generator = np.random.default_rng(0)
    space = [Shape(depth, Fraction(width, 8)) for depth in range(10, 106, 6) for width in range(1, 33)]
    trained = [space[i] for i in generator.permutation(len(space))[:120]]
    values = [accuracy(shape) + generator.normal(0, 0.2) - 8 * (i % 40 == 0) for i, shape in enumerate(trained)]
    model, whole = LogError(), LogError()
    whole.fit(trained, values)
    monkeypatch.setattr(log_error, "MANY", 60)
    model.fit(trained, values)
    for found, expected in zip(model.predict(space), whole.predict(space), strict=True):
        assert found.mean == pytest.approx(expected.mean, abs=0.02)
        assert found.std == pytest.approx(expected.std, rel=0.1)


def test_the_model_of_the_error_knows_that_thin_networks_vary_more() -> None:
    rng = np.random.default_rng(0)
    noise = {s: 0.05 * (100 - accuracy(s)) for s in SPACE}
    trained = SPACE[::6]
    model = LogError()
    model.fit(trained, [accuracy(s) + rng.normal(0, noise[s]) for s in trained])
    thin, wide = min(SPACE, key=accuracy), max(SPACE, key=accuracy)
    predictions = model.predict([thin, wide])
    ratio = (predictions[0].std or 0) / (predictions[1].std or 1)
    assert 0.5 < ratio / (noise[thin] / noise[wide]) < 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_model_of_the_error_draws_what_it_predicts(number: int) -> None:
    trained = SPACE[:: len(SPACE) // number][:number]
    model = LogError()
    model.fit(trained, [accuracy(s) for s in trained])
    draws = model.draw(SPACE, 2000, seed=0)
    assert draws.shape == (2000, len(SPACE))
    assert draws.max() <= 100
    means = np.array([p.mean for p in model.predict(SPACE)])
    near = [SPACE.index(s) for s in trained]
    assert np.abs(np.median(draws, 0) - means)[near].max() < 1.5


@pytest.mark.parametrize("model", [LeastSquares(), Ridge()])
def test_enough_noiseless_trainings_determine_the_others(model: AccuracyModel) -> None:
    trained = SPACE[::4]
    model.fit(trained, [accuracy(s) for s in trained])
    errors = [abs(p.mean - accuracy(s)) for p, s in zip(model.predict(SPACE), SPACE, strict=True)]
    assert max(errors) < 0.05


def test_least_squares_equals_an_independent_solution() -> None:
    rng = np.random.default_rng(0)
    trained, target = SPACE[::7], [accuracy(s, rng, 0.2) for s in SPACE[::7]]
    model = LeastSquares()
    model.fit(trained, target)
    design = np.column_stack([np.ones(len(trained)), features(trained)])
    coefficients, *_ = np.linalg.lstsq(design, np.array(target), rcond=None)
    expected = np.column_stack([np.ones(len(SPACE)), features(SPACE)]) @ coefficients
    assert [p.mean for p in model.predict(SPACE)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("number", "seeds"), [(1, 1), (2, 1), (5, 1), (9, 1), (10, 1), (6, 2), (4, 5)])
def test_paper_warns_of_too_few_shapes_and_claims_no_precision(number: int, seeds: int) -> None:
    """However often each of them was trained."""
    trained = some(number) * seeds
    model = LeastSquares()
    with pytest.warns(UserWarning, match=f"10 coefficients and {number} trained shapes"):
        model.fit(trained, [accuracy(s) for s in trained])
    assert all(np.isfinite(p.mean) and p.std is None for p in model.predict(SPACE))


def test_paper_does_not_warn_of_enough() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LeastSquares().fit(SPACE[::7], [accuracy(s) for s in SPACE[::7]])


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 10])
def test_ridge_stays_near_the_truth_with_fewer_trainings_than_coefficients(number: int) -> None:
    trained = some(number)
    model = Ridge()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(trained, [accuracy(s) for s in trained])
        predictions = model.predict(SPACE)
    low, high = min(map(accuracy, SPACE)), max(map(accuracy, SPACE))
    assert all(low - 10 < p.mean < high + 10 for p in predictions)
    assert all((p.std is None) == (number == 1) for p in predictions)


@pytest.mark.parametrize("model", [LeastSquares, Ridge])
def test_ninety_percent_intervals_hold_nine_times_of_ten(model: type[AccuracyModel]) -> None:
    rng = np.random.default_rng(7)
    inside = []
    for _ in range(60):
        order = rng.permutation(len(SPACE))
        trained, rest = [SPACE[i] for i in order[:20]], [SPACE[i] for i in order[20:60]]
        fitted = model()
        fitted.fit(trained, [accuracy(s, rng, 0.2) for s in trained])
        for prediction, shape in zip(fitted.predict(rest), rest, strict=True):
            assert prediction.std is not None
            inside.append(abs(prediction.mean - accuracy(shape, rng, 0.2)) <= 1.645 * prediction.std)
    assert 0.8 < np.mean(inside) < 0.97


@pytest.mark.parametrize("model", [LeastSquares(), Ridge()])
def test_equal_accuracies_are_predicted_as_such(model: AccuracyModel) -> None:
    model.fit(SPACE[::7], [98.0] * len(SPACE[::7]))
    assert all(p.mean == pytest.approx(98.0) for p in model.predict(SPACE))


def test_shapes_of_one_width_are_enough_for_a_fit() -> None:
    trained = [s for s in SPACE if s.width == 2]
    model = Ridge()
    model.fit(trained, [accuracy(s) for s in trained])
    assert all(abs(p.mean - accuracy(s)) < 1 for p, s in zip(model.predict(trained), trained, strict=True))


@pytest.mark.parametrize("number", [3, 6, 7, 10, 12])
@pytest.mark.parametrize("model", [LeastSquares(), Ridge(), LogLinear(), LogError()])
def test_trainings_of_one_depth_say_no_nonsense_of_others(model: AccuracyModel, number: int) -> None:
    """The logarithms of equal depths differ by nothing, but their standard deviation may come to 1e-16."""
    for depth in (10, 22, 28):
        trained = [Shape(depth, Fraction(width, 8)) for width in range(8, number + 8)]
        others = [Shape(depth + more, shape.width) for shape in trained for more in (6, 20)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model.fit(trained, [90 + 8 * float(shape.width) ** 0.5 for shape in trained])
        assert all(50 < p.mean < 110 and (p.std is None or p.std < 50) for p in model.predict(others))


def test_a_space_of_one_depth_is_designed_and_guessed_as_of_any_other() -> None:
    rows = [[Shape(depth, Fraction(width, 8)) for width in range(1, 12)] for depth in (1, 10, 22, 28)]
    designs = [[row.index(shape) for shape in d_optimal(row, 5)] for row in rows]
    guesses = [guess({shape: float(shape.width) for shape in row[::3]}, row) for row in rows]
    assert all(design == designs[0] for design in designs)
    assert all(np.allclose(means, guesses[0][0]) and np.allclose(stds, guesses[0][1]) for means, stds in guesses)


class Threads(AccuracyModel):
    """Knows in how many threads it was asked to compute with matrices."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def _look(self) -> None:
        self.seen += [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        self._look()

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        self._look()
        return [Prediction(50.0, 1.0) for _ in shapes]


def test_models_compute_in_one_thread_and_leave_the_others_to_the_rest_of_the_process() -> None:
    model = Threads()
    with threadpool_limits(3, user_api="blas"):
        fitting.draw(model, [Training(SPACE[0], 90.0)], SPACE, 4)
        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert pools == [3] * len(pools)
    assert model.seen == [1] * 2 * len(pools), "once to be fitted, once to predict"


@pytest.mark.parametrize(
    ("std", "noise", "spread"), [(5.0, 0.0, 5.0), (5.0, 3.0, 4.0), (3.0, 3.0, 0.0), (2.0, 3.0, 0.0)]
)
def test_draws_of_a_model_without_any_are_of_what_is_expected_and_hold_no_noise(
    std: float, noise: float, spread: float
) -> None:
    """A prediction is of a training, whose noise is part of its deviation, and a draw of what is expected."""

    class Plain(AccuracyModel):
        noise = 0.0

        def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None: ...

        def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
            return [Prediction(90.0, std)] * len(shapes)

    model = Plain()
    model.noise = noise
    draws = fitting.draw(model, [Training(SPACE[0], 90.0)], SPACE, 400)
    assert draws.std() == pytest.approx(spread, rel=0.02, abs=1e-6)


@pytest.mark.parametrize(
    ("about", "ask", "wrong", "right"),
    [
        ("noise", fitting.noise, (-0.1, math.inf, math.nan), (0.0, 2.0)),
        ("initial", fitting.initial, (0, -1, 2.5, "3"), (1, 7)),
        ("prior_weight", fitting.prior_weight, (-0.1, 1.1, math.nan), (0.0, 0.5, 1.0, None)),
    ],
)
def test_what_a_model_says_of_itself_is_checked(
    about: str, ask: Callable[[AccuracyModel], object], wrong: Sequence[object], right: Sequence[object]
) -> None:
    def saying(value: object) -> AccuracyModel:
        model: AccuracyModel = type("Saying", (LogLinear,), {about: property(lambda _: value)})()
        return model

    for value in right:
        assert ask(saying(value)) == value
    for value in wrong:
        with pytest.raises(PluginError, match=str(value)):
            ask(saying(value))
