"""Servers and networks that refuse, and files that are not the ones wanted."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request

import pytest
from download_server import BODY, SHA256, corrupt, left_behind, status, unannounced, whole

from rtdetr_explained.errors import InputError
from rtdetr_explained.weights import download
from rtdetr_explained.weights.download import DownloadError, fetch


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


def test_without_an_announced_length_the_known_size_is_checked(server, get):
    server.behaviours = [unannounced]
    with pytest.raises(DownloadError, match="has 600000 bytes instead of 600001"):
        get(size=len(BODY) + 1)


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
