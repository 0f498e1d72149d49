"""A local server for the tests of downloads, that truncates, stalls, refuses, corrupts and changes its mind."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BODY = random.Random(0).randbytes(600_000)
OTHER_BODY = random.Random(1).randbytes(600_000)
SHA256 = hashlib.sha256(BODY).hexdigest()

Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next behaviour of its server, the last one over and over."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        with self.server.guard:
            number = len(self.server.requests)
            self.server.requests.append(dict(self.headers))
        behaviours = self.server.behaviours
        behaviours[min(number, len(behaviours) - 1)](self)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, body: bytes, *, send: int | None = None, start: int = 0, **headers: str) -> None:
        """Send the headers for `body[start:]`, but only `send` bytes of it."""
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[start:] if send is None else body[start : start + send])

    @property
    def start(self) -> int:
        """The first byte of the request's range, 0 without one."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, str]] = []
        self.behaviours: list[Behaviour] = [whole]
        self.guard = threading.Lock()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pth"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of these tests, and theirs is the side that is checked."""

    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.requests]


def whole(handler: Handler) -> None:
    """A well-behaved server: honours Range and If-Range."""
    same = handler.headers.get("If-Range") == '"one"'
    handler.answer(BODY, start=handler.start if same else 0, ETag='"one"')


def truncated(handler: Handler) -> None:
    """Closes the connection after another 100,000 bytes."""
    handler.answer(BODY, start=handler.start, send=100_000, ETag='"one"')


def without_ranges(send: int | None) -> Behaviour:
    return lambda handler: handler.answer(BODY, send=send, ETag='"one"')


def stalling(handler: Handler) -> None:
    handler.answer(BODY, start=handler.start, send=100_000, ETag='"one"')
    handler.wfile.flush()
    handler.server.over.wait(20)


def status(code: int) -> Behaviour:
    return lambda handler: handler.send_error(code)


def corrupt(handler: Handler) -> None:
    handler.answer(OTHER_BODY, ETag='"one"')


def unannounced(handler: Handler) -> None:
    """Neither a length nor chunks: the end of the connection is the end of the file."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(BODY)


def left_behind(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"weights.pth", "weights.pth.lock", "weights.pth.sha256"}
