"""A page that follows studies while searches run in them."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from report_pages import chromium, in_a_browser

from shape_dnn import ask, tune
from shape_dnn.errors import UsageError
from shape_dnn.report import write_report
from shape_dnn.store.facts import Store
from shape_dnn.store.journal import FILE_NAME
from shape_dnn.watching import pages
from shape_dnn.watching import studies as watching
from shape_dnn.watching.server import Server, serving
from shape_dnn.watching.studies import Directory

PATIENCE = 240
"""Seconds after which something that was promised has not happened, on a machine that is busy with other things too."""
TRAINER = """
import pathlib, time
import torch
from torch import nn

DEPTH, WIDTH = "10:28:6", "1/4:1:1/4"

def build(shape):
    return nn.Linear(shape.depth, int(4 * shape.width))

def example(batch_size):
    return torch.zeros(batch_size, 1)

def train(shape, run):
    for epoch in range(1, 4):
        run.report(epoch, 60 + shape.depth / 10 + 10 * float(shape.width) + epoch)
        while not pathlib.Path("go", f"{shape.depth}-{float(shape.width):g}-{epoch}").exists():
            if pathlib.Path("go", "all").exists():
                break
            time.sleep(0.05)
"""
"""Reports three epochs, and waits after each until it may go on."""


def wait(true: Callable[[], Any], what: str) -> Any:
    """Wait until something is so, with a patience that no machine exceeds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"waited in vain: {what}")


