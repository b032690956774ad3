"""Prose in pages and docstrings is linted, and code in them is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", ROOT / "docs" / "prose.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = '''"""A module that is free gratis."""

TEXT = "free gratis"


def wait():
    """Wait.

    ``free gratis`` is code, and so is the following::

        print("free gratis")

    >>> print("free gratis")
    free gratis

    What is here is free gratis.
    """
'''
PAGE = """A page that is free gratis.

```sh
echo free gratis
```

Such as `free gratis`, [free](gratis.md), <img alt="free gratis">, and more that is
free gratis.
"""


@pytest.mark.parametrize(("name", "text", "lines"), [("module.py", MODULE, [1, 16]), ("page.md", PAGE, [1, 8])])
def test_a_remark_names_the_line_of_the_prose_that_it_is_about(
    prose: ModuleType, name: str, text: str, lines: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    config = prose.rules()
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    found = [remark for remark in prose.remarks(tmp_path / name, config) if "redundancy" in remark]
    assert [int(remark.split(":")[1]) for remark in found] == lines


def test_the_command_of_lint_reads_the_whole_repository(
    prose: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    assert prose.main() == 1
    assert "docs/page.md:1:" in capsys.readouterr().out
    (tmp_path / "docs" / "page.md").write_text("A page that is free.\n")
    assert prose.main() == 0
