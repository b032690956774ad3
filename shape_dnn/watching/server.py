"""Serving the pages of watched studies to browsers on this machine, and to nobody else.

Nothing can be changed through it: it answers GET and HEAD alone, under an address that nobody guesses.
"""

from __future__ import annotations

import errno
import json
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from typing import Any

from shape_dnn.errors import UsageError
from shape_dnn.watching import pages
from shape_dnn.watching.studies import SECONDS, Directory, Watched

HOST = "127.0.0.1"
HTTP = 80
"""The port that no address needs to name."""
BEAT = 15.0
"""Seconds after which a page is told that all is well, if there is nothing else to tell."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    """Serves the pages of some studies.

    Args:
        directory: the studies.
        port: where; 0 for one that is free.

    Attributes:
        directory: the studies.
        token: first part of every address.
        closing: set when it ends.

    Raises:
        UsageError: the port cannot be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: Directory, port: int = 0) -> None:
        self.directory = directory
        self.token = secrets.token_urlsafe(18)
        self.closing = Flag()
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            message = f"port {port} cannot be used: {error.strerror}; choose another, or leave it out to have one found"
            raise UsageError(message, setting="port") from None

    @property
    def address(self) -> str:
        """Where the first page is."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away in the middle."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        """Bind without looking up the name of this machine, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    server_version, sys_version = "shape_dnn", ""
    timeout = 60

    def do_GET(self) -> None:
        """Answer with a page, with what is new, or with a stream of news."""
        if self.headers.get("Host", "") not in self._own_names():  # a name that somebody has led to this machine
            return self._refuse(HTTPStatus.FORBIDDEN)
        _, _, path = self.path.partition("?")[0].partition("/")
        token, *rest = path.split("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            return self._refuse(HTTPStatus.NOT_FOUND)
        directory = self.server.directory
        studies = directory.studies()
        match rest:
            case ["study", identity, name] if identity in studies:
                return self._study(studies[identity], name)
            case [name] if directory.is_single and studies:
                return self._study(next(iter(studies.values())), name)
            case [""]:
                return self._html(pages.of_all())
            case ["content.json"]:
                directory.look()
                return self._json(directory.in_short())
            case ["events"]:
                return self._events(directory.look, lambda seen: {"facts": list(seen)})
        return self._refuse(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """Answer as to GET, without content; to whatever else is asked, Python's server answers that it cannot."""
        self.do_GET()

    def _study(self, study: Watched, name: str) -> None:
        study.look()
        if name == "":
            return self._html(pages.of_study(study, is_single=self.server.directory.is_single))
        if name == "content.json":
            return self._json(study.content())
        if name == "events":
            return self._events(study.look, lambda _: study.live())
        return self._refuse(HTTPStatus.NOT_FOUND)

    def _own_names(self) -> tuple[str, ...]:
        """Return what browsers call this server; they leave out the port where it is that of every server."""
        names, port = (HOST, "localhost"), self.server.server_port
        return (*(f"{name}:{port}" for name in names), *(names if port == HTTP else ()))

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status, "text/plain", f"{status.phrase}\n".encode())

    def _html(self, text: str) -> None:
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", text.encode())

    def _json(self, value: object) -> None:
        self._send(HTTPStatus.OK, "application/json", json.dumps(value, allow_nan=False).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _events(self, look: Callable[[], Any], tell: Callable[[Any], object]) -> None:
        """Tell what is new whenever something is, until the browser goes away or the server ends."""
        self.send_response(HTTPStatus.OK)
        for name, value in {**HEADERS, "Content-Type": "text/event-stream"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        before, silence = object(), 0.0
        with suppress(OSError):  # it went away
            while True:
                seen = look()
                if seen != before:
                    news = json.dumps(tell(seen), allow_nan=False)
                    self.wfile.write(f"retry: 1000\ndata: {news}\n\n".encode())
                    before, silence = seen, 0.0
                elif silence >= BEAT:
                    self.wfile.write(b"event: beat\ndata:\n\n")
                    silence = 0.0
                if self.server.closing.wait(SECONDS):
                    return
                silence += SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing: what is asked for has the token in it."""


@contextmanager
def serving(directory: Directory, port: int = 0) -> Iterator[Server]:
    """Serve the pages of some studies; ``serve_forever`` does so.

    Raises:
        UsageError: the port cannot be had.
    """
    server = Server(directory, port)
    try:
        yield server
    finally:
        server.closing.set()
        server.server_close()
