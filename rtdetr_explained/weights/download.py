"""Fetch a weights file once: resumed when it breaks off, checked, put in place in one step, offline afterwards."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock

from rtdetr_explained.errors import InputError

Progress = Callable[[int, int | None], None]

_CHUNK_BYTES = 256 * 1024
_WORTH_RETRYING = {408, 425, 429, 500, 502, 503, 504}
_OFFLINE_HINT = "the embedded model nano works offline"


class DownloadError(InputError):
    """A file could not be fetched; the message is one sentence that says what happened and what to do."""


class _Interrupted(Exception):
    """The transfer broke off; trying again may help."""


class _WrongBytes(Exception):
    """What arrived is not the file that was asked for."""


def default_cache_dir() -> Path:
    """Where downloads are kept: `$RTDETR_EXPLAINED_CACHE`, or else the platform's cache directory of the user."""
    override = os.environ.get("RTDETR_EXPLAINED_CACHE")
    return (
        Path(override).expanduser() if override else platformdirs.user_cache_path("rtdetr-explained", appauthor=False)
    )


def fetch(
    url: str,
    name: str,
    sha256: str | None = None,
    size: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    *,
    timeout_s: float = 20.0,
    attempts: int = 4,
    backoff_s: float = 0.5,
) -> Path:
    """Return the path of the cached file `name`, fetching it from `url` if it is not there yet.

    `sha256` (hexadecimal) and `size` (bytes) are checked when given, the announced length always. `progress` is called
    with the bytes so far and in all (None if unknown); it starts lower again when a transfer cannot be resumed.
    `timeout_s` bounds the wait for a connection and for each further piece of data. The transfer is given up after
    `attempts` in a row that got no further, with a pause of `backoff_s`, doubled each time, between them.
    Several threads or processes may ask for the same file; one fetches it, the others wait.

    Raises `DownloadError`.
    """
    directory = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    path = directory / name
    if _is_complete(path, size, sha256):
        return path
    with _disk_errors(directory):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        lock.acquire()
    try:
        if not _is_complete(path, size, sha256):  # it may have arrived while we waited for the lock
            part = path.with_name(f"{name}.part")
            _fetch_part(url, part, sha256, size, progress, timeout_s, attempts, backoff_s)
            with _disk_errors(directory):
                _sum_path(path).write_text(_sha256(part), encoding="ascii")
                os.replace(part, path)
                _tag_path(part).unlink(missing_ok=True)
    finally:
        lock.release()
    return path


def _is_complete(path: Path, size: int | None, sha256: str | None) -> bool:
    """Whether the file is in the cache, bit for bit: with the hash known for it, or else the one of its arrival."""
    if not path.is_file() or (size is not None and path.stat().st_size != size):
        return False
    kept = _sum_path(path)
    expected = sha256 or (kept.read_text(encoding="ascii") if kept.is_file() else None)
    return expected is None or _sha256(path) == expected.strip().lower()


def _sum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _fetch_part(
    url: str,
    part: Path,
    sha256: str | None,
    size: int | None,
    progress: Progress | None,
    timeout_s: float,
    attempts: int,
    backoff_s: float,
) -> None:
    """Try until `part` holds the whole, right file; give up when attempts get no further or it is wrong twice."""
    furthest, failures, was_wrong = _size_of(part), 0, False
    while True:
        try:
            _transfer(url, part, size, progress, timeout_s)
            _check(part, sha256, size)
            return
        except _WrongBytes as error:
            _discard(part)
            if was_wrong:
                raise DownloadError(f"The file at {url} {error}; try again later, {_OFFLINE_HINT}.") from error
            was_wrong, furthest = True, 0
        except _Interrupted as error:
            got = _size_of(part)
            failures = 0 if got > furthest else failures + 1
            furthest = max(furthest, got)
            if failures >= attempts:
                raise DownloadError(
                    f"Fetching {url} failed: {error}; check the connection and try again, {_OFFLINE_HINT}."
                ) from error
            time.sleep(backoff_s * 2 ** max(failures - 1, 0))


