"""Downloads that work, and the cache they go to."""

from __future__ import annotations

import errno
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from download_server import BODY, SHA256, Handler, left_behind, status, unannounced, whole
from filelock import FileLock

from rtdetr_explained.weights.download import DownloadError, default_cache_dir, fetch


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


def test_a_server_that_announces_no_length(server, get):
    server.behaviours = [unannounced]
    totals = set()
    assert get(progress=lambda done, total: totals.add(total)).read_bytes() == BODY
    assert totals == {None}


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


def test_where_the_cache_is(monkeypatch, tmp_path, server):
    monkeypatch.setenv("RTDETR_EXPLAINED_CACHE", str(tmp_path / "mine"))
    assert default_cache_dir() == tmp_path / "mine"
    assert fetch(server.url, "weights.pth") == tmp_path / "mine" / "weights.pth"
    monkeypatch.setenv("RTDETR_EXPLAINED_CACHE", "")
    assert default_cache_dir().name == "rtdetr-explained"
    assert default_cache_dir().is_absolute()


def test_a_flipped_bit_in_the_cache_is_noticed_and_the_file_fetched_again(server, get, tmp_path):
    path = get()  # no hash is known for it: that of its arrival is kept
    damaged = bytearray(BODY)
    damaged[100] ^= 1
    path.write_bytes(damaged)
    assert get() == path
    assert path.read_bytes() == BODY
    assert len(server.requests) == 2
    path.write_bytes(damaged)
    assert get(sha256=SHA256, size=len(BODY)).read_bytes() == BODY
