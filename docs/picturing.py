"""What pictures of the documentation can be of, how each is made, and how to tell that one is out of date."""

from __future__ import annotations

import html
import importlib
import io
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from charting import INK, SOURCE

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Terminal:
    """What a command prints on a terminal, as SVG.

    Attributes:
        command: to be run in the root of the repository.
        columns: of the terminal.
        errors: also show what goes to standard error.
        shows: what is to be seen on a terminal of so many columns, if the command is not to be run.
    """

    command: str
    columns: int = 100
    errors: bool = False
    shows: Callable[[int], str] | None = None
    suffix = "svg"

    def source(self) -> str:
        """Return the lines of the picture, which it holds as text."""
        return text_of(self.draw("light").decode())

    def draw(self, scheme: str) -> bytes:
        """Return the picture."""
        from rich.console import Console
        from rich.style import Style
        from rich.text import Text

        console = Console(
            width=self.columns, record=True, file=io.StringIO(), force_terminal=True, legacy_windows=False
        )
        first, *more = textwrap.wrap(self.command, self.columns - 4, break_long_words=False, break_on_hyphens=False)
        for line in [f"$ {first}", *(f"  {line}" for line in more)]:
            last = line.removeprefix("$ ").strip() == (more[-1] if more else first)
            console.print(Text(line if last else f"{line} \\", Style(color="blue", bold=True)))
        seen = self.shows(self.columns) if self.shows else printed(self.command, self.columns, self.errors)
        for line in seen.splitlines():
            console.print(Text.from_ansi(line), no_wrap=True, crop=True)
        console.print()
        picture = console.export_svg(title="", theme=_theme(scheme), code_format=FRAME, unique_id="terminal")
        picture = picture.replace("rgba(255,255,255,0.35)", "#80808080")  # an edge that is seen on white, too
        return re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE).encode()

    @staticmethod
    def read(picture: bytes) -> str:
        """Return the source of a picture."""
        return text_of(picture.decode())


@dataclass(frozen=True)
class Screenshot:
    """What a page shows, as PNG.

    Attributes:
        content: the command that writes the page, but for the flag ``--report``, or a function that returns it.
        section: CSS selector of the part that is shown; the top of the page if empty.
        width: of the window, in pixels of CSS.
        height: of the window.
        media: ``screen`` or ``print``.
    """

    content: str | Callable[[], str]
    section: str = ""
    width: int = 1000
    height: int = 680
    media: str = "screen"
    suffix = "png"

    def source(self) -> str:
        """Return the page without what is not ours: Vega, versions and dates."""
        return essence(page_of(self.content))

    def draw(self, scheme: str) -> bytes:
        """Return the picture."""
        content = page_of(self.content)
        with chromium() as browser:
            page = browser.new_page(
                viewport={"width": self.width, "height": self.height}, color_scheme=scheme, device_scale_factor=2,
                reduced_motion="reduce",
            )  # fmt: skip
            page.emulate_media(media=self.media, color_scheme=scheme)
            page.clock.set_fixed_time(0)
            page.route("**/*", lambda route: _answer(route, content))
            page.goto(PLACE)
            page.wait_for_selector("body[data-state=complete]")
            if not self.section:
                return smaller(page.screenshot(), self.source())
            for chart in page.locator(f"{self.section} .chart").all():  # drawn when they come into view
                chart.scroll_into_view_if_needed()
                chart.locator("svg").first.wait_for()
            page.evaluate("scrollTo(0, 0)")
            box = page.locator(self.section).bounding_box()
            part = {"x": 0, "y": box["y"] + EDGE, "width": self.width, "height": box["height"] - EDGE}
            return smaller(page.screenshot(full_page=True, clip=part), self.source())

    @staticmethod
    def read(picture: bytes) -> str:
        """Return the source of a picture."""
        from PIL import Image

        return str(Image.open(io.BytesIO(picture)).info.get(SOURCE, ""))


@dataclass(frozen=True)
class Drawing:
    """What a module beside this one draws with its function ``draw``, as SVG for both colour schemes.

    Attributes:
        module: its name.
    """

    module: str
    suffix = "svg"

    def source(self) -> str:
        """Return the drawing itself."""
        sys.path.insert(0, str(Path(__file__).parent))
        return str(importlib.import_module(self.module).draw())

    def draw(self, scheme: str) -> bytes:
        """Return the picture."""
        return self.source().encode()

    @staticmethod
    def read(picture: bytes) -> str:
        """Return the source of a picture."""
        return picture.decode()


