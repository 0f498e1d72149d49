"""The download against a local server that truncates, stalls, refuses, corrupts and changes its mind."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from rtdetr_explained.errors import InputError
from rtdetr_explained.model import download
from rtdetr_explained.model.download import DownloadError, default_cache_dir, fetch

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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Callable[..., Path]:
    """`fetch` from the server, without long pauses."""

    def get(**options) -> Path:
        options = {"cache_dir": tmp_path, "timeout_s": 10, "backoff_s": 0.01} | options
        return fetch(server.url, "weights.pth", **options)

    return get


def left_behind(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"weights.pth", "weights.pth.lock"}


def test_a_file_is_fetched_once_and_then_there_without_a_network(server, get, tmp_path):
    seen = []
    path = get(sha256=SHA256.upper(), size=len(BODY), progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "weights.pth"
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    server.behaviours = [status(500)]
    assert get(sha256=SHA256, size=len(BODY)) == path
    assert len(server.requests) == 1
    assert left_behind(tmp_path) == set()


def test_a_cached_file_of_the_wrong_size_is_fetched_again(get, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"half")
    assert get(size=len(BODY)).read_bytes() == BODY


def test_a_truncated_transfer_is_resumed_where_it_broke_off(server, get):
    server.behaviours = [truncated, truncated, whole]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", "bytes=200000-"]
    assert [request.get("If-Range") for request in server.requests] == [None, '"one"', '"one"']


def test_a_transfer_that_goes_on_may_break_off_more_often_than_there_are_attempts(server, get):
    server.behaviours = [truncated]
    assert get(attempts=1, sha256=SHA256).read_bytes() == BODY
    assert len(server.requests) == 6


def test_a_stalled_transfer_is_resumed(server, get):
    server.behaviours = [stalling, whole]
    assert get(sha256=SHA256, timeout_s=0.5).read_bytes() == BODY
    assert server.ranges()[0] is None
    assert server.ranges()[-1] == "bytes=100000-"


def test_a_server_that_always_stalls_is_given_up(server, get):
    server.behaviours = [lambda handler: handler.server.over.wait(20)]
    with pytest.raises(DownloadError, match=r"sent nothing for 0.1 s; .* nano works offline"):
        get(attempts=2, timeout_s=0.1)
    assert len(server.requests) == 2


def test_without_ranges_the_transfer_starts_again(server, get):
    server.behaviours = [truncated, without_ranges(None)]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-"]


def test_transfers_that_always_break_off_at_the_same_place_are_given_up(server, get, tmp_path):
    server.behaviours = [without_ranges(100_000)]
    with pytest.raises(DownloadError, match="closed after 100000 of 600000 bytes"):
        get(attempts=3)
    assert len(server.requests) == 4  # one that got somewhere, three that got no further
    assert not (tmp_path / "weights.pth").exists()


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server, get):
    server.behaviours = [truncated, status(503), whole]
    with pytest.raises(DownloadError, match="503"):
        get(attempts=1)
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", "bytes=100000-"]


def test_the_leftover_of_another_address_is_not_continued(server, get, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(OTHER_BODY[:1000])
    (tmp_path / "weights.pth.part.tag").write_text('http://elsewhere/weights.pth\n"one"')
    assert get().read_bytes() == BODY
    assert server.ranges() == [None]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"one"'}], ids=["no tag", "weak tag"])
def test_without_a_strong_tag_the_transfer_starts_again(server, get, headers):
    server.behaviours = [lambda handler: handler.answer(BODY, send=100_000, **headers), whole]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, None]


def test_the_date_of_the_last_change_serves_as_a_tag(server, get):
    date = {"Last_Modified": "Sat, 01 Aug 2026 00:00:00 GMT"}
    server.behaviours = [
        lambda handler: handler.answer(BODY, send=100_000, **date),
        lambda handler: handler.answer(BODY, start=handler.start, **date),
    ]
    assert get().read_bytes() == BODY
    assert server.requests[1]["If-Range"] == date["Last_Modified"]


def test_a_file_that_changed_between_attempts_is_fetched_whole(server, get):
    server.behaviours = [
        lambda handler: handler.answer(OTHER_BODY, send=100_000, ETag='"another"'),
        whole,
    ]
    assert get().read_bytes() == BODY


@pytest.mark.parametrize("shift", [0, 5], ids=["changed tag", "other start"])
def test_a_part_that_does_not_fit_is_not_appended(server, get, shift):
    tag = '"one"' if shift else '"another"'
    server.behaviours = [
        truncated,
        lambda handler: handler.answer(OTHER_BODY, start=handler.start + shift, ETag=tag),
        whole,
    ]
    assert get().read_bytes() == BODY
    assert server.ranges() == [None, "bytes=100000-", None]


def test_a_part_longer_than_the_file_is_dropped(server, get, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(BODY + b"more")
    (tmp_path / "weights.pth.part.tag").write_text(f'{server.url}\n"one"')
    server.behaviours = [status(416), whole]
    assert get().read_bytes() == BODY


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server, get, code):
    server.behaviours = [status(code), status(code), whole]
    assert get().read_bytes() == BODY


def test_a_server_that_stays_in_trouble_is_given_up(server, get):
    server.behaviours = [status(500)]
    with pytest.raises(DownloadError, match=r"answered 500 \(Internal Server Error\).* nano works offline"):
        get(attempts=3)
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_missing_file_is_not_asked_for_again(server, get, tmp_path, code):
    server.behaviours = [status(code)]
    with pytest.raises(DownloadError, match=rf"answered {code} .* nano works offline"):
        get()
    assert len(server.requests) == 1
    assert left_behind(tmp_path) == set()


def test_a_corrupted_file_is_fetched_again_from_the_start(server, get):
    server.behaviours = [corrupt, whole]
    assert get(sha256=SHA256).read_bytes() == BODY
    assert server.ranges() == [None, None]


def test_a_file_corrupted_twice_is_refused_and_removed(server, get, tmp_path):
    server.behaviours = [corrupt]
    with pytest.raises(DownloadError, match="does not have the SHA-256"):
        get(sha256=SHA256)
    assert len(server.requests) == 2
    assert not (tmp_path / "weights.pth").exists()
    assert left_behind(tmp_path) == set()


def test_a_file_of_the_wrong_length_is_refused(server, get, tmp_path):
    server.behaviours = [lambda handler: handler.answer(b"<html>Please sign in</html>")]
    seen = []
    with pytest.raises(DownloadError, match="has 27 bytes instead of 600000"):
        get(size=len(BODY), progress=lambda done, total: seen.append(done))
    assert seen == []  # the announced length was enough to know
    assert left_behind(tmp_path) == set()


def unannounced(handler: Handler) -> None:
    """Neither a length nor chunks: the end of the connection is the end of the file."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(BODY)


