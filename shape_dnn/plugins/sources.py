"""Where plugins come from, and what is kept of one that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from shape_dnn.kinds import OptionValue, Plugin

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Where plugins come from: a distribution, or a single file.

    Attributes:
        distribution: name of the distribution, or path of the file.
        version: of the distribution; for a file a hash of its content.
        is_file: whether it is a file.
    """

    distribution: str
    version: str
    is_file: bool = False

    def __str__(self) -> str:
        return self.distribution if self.is_file else f"{self.distribution} {self.version}"


class EntryState(StrEnum):
    """Whether a plugin can be used, and if not, why."""

    OK = "ok"
    FAILED = "failed"
    """Its module could not be imported, or declares it wrongly."""
    BLOCKED = "blocked"
    """The allow-list does not name it; it was not imported."""
    COLLISION = "collision"
    """Another plugin has its name."""


@dataclass(frozen=True)
class Entry:
    """A line of the list of plugins.

    Attributes:
        name: of the plugin; of the entry point if its plugins could not be read.
        kind: None if it could not be read.
        source: where it comes from.
        state: whether it can be used.
        reason: why it is not ok.
        plugin: its declaration, if it could be read.
    """

    name: str
    kind: str | None
    source: Source
    state: EntryState
    reason: str = ""
    plugin: Plugin | None = None


@dataclass(frozen=True)
class Choice:
    """A plugin by name with its options: what a worker process needs to create it anew.

    Attributes:
        kind: one of :data:`KINDS`.
        name: of the plugin.
        options: all of them, by name.
        version: of the plugin where it was chosen.
    """

    kind: str
    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """The object a plugin's factory made, and where it came from.

    Attributes:
        choice: its name and options.
        source: of its declaration.
        instance: the object.
        content: digest of the files of a package that is installed for editing.
        paths: names of options that say where something lies.
    """

    choice: Choice
    source: Source
    instance: T
    content: str = ""
    paths: frozenset[str] = frozenset()

    @property
    def identity(self) -> dict[str, object]:
        """What determines the behaviour of the object, as JSON values.

        The version of a distribution does not count, since an upgrade must not discard what was measured and trained;
        the content of a plugin file, or of a package installed for editing, does, since it is being worked on. Where
        something lies does not count either.
        """
        origin = f"file {self.source.version}" if self.source.is_file else self.source.distribution
        if self.content:
            origin += f" with content {self.content}"
        telling = sorted(item for item in self.choice.options.items() if item[0] not in self.paths)
        options = {name: str(value) for name, value in telling}
        return {"name": self.choice.name, "from": origin, "options": options}

    @property
    def provenance(self) -> dict[str, str]:
        """Kind, name, distribution and version, for results."""
        return {
            "kind": self.choice.kind,
            "name": self.choice.name,
            "distribution": self.source.distribution,
            "version": self.source.version,
        }