PLACE = "http://pictures.invalid/"
"""Where a browser believes a page to be. Nothing is loaded from there."""
EDGE = 24
"""Pixels at the top of a section that are left out: the line that parts it from the one before."""
FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
text {{ font: 20px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
{styles}
</style>
<defs>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
{matrix}
</g>
</svg>
"""


def _theme(scheme: str) -> Any:
    from rich.terminal_theme import TerminalTheme

    def rgb(color: str) -> tuple[int, int, int]:
        return int(color[1:3], 16), int(color[3:5], 16), int(color[5:], 16)

    ink, back = INK[scheme]
    # black, red, green, yellow, blue, magenta, cyan, white
    colors = {
        "light": ["#24292f", "#cf222e", "#116329", "#7d4e00", "#0550ae", "#8250df", "#1b7c83", "#57606a"],
        "dark": ["#b1bac4", "#ff7b72", "#3fb950", "#d29922", "#79c0ff", "#bc8cff", "#39c5cf", "#ffffff"],
    }[scheme]
    return TerminalTheme(rgb(back), rgb(ink), [rgb(color) for color in colors])


def program_of(command: str) -> list[str]:
    """Return what runs a command of ours."""
    return [sys.executable, "-m", "shape_dnn", *shlex.split(command.removeprefix("shape-dnn "))]


def printed(command: str, columns: int, errors: bool) -> str:
    """Run a command on a terminal of this width, and return what it prints, without blanks at the ends of lines."""
    import fcntl
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHAPE_DNN_")}
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    process = subprocess.Popen(
        program_of(command),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower if errors else subprocess.DEVNULL,
        cwd=ROOT,
        env={**environment, "TERM": "xterm-256color", "PYTHONWARNINGS": "ignore"},
    )
    os.close(follower)
    text = b""
    while True:
        try:
            block = os.read(leader, 1 << 16)
        except OSError:  # nobody writes any more
            break
        if not block:
            break
        text += block
    os.close(leader)
    process.wait()
    lines = text.decode().replace("\r\n", "\n").rstrip().split("\n")
    return "\n".join(line.rstrip() for line in lines)


def text_of(picture: str) -> str:
    """Return what can be read in the picture of a terminal, line by line."""
    rows: dict[float, str] = {}
    for x, y, text in re.findall(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', picture):
        row = rows.get(float(y), "")
        rows[float(y)] = row.ljust(round(float(x) / 12.2)) + html.unescape(text).replace("\xa0", " ")
    return "\n".join(row.rstrip() for _, row in sorted(rows.items()))


def _answer(route: Any, page: str) -> None:
    """Answer a browser with the page. Nobody answers when a live page asks for news, so it stays as it is."""
    if route.request.url == PLACE:
        route.fulfill(body=page, content_type="text/html; charset=utf-8")


@lru_cache(maxsize=8)
def page_of(content: str | Callable[[], str]) -> str:
    """Return a page: what a command writes as its report, or a function returns."""
    if callable(content):
        return content()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "report.html"
        arguments = [*program_of(content), "--report", str(path)]
        subprocess.run(arguments, cwd=ROOT, capture_output=True, check=True)
        return path.read_text(encoding="utf-8")


def essence(page: str) -> str:
    """Return a page without the library of charts, digests of its parts, versions, dates and their times, and zones."""
    library = max(re.findall(r"<script\b[^>]*>.*?</script>", page, re.DOTALL), key=len)
    ours = page.replace(library, "")
    ours = re.sub(r"<meta http-equiv[^>]*>", "", ours)
    ours = re.sub(r"(?<=\b\d\d:\d\d)[+-]\d\d:\d\d\b", "", ours)
    return re.sub(r"\b\d+\.\d+\.\d+[\w.+-]*|\b\d{4}-\d\d-\d\d(?: \d\d:\d\d)?\b", "…", ours)


NUMBER = re.compile(r"(?<![\w#])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w])")


def differences(old: str, new: str) -> list[str]:
    """Tell where two sources differ by more than the last digits of computed numbers."""
    words = [NUMBER.sub("#", text) for text in (old, new)]
    if words[0] != words[1]:
        before, after = ([line.strip() for line in re.split(r"[\n,]", text)] for text in words)
        only = [f"- {line[:200]}" for line in before if line not in set(after)]
        return only + [f"+ {line[:200]}" for line in after if line not in set(before)] or ["other order"]
    pairs = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    return [f"{a} became {b}" for a, b in pairs if a != b and abs(float(a) - float(b)) > _tolerance(a)]


def _tolerance(number: str) -> float:
    """Return by how much another processor may compute a number otherwise: a little, or how it is rounded."""
    decimals = len(number.partition(".")[2]) if "e" not in number.lower() else 0
    return max(2e-3 * abs(float(number)), 1.01 * 10**-decimals if decimals > 1 else 0)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def smaller(picture: bytes, source: str) -> bytes:
    """Return a PNG of at most 128 colours that carries its source."""
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_itxt(SOURCE, source, zip=True)
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True, pnginfo=about)
    return written.getvalue()
