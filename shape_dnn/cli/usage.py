"""What is said of a command line that cannot be read: what, where, what is accepted, and what to do next."""

from __future__ import annotations

from typing import Any

import click

from shape_dnn.constraints import KNOWN_METRICS
from shape_dnn.declaring import ValueKind, whole
from shape_dnn.settings import SETTINGS
from shape_dnn.system.spelling import closest


class Value(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions of click alone
    """A value that is read, and complained about, as those of settings are."""

    name = "value"

    def __init__(self, kind: ValueKind) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a value."""
        try:
            return self._kind.read(value)
        except ValueError as error:
            self.fail(f"{value!r} is not accepted: it should be {error}", param, ctx)


METRICS = (*KNOWN_METRICS, "memory", "file-size", "accuracy")
"""What may be meant by such options as ``--max-memory``, which there are not for all."""
AT_LEAST_0, AT_LEAST_1 = Value(whole(0)), Value(whole(1))


def explain(error: click.ClickException) -> str:
    """Say in one line what is wrong with the arguments of a command, and where help is."""
    context = getattr(error, "ctx", None)
    command = "shape-dnn" if context is None else context.command_path
    where = f"'{command} --help' lists what there is"
    if isinstance(error, click.NoSuchOption):
        return f"{error.option_name}: {_unknown(error.option_name, context, command)}; {where}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{_name(error.param)} is missing; {_expected(error.param, command)}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{_name(error.param)}: {_value_of(error)}"
    if isinstance(error, click.BadOptionUsage):
        metavar = getattr(SETTINGS.get(error.option_name.lstrip("-").replace("-", "_")), "metavar", "VALUE")
        return f"{error.option_name}: a value is missing; write {error.option_name} {metavar}"
    message = error.format_message().rstrip(".")
    return f"{message}; {where}" if isinstance(error, click.UsageError) and context is not None else message


def _unknown(option: str, context: click.Context | None, command: str) -> str:
    """Say what may be meant by an option that a command does not have."""
    if context is not None and option.removeprefix("--").replace("-", "_") in SETTINGS:
        return f"'{command}' has no such option, but 'shape-dnn tune' has"
    side, _, metric = option.removeprefix("--").partition("-")
    if side in ("max", "min") and option.startswith("--") and metric in METRICS:
        own = "" if context is None or f"--{side}" in _flags(context) else "limits are for tune: "
        return f"there is no such option here; {own}write --{side} {metric}=VALUE"
    meant = [closest(option, _flags(context))] if context is not None else []
    if context is not None and f"--{side}" in _flags(context) and metric:
        meant.append(f"--{side} {metric}=VALUE")
    return "there is no such option" + (f"; did you mean {' or '.join(filter(None, meant))}?" if any(meant) else "")


def _flags(context: click.Context) -> list[str]:
    return [flag for parameter in context.command.params for flag in parameter.opts if flag.startswith("--")]


def _name(parameter: click.Parameter) -> str:
    is_option = isinstance(parameter, click.Option)
    return parameter.opts[0] if is_option else parameter.metavar or str(parameter.name).upper()


def _expected(parameter: click.Parameter, command: str) -> str:
    if isinstance(parameter.type, click.Choice):
        return f"accepted are {', '.join(map(str, parameter.type.choices))}"
    return f"'{command} --help' shows an example"


def _value_of(error: click.BadParameter) -> str:
    if error.param is not None and isinstance(error.param.type, click.Choice):
        given = error.message.partition(" is not one of")[0]
        return f"{given} is not accepted: it should be {' or '.join(map(repr, error.param.type.choices))}"
    return error.message.rstrip(".")
