"""Files that are written whole or not at all: what is there already stays what it is, and others may read what is new."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shape_dnn.system import durable


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, real = tmp_path / "report.html", tmp_path / "elsewhere" / "real.html"
    link.symlink_to("elsewhere/real.html")
    for text in ("first", "second"):
        durable.write_text(link, text)
        assert (link.is_symlink(), real.read_text()) == (True, text)
    assert [path.name for path in real.parent.iterdir()] == ["real.html"]


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    durable.write_text(pipe, "all of it")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(60)
    assert read == ["all of it"]
    with pytest.raises(IsADirectoryError):
        durable.write_text(tmp_path, "text")


def test_others_may_read_what_the_umask_lets_them_and_it_is_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(os, "umask")  # of the whole process: files that other threads make meanwhile would be anybody's
        durable.write_text(tmp_path / "file", "text")
        with durable.new_directory(tmp_path / "new"):
            pass
        with durable.replaced_directory(tmp_path / "replaced"):
            pass
    assert permissions(tmp_path / "file") == 0o640
    assert permissions(tmp_path / "new") == permissions(tmp_path / "replaced") == 0o750
    assert not list(tmp_path.glob(".partial-*"))
