"""Plugins of strangers: found, listed, kept from doing harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import PluginError, UsageError, tune
from shape_dnn.api.new_plugin import example
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.table_of_kinds import IN_REPOSITORY, KINDS
from shape_dnn.settings import Settings

GOOD = """
from shape_dnn import Option, Plugin, Sampler, hookimpl

class Middle(Sampler):
    def __init__(self, offset=0):
        self.offset = offset
    def choose(self, shapes, observed, budget):
        return [] if observed else shapes[self.offset:][:budget]

@hookimpl
def shape_dnn_samplers():
    yield Plugin("middle", "from the middle", Middle, {"offset": Option(0, "where to start")})
"""
BROKEN = {
    "raises at import": "raise RuntimeError('no luck')",
    "leaves at import": "import sys; sys.exit(3)",
    "needs a missing library": "import a_library_that_is_not_there",
    "raises while yielding": GOOD.replace(
        '    yield Plugin("middle"', '    raise KeyError("gone")\n    yield Plugin("middle"'
    ),
    "yields nonsense": GOOD.replace("yield Plugin(", "yield ('middle',"),
    "misspells a hook": GOOD.replace("def shape_dnn_samplers", "def shape_dnn_sampler"),
    "takes an argument no hook has": GOOD.replace("shape_dnn_samplers()", "shape_dnn_samplers(shapes)"),
    "wraps": GOOD.replace("@hookimpl", "@hookimpl(wrapper=True)"),
    "shouts its name": GOOD.replace('Plugin("middle"', 'Plugin("Middle!"'),
}
REASONS = {
    "raises at import": "RuntimeError: no luck",
    "leaves at import": "SystemExit: 3",
    "needs a missing library": "No module named 'a_library_that_is_not_there'",
    "raises while yielding": "gone",
    "yields nonsense": "is not a shape_dnn.Plugin",
    "misspells a hook": "did you mean shape_dnn_samplers?",
    "takes an argument no hook has": "shapes",
    "wraps": "wrappers are not accepted",
    "shouts its name": "lower-case",
}
Install = Callable[..., Path]


def states(registry: Registry, distribution: str) -> dict[str, str]:
    return {e.name: e.state for e in registry.entries() if e.source.distribution == distribution}


def test_a_stranger_s_plugin_is_found_and_used(install: Install) -> None:
    install("acme-shapes", "1.2", {"acme": "acme_shapes"}, {"acme_shapes": GOOD})
    registry = Registry()
    loaded = registry.load("sampler", "middle", {"offset": "3"})
    assert loaded.instance.offset == 3
    assert loaded.provenance == {"kind": "sampler", "name": "middle", "distribution": "acme-shapes", "version": "1.2"}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_harms_nothing_and_says_why(how: str, install: Install) -> None:
    install("acme-broken", "0.3", {"broken": "acme_broken"}, {"acme_broken": BROKEN[how]})
    install("acme-shapes", "1.2", {"acme": "acme_shapes"}, {"acme_shapes": GOOD})
    registry = Registry()
    assert registry.load("sampler", "interval").source.distribution == "shape-dnn"
    assert states(registry, "acme-shapes") == {"middle": "ok"}
    (entry,) = [e for e in registry.entries() if e.source.distribution == "acme-broken"]
    assert (entry.state, entry.source.version) == ("failed", "0.3")
    assert REASONS[how] in entry.reason
    with pytest.raises(PluginError, match=r"acme-broken 0\.3, which failed to load") as refused:
        registry.load("sampler", "something-else")
    assert REASONS[how] in str(refused.value)


UNSTARTABLE = """
from shape_dnn import Option, Plugin, hookimpl

@hookimpl
def shape_dnn_samplers():
    yield Plugin("unstartable", "needs what is missing", "a_library_that_is_not_there:Sampler")

@hookimpl
def shape_dnn_observers():
    options = {"address": Option(help="where to tell")}
    yield Plugin("unstartable", "needs what is missing", "a_library_that_is_not_there:Observer", options)
