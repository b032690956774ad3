"""Lint the prose of pages and docstrings with proselint, by the rules of ``[tool.proselint]`` in pyproject.

Code is left out: proselint reads text, and would take a list of strings for a sentence with wrong quotation marks.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__
from proselint.config import DEFAULT, Config
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/**/*.md", "plugins/*/*.md", "benchmarks/*.md")
MODULES = ("shape_dnn/**/*.py", "plugins/*/shape_dnn_*/**/*.py", "benchmarks/*.py")
CODE = re.compile(r"^```.*?^```|``.+?``|`[^`]+`|\]\([^)]*\)|https?://\S+|</?[a-z][^<>]*>", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+ .*)$", re.MULTILINE)
LITERAL = re.compile(r"^( *)\S.*::\n+((?:\1 +.*\n|\n)+)", re.MULTILINE)
DOCTEST = re.compile(r"^ *>>> .*\n(?: *\S.*\n)*", re.MULTILINE)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def hide(match: re.Match[str]) -> str:
    """Return something in place of code that takes as many lines and columns, and is no word."""
    return re.sub(r"[^\n]", "§", match[0])


def page(text: str) -> str:
    """Return what is prose in a page, each word where it was."""
    return HEADING.sub(r"\1.", CODE.sub(hide, text))


def docstrings(source: str) -> str:
    """Return what is prose in the docstrings of a module, each word where it was."""
    lines = source.splitlines(keepends=True)
    kept = ["\n"] * len(lines)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            text = node.body[0]
            kept[text.lineno - 1 : text.end_lineno] = lines[text.lineno - 1 : text.end_lineno]
    return page(DOCTEST.sub(hide, LITERAL.sub(hide, "".join(kept)))).replace('"""', "   ")


def rules() -> Config:
    """Return the rules of proselint, those of this project over its own."""
    if not CheckRegistry().checks:
        CheckRegistry().register_many(__register__)
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["proselint"]["checks"]
    checks = sorted((DEFAULT["checks"] | own).items(), key=lambda rule: -rule[0].count("."))
    return Config(max_errors=DEFAULT["max_errors"], checks=dict(checks))


def remarks(path: Path, config: Config) -> Iterator[str]:
    """Give what proselint has to say about a file, a line each."""
    source = path.read_text(encoding="utf-8")
    text = docstrings(source) if path.suffix == ".py" else page(source)
    if text.strip():
        for remark in LintFile(path, text).lint(config):
            line, column = remark.pos
            found = remark.check_result
            yield f"{path.relative_to(ROOT)}:{line}:{column}: {found.check_path}: {' '.join(found.message.split())}"


def main() -> int:
    """Print all remarks, and return whether there are any."""
    config = rules()
    files = [path for pattern in (*PAGES, *MODULES) for path in sorted(ROOT.glob(pattern))]
    found = [remark for path in files if ".egg-info" not in str(path) for remark in remarks(path, config)]
    for remark in found:
        print(remark)
    print(f"prose: {len(files)} files, {len(found)} remarks", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