def chunked(handler: Handler, closing: bytes) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n" + closing)


def test_a_server_that_announces_no_length(server, get):
    server.behaviours = [unannounced]
    totals = set()
    assert get(progress=lambda done, total: totals.add(total)).read_bytes() == BODY
    assert totals == {None}


def test_without_an_announced_length_the_known_size_is_checked(server, get):
    server.behaviours = [unannounced]
    with pytest.raises(DownloadError, match="has 600000 bytes instead of 600001"):
        get(size=len(BODY) + 1)


def test_chunks_that_end_too_early_are_noticed(server, get):
    server.behaviours = [lambda handler: chunked(handler, b""), lambda handler: chunked(handler, b"0\r\n\r\n")]
    assert get().read_bytes() == BODY
    assert len(server.requests) == 2


def test_redirections_are_followed(server, get):
    def elsewhere(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/storage/42")
        handler.end_headers()

    server.behaviours = [elsewhere, whole]
    assert get().read_bytes() == BODY


def test_many_threads_fetch_one_file_once(server, get):
    server.behaviours = [lambda handler: (time.sleep(0.1), whole(handler))[1]]
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: get(), range(8)))
    assert [path.read_bytes() == BODY for path in paths] == [True]
    assert len(server.requests) == 1


def test_while_another_process_fetches_the_file_we_wait_for_it(server, get, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        # The lock belongs to an open file, so another lock object stands for another process as well.
        with FileLock(tmp_path / "weights.pth.lock"):
            waiting = pool.submit(get)
            time.sleep(0.2)
            assert not waiting.done()
            (tmp_path / "weights.pth").write_bytes(BODY)
        assert waiting.result(5).read_bytes() == BODY
    assert server.requests == []


def test_an_interrupted_caller_leaves_a_part_to_go_on_from(server, get):
    def cancel(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=cancel)
    assert get(sha256=SHA256).read_bytes() == BODY
    assert server.ranges()[1] is not None


def test_too_small_a_disk_is_noticed_before_anything_is_written(get, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DownloadError, match=r"0 MB free, but 1 MB are needed; .*RTDETR_EXPLAINED_CACHE"):
        get()
    assert left_behind(tmp_path) == set()


@pytest.mark.parametrize(
    ("code", "message"), [(errno.ENOSPC, "is full"), (errno.EROFS, r"cannot be written \(.*[Rr]ead-only")]
)
def test_a_disk_that_takes_no_more_is_reported(server, get, monkeypatch, code, message):
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(DownloadError, match=message):
            get()
    assert len(server.requests) == 1
    assert get().read_bytes() == BODY


def test_a_cache_directory_that_cannot_be_made_is_reported(get, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="RTDETR_EXPLAINED_CACHE"):
        get(cache_dir=tmp_path / "file" / "cache")


def test_without_a_network_nothing_is_tried_twice(get, monkeypatch):
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DownloadError, match=r"no network .* nano works offline"):
        get()
    assert len(calls) == 1


def test_a_refused_connection(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DownloadError, match=r"refused the connection; .* nano works offline"):
        fetch(f"http://127.0.0.1:{port}/weights.pth", "weights.pth", cache_dir=tmp_path, attempts=2, backoff_s=0.01)


def test_an_untrusted_certificate_is_not_tried_twice(get, monkeypatch):
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(DownloadError, match="certificate could not be verified"):
        get()
    assert len(calls) == 1


def test_where_the_cache_is(monkeypatch, tmp_path, server):
    monkeypatch.setenv("RTDETR_EXPLAINED_CACHE", str(tmp_path / "mine"))
    assert default_cache_dir() == tmp_path / "mine"
    assert fetch(server.url, "weights.pth") == tmp_path / "mine" / "weights.pth"
    monkeypatch.setenv("RTDETR_EXPLAINED_CACHE", "")
    assert default_cache_dir().name == "rtdetr-explained"
    assert default_cache_dir().is_absolute()


def test_errors_are_input_errors_of_one_sentence(server, get):
    server.behaviours = [status(404)]
    with pytest.raises(InputError) as caught:
        get()
    message = str(caught.value)
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message


def test_pauses_grow(server, get, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.behaviours = [status(500)]
    with pytest.raises(DownloadError):
        get(attempts=4, backoff_s=0.5)
    assert pauses == [0.5, 1.0, 2.0]