"""


def test_a_plugin_that_does_not_start_harms_nobody_who_has_not_named_it(
    install: Install, table: Path, shape_dnn: Callable[..., Any]
) -> None:
    install("acme-sleepy", "0.3", {"sleepy": "acme_sleepy"}, {"acme_sleepy": UNSTARTABLE})
    ran = shape_dnn("--replay", table, "--goal", "size", "--observer", "jsonl", "-o", "observer.path=events.jsonl")
    assert ran.status == 0, ran.err
    assert Path("events.jsonl").stat().st_size > 0
    simulated = shape_dnn("simulate", table, "--model", "ridge", "--seeds", "1", "--format", "csv")
    assert simulated.status == 0, simulated.err
    assert "left out: sampler 'unstartable' of acme-sleepy 0.3 failed to start" in simulated.err
    named = shape_dnn("--replay", table, "--goal", "size", "--observer", "unstartable", "-o", "observer.address=x")
    assert (named.status, "observer 'unstartable' of acme-sleepy 0.3 failed to start" in named.error) == (4, True)


def test_a_goal_that_names_a_metric_twice_is_refused() -> None:
    """It would never have all the values that it names, and so no score."""
    goal = example("shape_dnn_goals").replace('("size", "accuracy")', '("size", "size", "accuracy")')
    Path("twice.py").write_text(goal)
    parts = Assembly(Settings.create({"plugin": ["twice.py"], "goal": "error-times-size"}))
    with pytest.raises(
        PluginError, match=r"goal 'error-times-size' of twice\.py has metrics .*not a tuple of different"
    ):
        _ = parts.goal


def test_two_plugins_of_one_name_are_refused_naming_both(install: Install) -> None:
    install("acme-shapes", "1.2", {"same": "acme_shapes"}, {"acme_shapes": GOOD})
    install("zeta-shapes", "0.1", {"same": "zeta_shapes"}, {"zeta_shapes": GOOD})
    registry = Registry()
    assert states(registry, "acme-shapes") == states(registry, "zeta-shapes") == {"middle": "collision"}
    with pytest.raises(PluginError, match=r"acme-shapes 1\.2 and zeta-shapes 0\.1 both declare sampler 'middle'"):
        registry.load("sampler", "middle")


def test_a_stranger_cannot_take_a_built_in_name_unnoticed(install: Install) -> None:
    install("acme-shapes", "1.2", {"acme": "acme_shapes"}, {"acme_shapes": GOOD.replace('"middle"', '"interval"')})
    with pytest.raises(PluginError, match=r"acme-shapes 1\.2 and shape-dnn .* both declare sampler 'interval'"):
        Registry().load("sampler", "interval")
    assert Registry(environ={"SHAPE_DNN_PLUGINS": ""}).load("sampler", "interval")


def test_the_order_of_discovery_does_not_matter(install: Install) -> None:
    install("zeta-shapes", "0.1", {"zeta": "zeta_shapes"}, {"zeta_shapes": GOOD.replace('"middle"', '"alpha"')})
    install("acme-shapes", "1.2", {"acme": "acme_shapes"}, {"acme_shapes": GOOD.replace('"middle"', '"omega"')})
    names = Registry().names("sampler")
    assert names == sorted(names)
    assert {"alpha", "omega"} < set(names)


def test_what_the_allow_list_leaves_out_is_not_imported(install: Install) -> None:
    install(
        "acme-shapes",
        "1.2",
        {"acme": "acme_shapes"},
        {"acme_shapes": "__import__('pathlib').Path('imported').touch()\n" + GOOD},
    )
    for allowed in ("", "some-other"):
        with pytest.warns(UserWarning, match="some-other") if allowed else _nothing():
            registry = Registry(environ={"SHAPE_DNN_PLUGINS": allowed})
        assert states(registry, "acme-shapes") == {"acme": "blocked"}
        assert not Path("imported").exists()
    assert states(Registry(environ={"SHAPE_DNN_PLUGINS": "acme_shapes"}), "acme-shapes") == {"middle": "ok"}
    assert Path("imported").exists()


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(
        UsageError,
        match=r"'intervall' \(did you mean interval\?\); known are: active, cheap-d-optimal, d-optimal, interval",
    ):
        Registry().load("sampler", "intervall")


def test_a_package_of_the_repository_that_is_not_installed_names_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHAPE_DNN_PLUGINS", "")
    for (kind, name), folder in IN_REPOSITORY.items():
        with pytest.raises(PluginError, match=f"pip install ./{folder}"):
            Registry().load(kind, name)
        assert (Path(__file__).parents[1] / folder / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"stem": "17"}, r"arch.stem=17: accepted are scaled, 16"),
        ({"steam": "16"}, r"arch.steam is not an option of architecture 'wrn'; its options: arch.stem"),
    ],
)
def test_options_are_checked(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Registry().load("architecture", "wrn", options)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("whole", "x", "a whole number"),
        ("number", "x", "a number"),
        ("switch", "maybe", "true or false"),
        ("part", "1/0", "a fraction"),
    ],
)
def test_options_of_the_wrong_type_are_refused(option: str, value: str, expected: str) -> None:
    Path("typed.py").write_text(
        GOOD.replace("offset=0", "**options")
        .replace("self.offset = offset", "pass")
        .replace("from shape_dnn", "from fractions import Fraction\nfrom shape_dnn", 1)
        .replace(
            '{"offset": Option(0, "where to start")}',
            '{"whole": Option(1, ""), "number": Option(0.5, ""), "switch": Option(True, ""), "part": Option(Fraction(1, 2), "")}',
        )
    )
    registry = Registry([Path("typed.py")])
    assert registry.load("sampler", "middle", {"switch": "no", "part": "1/3"})
    with pytest.raises(UsageError, match=expected):
        registry.load("sampler", "middle", {option: value})


def test_an_option_has_the_default_of_the_constructor_unless_it_has_its_own(shape_dnn: Callable[..., Any]) -> None:
    derived = GOOD.replace('Option(0, "where to start")', 'Option(help="where to start", minimum=0)')
    Path("mine.py").write_text(derived.replace("offset=0", "offset=7"))
    registry = Registry([Path("mine.py")])
    assert registry.load("sampler", "middle").choice.options == {"offset": 7}
    assert registry.load("sampler", "middle", {"offset": "8"}).choice.options == {"offset": 8}
    assert "sampler.offset=7" in shape_dnn("plugins", "--kind", "sampler", "--plugin", "mine.py").out
    for constructor, complaint in (
        ("offset", "option 'offset' has no default, and no parameter of the factory has one for it"),
        ("offset=[]", r"option 'offset' has the default \[\]; accepted are text, numbers"),
        ("offset=-1", "option 'offset' has the default -1, and accepted are numbers from 0"),
    ):
        Path("mine.py").write_text(derived.replace("offset=0", constructor))
        registry = Registry([Path("mine.py")])
        with pytest.raises(PluginError, match=complaint):
            registry.load("sampler", "middle")
        assert "middle" in shape_dnn("plugins", "--kind", "sampler", "--plugin", "mine.py").out


def test_a_plugin_file_works_without_packaging() -> None:
    Path("mine.py").write_text(GOOD)
    loaded = Registry([Path("mine.py")]).load("sampler", "middle")
    assert loaded.source.distribution == "mine.py"
    before = loaded.identity
    Path("mine.py").write_text(GOOD + "\n# changed\n")
    assert Registry([Path("mine.py")]).load("sampler", "middle").identity != before


def test_a_package_that_is_installed_for_editing_is_known_by_its_content(install: Install) -> None:
    site = install("acme-shapes", "1.2", {"acme": "acme_shapes"}, {"acme_shapes": GOOD})
    before = Registry().load("sampler", "middle").identity
    (site / "acme_shapes.py").write_text(GOOD + "\n# changed\n")
    assert Registry().load("sampler", "middle").identity == before, "an upgrade discards nothing"
    (site / "acme_shapes-1.2.dist-info" / "direct_url.json").write_text(
        '{"dir_info": {"editable": true}, "url": "file:///x"}'
    )
    edited = Registry().load("sampler", "middle").identity
    assert edited != before
    (site / "acme_shapes.py").write_text(GOOD + "\n# changed again\n")
    assert Registry().load("sampler", "middle").identity != edited


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ('Option(0, "", minimum=1)', "has the default 0, and accepted are numbers from 1"),
        ('Option(2, "", maximum=1)', "has the default 2, and accepted are numbers to 1"),
        ('Option(9, "", (1, 2))', "has the default 9, which is none of its choices"),
        ('Option("a", "", minimum=1)', "has the default 'a', and accepted are numbers from 1"),
        ('Option(float("nan"), "")', "which is not finite"),
        ("Option([], '')", "accepted are text, numbers, fractions, true and false"),
        ("7", "is a int instead of a shape_dnn.Option"),
    ],
)
def test_a_declaration_of_an_option_that_makes_no_sense_is_refused(declared: str, complaint: str) -> None:
    Path("mine.py").write_text(GOOD.replace('Option(0, "where to start")', declared))
    with pytest.raises(PluginError, match=re.escape(complaint)):
        Registry([Path("mine.py")])


def test_a_summary_that_is_no_text_harms_nobody_else(install: Install) -> None:
    install("acme-broken", "0.3", {"b": "acme_broken"}, {"acme_broken": GOOD.replace('"from the middle"', "None")})
    (entry,) = [e for e in Registry().entries() if e.source.distribution == "acme-broken"]
    assert (entry.state, "the summary of 'middle' is None" in entry.reason) == ("failed", True)


def test_a_file_given_twice_is_read_once() -> None:
    Path("mine.py").write_text(GOOD)
    assert Registry([Path("mine.py"), Path("mine.py")]).load("sampler", "middle")


def test_a_file_without_a_hook_is_told_what_is_missing() -> None:
    Path("mine.py").write_text(GOOD.replace("@hookimpl", ""))
    with pytest.raises(PluginError, match=r"mine\.py declares no plugin; is @hookimpl missing"):
        Registry([Path("mine.py")])


def test_a_plugin_that_changed_since_it_was_chosen_is_not_used_in_its_place() -> None:
    Path("mine.py").write_text(GOOD)
    choice = Registry([Path("mine.py")]).load("sampler", "middle", {"offset": 2}).choice
    assert Registry([Path("mine.py")]).load_again(choice).offset == 2
    Path("mine.py").write_text(GOOD.replace("offset=0", "offset=1"))
    with pytest.raises(PluginError, match=r"sampler 'middle' was \w{12} when the search started"):
        Registry([Path("mine.py")]).load_again(choice)


def test_a_copy_of_a_plugin_file_finds_what_lies_beside_it_and_one_file_is_read_once() -> None:
    content = """
