"""Objects that workers make anew, from what can be sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, cast

from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Choice

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Sendable(Protocol[T_co]):
    """What can be sent to a worker, and makes an object there."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that must be there."""

    def load(self) -> T_co:
        """Create the object."""


@dataclass(frozen=True)
class FromPlugin(Generic[T]):
    """The object of a plugin.

    Attributes:
        choice: which.
        plugin_files: files that may declare it.
    """

    choice: Choice
    plugin_files: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Plugins."""
        return self.plugin_files

    def load(self) -> T:
        """Create the object."""
        return cast("T", Registry(self.plugin_files).load_again(self.choice))
