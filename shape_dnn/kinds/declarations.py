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

    An option called ``seed``, ``data_dir`` or ``batch_size`` takes the command's setting of that name unless it is
    given itself.

    Attributes:
        default: value if it is not given; its type is the type of the option. None for the one that the factory has for
            its parameter of this name, so that it is said once.
        help: one line.
        choices: the accepted values, if they are few.
        minimum: the least accepted value of a number.
        is_path: whether it says where something lies. That does not tell one fact from another; what lies there may,
            and for the plugin to say.
    """

    default: OptionValue | None = None
    help: str = ""
    choices: tuple[OptionValue, ...] = ()
    minimum: float | None = None
    is_path: bool = False


@dataclass(frozen=True)
class Plugin:
    """What a hook yields: the declaration of one plugin. Declaring must stay cheap; the factory may import anything.

    Attributes:
        name: unique within its kind; lower-case letters, digits and hyphens.
        summary: one line for lists.
        factory: called with the options as keyword arguments, returns an object of the kind. Either a callable or its
            import path ``"package.module:name"``, which is imported when the plugin is selected.
        options: by name.
    """

    name: str
    summary: str
    factory: Callable[..., Any] | str
    options: Mapping[str, Option] = field(default_factory=dict)
