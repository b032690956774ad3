"""Settings in a YAML file. Nothing but text, lists and mappings is read, each with its place in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from shape_dnn.errors import UsageError
from shape_dnn.settings import SETTINGS, unknown_setting

PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


def read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of a file and where in it each stands.

    Raises:
        UsageError: the file cannot be read or names an unknown setting; with line and column.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    try:
        # BaseLoader makes nothing but text, lists and mappings: 10:30:6 is a range and not a number to the base 60.
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise UsageError(f"--config: cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config: {str(path)!r} is not a text file in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(f"{_place(path, mark)}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())[:200]}") from None
    if root is None:
        return values, origins
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{_place(path, root.start_mark)}: expected settings such as 'arch: wrn', one a line")
    for key, node in root.value:
        where = _place(path, key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{where}: expected the name of a setting")
        name = str(key.value).replace("-", "_")
        if name in values:
            raise UsageError(f"{where}: {name!r} was set before, at {origins[name]}")
        if name not in SETTINGS:
            raise UsageError(f"{where}: {unknown_setting(name)}")
        value = _plain(path, node)
        if not (value in ("", "null", "~") and node.style is None):
            values[name] = value
        origins[name] = _place(path, node.start_mark)
        if name == "option":
            origins |= _places_of_options(path, node)
    return values, origins


def _places_of_options(path: Path, node: yaml.Node) -> dict[str, str]:
    """Return where each option stands, whether they are a mapping, a list or a single one."""
    items = [node] if isinstance(node, yaml.ScalarNode) else node.value
    keys = [item[0] if isinstance(item, tuple) else item for item in items]
    return {key.value.partition("=")[0].strip(): _place(path, key.start_mark) for key in keys}


def _plain(path: Path, node: yaml.Node) -> Any:
    """Turn a node into text, a list of texts or a mapping of texts."""
    if node.tag not in PLAIN_TAGS:
        raise UsageError(f"{_place(path, node.start_mark)}: tag {node.tag!r} is not accepted; write plain values")
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return [str(item.value) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        values: dict[str, str] = {}
        for key, item in node.value:
            if not (isinstance(key, yaml.ScalarNode) and isinstance(item, yaml.ScalarNode)):
                raise UsageError(f"{_place(path, key.start_mark)}: expected NAME: VALUE")
            if key.value in values:
                raise UsageError(f"{_place(path, key.start_mark)}: {key.value!r} was set before")
            values[str(key.value)] = str(item.value)
        return values
    raise UsageError(f"{_place(path, node.start_mark)}: expected a value, a list of values, or NAME: VALUE pairs")


def _place(path: Path, mark: yaml.Mark | None) -> str:
    return str(path) if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
