"""What a hook yields: a plugin and its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


OptionValue = str | int | float | bool | Fraction


@dataclass(frozen=True)
class Option:
    """A setting of a plugin, given as ``-o KIND.OPTION=VALUE``.

    An option called ``seed``, ``data_dir`` or ``batch_size`` takes its value from the command's setting of that name,
    unless it is given itself.

    Attributes:
        default: value if the option is not given; its type is the type of the option. None stands for the default of
            the factory's parameter of this name, so that it is written only once.
        help: one line.
        choices: the accepted values, if there are only a few.
        minimum: the least number that is accepted.
        maximum: the largest.
        is_path: whether the value says where something lies. Its place does not distinguish one fact from another; what
            lies there may, and then it is up to the plugin to say so.
    """

    default: OptionValue | None = None
    help: str = ""
    choices: tuple[OptionValue, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_path: bool = False


@dataclass(frozen=True)
class Plugin:
    """What a hook yields: the declaration of one plugin. Declaring must stay cheap; the factory may import anything.

    Attributes:
        name: unique within its kind; lower-case letters, digits and hyphens.
        summary: one line for lists.
        factory: returns an object of the kind, given the options as keyword arguments. Either a callable, or its import
            path ``"package.module:name"``, which is imported when the plugin is selected.
        options: the options of the plugin, by name.
    """

    name: str
    summary: str
    factory: Callable[..., Any] | str
    options: Mapping[str, Option] = field(default_factory=dict)