class Search:
    """A search in a process of its own, of which nothing is left after the test."""

    def __init__(self, study: str = "study") -> None:
        Path("trainer.py").write_text(TRAINER)
        Path("go").mkdir(exist_ok=True)
        question = ["--goal", "accuracy", "--confidence", "0.9", "--trainer", "trainer.py", "--device", "cpu"]
        command = [sys.executable, "-m", "shape_dnn", *question, "--study", study, "--workers", "1"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def kill(self) -> None:
        """End it as no program can hinder."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def search() -> Iterator[Callable[..., Search]]:
    begun: list[Search] = []

    def begin(study: str = "study") -> Search:
        begun.append(Search(study))
        wait((Path(study) / FILE_NAME).exists, "the search begins")
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.kill()


def searched(study: str = "study", **question: Any) -> Path:
    Path("trainer.py").write_text(TRAINER)
    Path("go").mkdir(exist_ok=True)
    Path("go/all").touch()
    tune(trainer="trainer.py", study=study, device="cpu", **{"goal": "accuracy", "confidence": 0.9, **question})
    return Path(study)


@contextmanager
def served(directory: str | Path = "study", port: int = 0) -> Iterator[Server]:
    with serving(Directory(Path(directory)), port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def asked(server: Server, path: str | None = None, method: str = "GET", host: str | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
    headers = {"Host": host or f"127.0.0.1:{server.server_port}"}
    connection.request(method, f"/{server.token}/" if path is None else path, headers=headers)
    return connection.getresponse()


def content_of(server: Server) -> Any:
    return json.load(asked(server, f"/{server.token}/content.json"))


@contextmanager
def opened(address: str, **options: Any) -> Iterator[Any]:
    """Open a page in a browser; at the end nothing was complained of, and nothing came from elsewhere."""
    with chromium() as browser:
        page = browser.new_context(**options).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: request.url.startswith(address) or said.append(request.url))
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        yield page
        assert said == [], said


@in_a_browser
def test_trainings_show_while_the_page_is_open_and_what_the_viewer_asks_stays(search: Callable[..., Search]) -> None:
    running = search()
    with served() as server, opened(server.address) as page:
        page.locator("#live[data-state=running]").wait_for()
        page.locator("#live-running figure", has_text="epoch 1").first.wait_for()
        assert page.locator("#live-doing").text_content().startswith("training: 0 of ")
        page.evaluate("window.same = true")
        one = page.locator("#live-running figcaption").first.text_content()
        depth, width = re.match(r"\((\d+), (\S+)\)", one).groups()
        number = f"{eval(width):g}"  # noqa: S307 - a fraction
        Path("go", f"{depth}-{number}-1").touch()
        page.locator("#live-running figure", has_text="epoch 2").first.wait_for()
        for epoch in (2, 3):
            Path("go", f"{depth}-{number}-{epoch}").touch()
        page.locator("header", has_text="1 trained").wait_for()
        page.get_by_label("accuracy at least, in %").fill("65")
        page.focus("#limit-least-accuracy")
        Path("go/all").touch()
        page.locator("#live[data-state=finished]").wait_for()
        assert running.process.wait(PATIENCE) == 0
        trained = Store(Path("study")).summary()["trained"]
        page.locator("header", has_text=f"{trained} trained").wait_for()
        assert page.evaluate("window.same")
        assert page.input_value("#limit-least-accuracy") == "65"
        assert page.evaluate("document.activeElement.id") == "limit-least-accuracy"
        assert "--min-accuracy 65" in page.text_content("#command")
        page.locator("#live-doubt svg[role=img]").wait_for()


@in_a_browser
def test_a_search_that_is_killed_and_begun_again_is_told_of_as_such(search: Callable[..., Search]) -> None:
    first = search()
    with served() as server, opened(server.address) as page:
        page.locator("#live-running figure", has_text="epoch 1").first.wait_for()
        page.evaluate("window.same = true")
        first.kill()
        page.locator("#live[data-state=stopped]").wait_for()
        assert "without an end; run the same command to go on" in page.text_content("#live-text")
        assert page.locator("#live-running figure").count() == 0
        second = search()
        page.locator("#live[data-state=running]").wait_for()
        Path("go/all").touch()
        page.locator("#live[data-state=finished]").wait_for()
        assert second.process.wait(PATIENCE) == 0
        assert page.evaluate("window.same")


def test_the_page_of_a_search_that_has_ended_is_its_report() -> None:
    study = searched()
    (path,) = write_report(study, "report.html")
    report = path.read_text(encoding="utf-8")
    with served() as server:
        page = asked(server).read().decode()
        content = content_of(server)

    def numbers(text: str) -> Any:
        return json.loads(re.search('<script type="application/json" id="data">(.*?)</script>', text)[1])

    shown, own = numbers(page), numbers(report)
    assert {name: shown[name] for name in own} == own
    assert content["data"] == own
    assert shown["live"]["state"] == "finished"


def test_only_whoever_has_the_address_sees_anything() -> None:
    searched()
    with served() as server:
        assert server.server_address[0] == "127.0.0.1"
        assert asked(server).status == 200
        assert asked(server, f"/{server.token}/nothing").status == 404
        for path in ("/", "/content.json", f"/{server.token[:-1]}/", f"/{'x' * 24}/content.json", "/%00/", "//", "*"):
            answer = asked(server, path)
            assert answer.status == 404
            assert b"study" not in answer.read()
        for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", "127.0.0.1:1"):
            assert asked(server, host=host).status == 403
        assert asked(server, host=f"localhost:{server.server_port}").status == 200
        with served() as other:
            assert other.token != server.token


def test_it_can_only_be_read() -> None:
    study = searched()
    before = (study / "study.sqlite").read_bytes()
    with served() as server:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"):
            assert asked(server, method=method).status in (405, 501)
        head, got = asked(server, method="HEAD"), asked(server)
        assert head.status == 200
        assert head.getheader("Content-Length") == got.getheader("Content-Length")
        assert head.read() == b""
        policy = re.search('Content-Security-Policy" content="(.*?)"', got.read().decode())[1].replace("&#39;", "'")
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy
        assert policy.endswith("connect-src 'self'")
        for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")):
            assert got.getheader(name) == value
    assert (study / "study.sqlite").read_bytes() == before


def test_nothing_is_made_anew_when_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    searched()
    with served() as server:
        first = content_of(server)
        monkeypatch.setattr("shape_dnn.watching.studies.StudyQuestion.open", lambda *_, **__: pytest.fail("read again"))
        assert content_of(server) == first


def test_looking_keeps_no_search_from_its_study() -> None:
    study = searched()
    with served() as server:
        assert content_of(server)["error"] == ""
        store = Store(study)
        store.runs.lock()
        assert content_of(server)["error"] == ""
        store.close()
        assert not searched(goal="accuracy").joinpath("no").exists()


def test_of_many_studies_those_that_are_read_are_shown_and_the_others_come_by_and_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched("all/0")
    for number in range(1, 4):
        shutil.copytree("all/0", f"all/{number}")
    monkeypatch.setattr(watching, "READING", 0.0)  # one at a time
    monkeypatch.setattr(watching, "SECONDS", 0.0)
    with served("all") as server:
        looked, told = [server.directory.look()], []
        for _ in range(4):
            told.append([row["answer"] for row in json.load(asked(server, f"/{server.token}/content.json"))])
            looked.append(server.directory.look())
    assert [answers.count("not read yet") for answers in told] == [3, 2, 1, 0]
    assert len(set(told[-1])) == 1
    assert len(set(looked)) == 4, "whoever looks asks again until all are read, and then no more"
    assert looked[-1] == looked[-2]


def test_only_what_has_changed_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    searched("all/0")
    for number in range(1, 4):
        shutil.copytree("all/0", f"all/{number}")
    monkeypatch.setattr(watching, "SECONDS", 0.0)
    directory = Directory(Path("all"))
    directory.look()
    while "not read yet" in {row["answer"] for row in directory.in_short()}:
        pass
    read: list[Path] = []
    opened = watching.StudyQuestion.open
    monkeypatch.setattr(
        watching.StudyQuestion,
        "open",
        lambda study, *more, **named: read.append(study) or opened(study, *more, **named),
    )
    os.utime("all/2/study.sqlite")
    directory.look()
    assert len(directory.in_short()) == 4
    assert read == [Path("all/2")]


@in_a_browser
@pytest.mark.parametrize("width", [360, 1200])
def test_several_studies_stand_beside_each_other_and_new_ones_appear(width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    searched("all/one")
    with served("all") as server, opened(server.address, viewport={"width": width, "height": 800}) as page:
        page.locator("body[data-state=complete]").wait_for()
        assert page.locator("#several-rows tr").count() == 1
        searched("all/deep/two", goal="size", min_accuracy="70%")
        page.locator("#several-rows tr").nth(1).wait_for()
        rows = {row.locator("th").text_content(): row.text_content() for row in page.locator("#several-rows tr").all()}
        assert rows.keys() == {"one", "deep/two"}
        best = ask("all/deep/two", goal="size", min_accuracy="70%").best
        assert f"depth {best.depth}, width {best.width}" in rows["deep/two"]
        assert "finished" in rows["one"]
        page.select_option("#several-x", "accuracy [%]")
        page.select_option("#several-y", "size [MB]")
        page.locator("#several-chart svg").wait_for()
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in violations] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="deep/two").click()
        page.locator("#live[data-state=finished]").wait_for()
        assert page.text_content("h1") == "two"


@in_a_browser
def test_what_studies_have_in_other_units_is_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    code = TRAINER
    for unit in ("nats", "bits"):
        quality = f"import shape_dnn\nQUALITY = shape_dnn.Quality('loss', {unit!r}, 'lower')\n"
        monkeypatch.setitem(globals(), "TRAINER", quality + code)
        searched(f"all/{unit}", goal="loss")
    with served("all") as server, opened(server.address) as page:
        page.locator("#several-chart[data-points]").wait_for()
        heads = page.locator("#several-head th").all_text_contents()
        assert sorted(heads[-2:]) == ["loss [bits]", "loss [nats]"]
        for row in page.locator("#several-rows tr").all():
            cells = row.locator("th, td").all_text_contents()
            values = dict(zip(heads, cells, strict=True))
            assert values.pop(f"loss [{values['study']}]") != "–"
            assert [values[head] for head in values if head.startswith("loss")] == ["–"]
        page.select_option("#several-x", "loss [bits]")
        page.locator("#several-chart svg").get_by_text("loss [bits]").first.wait_for()


def test_an_answer_is_that_of_its_own_width_and_any_directory_can_be_watched() -> None:
    study = searched("all/one", width="1:13:1", goal="size", min_accuracy="40")
    study.rename(os.fsdecode(b"all/one\xff"))
    (watched,) = Directory(Path("all")).studies().values()
    assert watched.name == "one?"
    pages.of_study(watched, is_single=False).encode()
    watched.content()
    row = watched.in_short()
    shapes = watched.content()["data"]["overview"]["shapes"]
    assert {shape["fraction"] for shape in shapes} >= {"1", "12"}
    watched._content[1]["answer"] = "depth 10, width 12 (predicted)"
    (wanted,) = (shape for shape in shapes if (shape["depth"], shape["fraction"]) == (10, "12"))
    assert watched.in_short()["best"] == row["best"] | {"size": wanted["m0"], "accuracy": wanted["quality"]}


def test_values_have_the_name_of_their_quality_where_there_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"import shape_dnn\nQUALITY = shape_dnn.Quality('cost', 'EUR', 'lower')\n{TRAINER}"
    monkeypatch.setitem(globals(), "TRAINER", code)
    (searched("all/one", goal="cost", max=["cost=100"]) / "journal.jsonl").unlink()
    (watched,) = Directory(Path("all")).studies().values()
    watched.content()
    row = watched.in_short()
    assert row["metrics"][-1] == {"name": "cost", "unit": "EUR"}
    assert row["best"]["cost"] == min(point["cost"] for point in row["points"])
    assert row["better"] == "lower"


def test_at_the_usual_port_browsers_leave_it_out() -> None:
    searched()
    with served() as server:
        address = server.server_port
        server.server_port = 80
        connection = http.client.HTTPConnection("127.0.0.1", address, timeout=PATIENCE)
        connection.request("GET", f"/{server.token}/", headers={"Host": "localhost"})
        assert connection.getresponse().status == 200


@in_a_browser
def test_a_page_that_nobody_sees_leaves_its_connection_to_others_and_says_when_its_study_is_gone() -> None:
    study = searched()
    heard = "window.EventSource = class extends EventSource { constructor(url) { super(url); (window.all ??= []).push(this); } }"
    hide = "is => (Object.defineProperty(document, 'hidden', {value: is, configurable: true}), " \
           "document.dispatchEvent(new Event('visibilitychange')))"  # fmt: skip
    with served() as server, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.add_init_script(heard)
        page.goto(server.address)
        page.locator("body[data-state=complete]").wait_for()
        wait(lambda: page.evaluate("all.map((each) => each.readyState)") == [1], "it hears")
        page.evaluate(hide, True)
        assert page.evaluate("all.map((each) => each.readyState)") == [2]
        page.evaluate(hide, False)
        wait(lambda: page.evaluate("all.map((each) => each.readyState)") == [2, 1], "it hears again")
        assert page.locator("#live-error").is_hidden()
        shutil.rmtree(study)
        page.locator("#live-error", has_text="There is no report any more").wait_for()
        assert page.locator("#answer").is_visible()


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_is_accessible_on_any_screen(search: Callable[..., Search], scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    search()
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with served() as server, opened(server.address, **options) as page:
        page.locator("#live-running figure").first.wait_for()
        page.locator("#live-more summary").click()
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in violations] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_command_says_where_the_page_is_and_ends_when_it_is_interrupted() -> None:
    searched()
    # What was started in the background may have been told to ignore interrupts, and tells its children.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from shape_dnn.cli import main; main()"
    command = [sys.executable, "-c", code, "watch", "study"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{24}/", address)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_what_cannot_be_watched_is_said_in_a_line(shape_dnn: Any, tmp_path: Path) -> None:
    assert "'nowhere' is not a directory" in shape_dnn("watch", "nowhere").error
    (tmp_path / "empty").mkdir()
    ran = shape_dnn("watch", tmp_path / "empty")
    assert ran.status == 2
    assert "no study in" in ran.error
    searched()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = shape_dnn("watch", "study", "--port", taken.getsockname()[1])
        assert ran.status == 2
        assert "--port: port" in ran.error
        assert "choose another" in ran.error
    Path("study/study.sqlite").write_bytes(b"not a database" * 100)
    assert shape_dnn("watch", "study").status == 2
    with pytest.raises(UsageError):
        Directory(Path("study"))