from pathlib import Path
from functools import partial
from shape_dnn import Plugin, TableFile, hookimpl

@hookimpl
def shape_dnn_tables():
    yield Plugin("mine", "beside this file", partial(TableFile, Path(__file__).parent / "t.csv"))
"""
    for name, accuracy in (("one", 90), ("other", 50)):
        Path(name).mkdir()
        Path(name, "mine.py").write_text(content)
        Path(name, "t.csv").write_text(f"depth,width,accuracy\n1,1,{accuracy}\n")
        found = tune(replay="mine", goal="accuracy", plugin=[f"{name}/mine.py", str(Path(name, "mine.py").absolute())])
        assert [row["accuracy"] for row in found.rows()] == [accuracy]


def test_a_plugin_file_that_cannot_be_loaded_is_an_error_at_once() -> None:
    Path("mine.py").write_text("1 / 0")
    with pytest.raises(PluginError, match=r"mine\.py failed to load: ZeroDivisionError"):
        Registry([Path("mine.py")])
    with pytest.raises(UsageError, match="cannot read 'not-there.py'"):
        Registry([Path("not-there.py")])


def test_a_factory_that_fails_or_makes_something_else_is_reported() -> None:
    Path("mine.py").write_text(GOOD.replace("self.offset = offset", "raise ValueError('bad day')"))
    with pytest.raises(PluginError, match=r"sampler 'middle' of mine\.py failed to start: ValueError: bad day"):
        Registry([Path("mine.py")]).load("sampler", "middle")
    Path("other.py").write_text(GOOD.replace("(Sampler)", ""))
    with pytest.raises(PluginError, match="made a Middle, which is not a shape_dnn.Sampler"):
        Registry([Path("other.py")]).load("sampler", "middle")


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_plugin_starts_with_its_defaults(kind: str) -> None:
    registry = Registry(environ={"SHAPE_DNN_PLUGINS": ""})
    assert bool(registry.names(kind)) == (kind != "table"), "recorded tables lie in a package of their own"
    for name in set(registry.names(kind)) - {"classifier"}:  # which a search puts together
        loaded = registry.load(kind, name)
        assert isinstance(loaded.instance, KINDS[kind].base)
        loaded.identity  # noqa: B018 - must not raise
        getattr(loaded.instance, "close", lambda: None)()


def _nothing() -> object:
    import contextlib

    return contextlib.nullcontext()
