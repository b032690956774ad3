"""A complete package to start a plugin of your own from: it installs, it works, and its tests pass."""

from __future__ import annotations

import ast
import inspect
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from shape_dnn import __version__, hookspecs
from shape_dnn.errors import UsageError
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.table_of_kinds import IN_REPOSITORY, KINDS

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "shape-dnn-{name}"
version = "0.1.0"
description = "The {words} {name} for shape_dnn"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["shape-dnn>={version}"]

[project.optional-dependencies]
test = ["pytest>=8.3"]

[project.entry-points.shape_dnn]
{name} = "{package}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""
README = """\
# shape-dnn-{name}

The {words} `{name}` for shape_dnn: {summary}.

    pip install .
    shape-dnn {usage}

`{package}/__init__.py` declares it, `{package}/{module}.py` is its code.
The tests check that it keeps to the rules of its kind:

    pip install '.[test]'
    pytest
"""
DECLARATION = '''\
"""Declares the {words} ``{name}`` to shape_dnn."""

from __future__ import annotations

from collections.abc import Iterable

from shape_dnn import Plugin, hookimpl


@hookimpl
def {hook}() -> Iterable[Plugin]:
    """Declare it; its code is imported when it is selected."""
    yield Plugin("{name}", "{summary}", "{package}.{module}:{class_name}")
'''
CODE = '''\
"""The {words} ``{name}``."""

{further}from shape_dnn import {imports}
{beside}

{constants}{code}
'''
TESTS = """\
from shape_dnn.testing import {contract}


class Test{class_name}({contract}):
    name = "{name}"
"""
EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "executor": {
        "test_a_task_whose_process_dies_leaves_the_others_alone": "tasks run in the process of the search",
        "test_ends_a_task_that_hangs": "tasks run in the process of the search",
        "test_a_task_has_a_fresh_process_if_it_needs_one": "tasks run in the process of the search",
        "test_does_not_wait_for_gpus_that_there_will_never_be": "tasks find out for themselves",
    }
}
"""What the contract of a kind asks for and its example does not do, with the reason."""
DATA: Mapping[str, str] = {
    "table": """\
# validation accuracy in percent, size in MB; put your own rows in place of these
depth,width,seed,accuracy,size
1,1/4,0,50,0.00108
2,1/4,0,50,0.00116
1,1/2,0,100,0.002152
2,1/2,0,75,0.00244
1,3/4,0,100,0.003224
2,3/4,0,85,0.003848
"""
}
"""Content of a ``.csv`` file that lies beside the code of a kind and has the same name."""


class Example(NamedTuple):
    """The example of a hook, in parts.

    Attributes:
        imports: names from the package that the class needs.
        further: other lines that import something.
        beside: lines that import something from rooms of the package.
        constants: what is defined before the class.
        code: source of the class.
        class_name: name of the class.
        summary: summary with which the plugin is declared.
    """

    imports: tuple[str, ...]
    further: tuple[str, ...]
    beside: tuple[str, ...]
    constants: tuple[str, ...]
    code: str
    class_name: str
    summary: str


def example(hook: str) -> str:
    """Return the source of the example in the documentation of a hook: a whole file."""
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    return "\n".join(line[4:] for line in text.split("Example::\n", 1)[1].splitlines()).strip() + "\n"


def parts_of(hook: str) -> Example:
    """Take the example of a hook apart."""
    source = example(hook)
    tree = ast.parse(source)
    lines = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    (imported,) = (node for node in lines if node.module == "shape_dnn")
    (defined,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    (declared,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Plugin")
    names = sorted({alias.name for alias in imported.names} - {"Plugin", "hookimpl"})
    code = ast.get_source_segment(source, defined) or ""
    others = [ast.unparse(node) for node in lines if node is not imported]
    beside = tuple(line for line in others if line.startswith("from shape_dnn."))
    further = tuple(line for line in others if line not in beside)
    constants = tuple(ast.get_source_segment(source, node) or "" for node in tree.body if isinstance(node, ast.Assign))
    return Example(tuple(names), further, beside, constants, code, defined.name, ast.literal_eval(declared.args[1]))


def files(name: str, kind: str) -> dict[str, str]:
    """Return the files of a package by their path in it.

    Args:
        name: name of the plugin: lower-case letters, digits and hyphens.
        kind: kind of the plugin, such as ``sampler``.
    """
    parts = parts_of(KINDS[kind].hook)
    class_name = "".join(word.capitalize() for word in name.split("-"))
    if keyword.iskeyword(class_name) or class_name in parts.imports:
        class_name = f"My{class_name}"
    package = f"shape_dnn_{name.replace('-', '_')}"
    values = {
        "name": name,
        "package": package,
        "module": kind,
        "words": kind.replace("_", " "),
        "usage": f"--max layers=20 --meter layers={name}" if kind == "meter" else f"--{KINDS[kind].flag} {name}",
        "hook": KINDS[kind].hook,
        "version": __version__,
        "summary": parts.summary,
        "imports": ", ".join(parts.imports),
        "further": "".join(f"{line}\n" for line in parts.further) + "\n" * bool(parts.further),
        "beside": "".join(f"{line}\n" for line in parts.beside),
        "constants": "".join(f"{constant}\n\n\n" for constant in parts.constants),
        "code": re.sub(rf"\b{parts.class_name}\b", class_name, parts.code),
        "class_name": class_name,
        "contract": f"{''.join(word.capitalize() for word in kind.split('_'))}Contract",
    }
    tests = TESTS.format(**values)
    if kind in EXCEPTIONS:
        lines = "".join(f'        "{check}": "{reason}",\n' for check, reason in EXCEPTIONS[kind].items())
        tests += f"    exceptions = {{\n{lines}    }}\n"
    return {
        "pyproject.toml": PYPROJECT.format(**values),
        "README.md": README.format(**values),
        f"{package}/__init__.py": DECLARATION.format(**values),
        f"{package}/{kind}.py": CODE.format(**values),
        f"tests/test_{name.replace('-', '_')}.py": tests,
        **({f"{package}/{kind}.csv": DATA[kind]} if kind in DATA else {}),
    }


def write(name: str, kind: str, directory: Path) -> Path:
    """Write a package into a new directory; return its path.

    Raises:
        UsageError: the name is not accepted or already taken, or the directory already exists or cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        accepted = "words of lower-case letters and digits, a letter first, with single hyphens between them"
        raise UsageError(f"NAME: {name!r} is not accepted; expected {accepted}")
    if name in Registry().names(kind):
        raise UsageError(f"NAME: there is a {kind.replace('_', ' ')} {name!r} already; choose another name")
    package = f"shape-dnn-{name}"
    if any(Path(folder).name == package for folder in IN_REPOSITORY.values()):
        raise UsageError(f"NAME: there is a package {package!r} already; choose another name")
    path = directory / package
    try:
        path.mkdir(parents=True)
        for file, text in files(name, kind).items():
            target = path / file
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"NAME: {str(path)!r} is there already; nothing was changed") from None
    except OSError as error:
        raise UsageError(f"--directory: cannot write {str(path)!r}: {error.strerror}") from None
    return path