def _transfer(url: str, part: Path, size: int | None, progress: Progress | None, timeout_s: float) -> None:
    """One attempt: continue `part` if the server still has the same file, else write it from the start."""
    offset, tag = _resumable(part, url)
    headers = {"User-Agent": "rtdetr-explained"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": tag}
    with _open(url, headers, timeout_s, part) as response:
        if response.status == 206:
            start, total = _content_range(response)
            if start != offset or _strong_tag(response) not in ("", tag):
                _discard(part)
                raise _Interrupted("the file changed on the server")
        else:
            offset, tag = 0, _strong_tag(response)
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        if size is not None and total not in (None, size):
            raise _WrongBytes(f"has {total} bytes instead of {size}")
        expected = total if total is not None else size
        done = offset
        with _disk_errors(part.parent):
            _make_sure_of_space(part.parent, (expected or 0) - offset)
            if not offset:
                _discard(part)
                _tag_path(part).write_text(f"{url}\n{tag}", encoding="utf-8")
            with part.open("ab") as file:
                for chunk in _chunks(response, timeout_s):
                    file.write(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, expected)
                file.flush()
                os.fsync(file.fileno())
    if total is not None and done < total:
        raise _Interrupted(f"the connection closed after {done} of {total} bytes")


def _open(url: str, headers: dict[str, str], timeout_s: float, part: Path) -> http.client.HTTPResponse:
    """Send the request; sort what goes wrong into errors that a retry may cure and errors that it cannot."""
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answered {error.code} ({error.reason})"
        if error.code == 416:  # what we have is longer than the file is now
            _discard(part)
            raise _Interrupted(answer) from error
        if error.code in _WORTH_RETRYING:
            raise _Interrupted(answer) from error
        raise DownloadError(f"Fetching {url} failed: {answer}; check the address, {_OFFLINE_HINT}.") from error
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, socket.gaierror):
            raise DownloadError(
                f"Fetching {url} failed: there seems to be no network (its host was not found); "
                f"connect and try again, {_OFFLINE_HINT}."
            ) from error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"Fetching {url} failed: its certificate could not be verified; "
                f"check the clock and the proxy of this machine, {_OFFLINE_HINT}."
            ) from error
        raise _Interrupted(_network_reason(reason, timeout_s)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_network_reason(error, timeout_s)) from error


def _chunks(response: http.client.HTTPResponse, timeout_s: float) -> Iterator[bytes]:
    """The body in pieces as they arrive."""
    while True:
        try:
            chunk = response.read1(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(_network_reason(error, timeout_s)) from error
        if not chunk:
            return
        yield chunk


def _network_reason(error: object, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"the server sent nothing for {timeout_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the server refused the connection"
    if isinstance(error, ConnectionError | http.client.HTTPException):
        return "the connection broke off"
    return f"there is no connection ({error})"


def _check(part: Path, sha256: str | None, size: int | None) -> None:
    """Compare the finished file with its known size and hash."""
    if size is not None and part.stat().st_size != size:
        raise _WrongBytes(f"has {part.stat().st_size} bytes instead of {size}")
    if sha256 is None:
        return
    if _sha256(part) != sha256.lower():
        raise _WrongBytes("does not have the SHA-256 that is known for it")


# A part can be continued only with a tag that proves the file on the server to be the same; it is kept beside the part.


def _tag_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _resumable(part: Path, url: str) -> tuple[int, str]:
    """How many bytes of `part` can be kept, and the tag of the file they come from."""
    try:
        of_url, _, tag = _tag_path(part).read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return 0, ""
    return (_size_of(part), tag) if tag and of_url == url else (0, "")


def _strong_tag(response: http.client.HTTPResponse) -> str:
    """The ETag, unless it is weak (equal for files that differ in bytes), or else the date of the last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _content_range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """The first byte and the total of a partial answer such as `bytes 100-199/200`."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not match:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _size_of(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_path(part).unlink(missing_ok=True)


def _make_sure_of_space(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise DownloadError(
            f"The disk of {directory} has {free / 1e6:.0f} MB free, but {needed / 1e6:.0f} MB are needed; "
            "free some space or set RTDETR_EXPLAINED_CACHE to another directory."
        )


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence."""
    try:
        yield
    except OSError as error:
        what = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"cannot be written ({error.strerror})"
        raise DownloadError(
            f"The cache directory {directory} {what}; make room or set RTDETR_EXPLAINED_CACHE to another directory."
        ) from error
