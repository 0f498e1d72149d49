"""The app as the shell starts it: one process, which a signal ends."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from app import shell
from app.session import traces
from app.session.view import ViewState

ROOT = Path(__file__).parents[2]


LISTENER = """
import os, sys
def note(event, args):
    if event in ("socket.connect", "socket.sendto"):
        print(event, args[1], file=log, flush=True)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        print(event, args[0], file=log, flush=True)
log = open(os.environ["NETWORK_LOG"], "a")
sys.addaudithook(note)
"""


@contextmanager
def served(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """The app in a process of its own, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rtdetr_explained.cli", "app", "--headless", "--port", str(port), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    server = subprocess.Popen(command, env=os.environ | environment, **pipes)
    try:
        wait_for(port, server)
        yield server, port
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_app_and_frees_its_port(sign):
    with served() as (server, port):
        server.send_signal(sign)
        printed, _ = server.communicate(timeout=60)
    assert server.returncode == 0
    assert "Traceback" not in printed
    assert "missing ScriptRunContext" not in printed
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("options", [[], ["--public"]])
def test_strangers_are_refused_and_a_visit_lets_nothing_leave_this_computer(tmp_path, options):
    (tmp_path / "sitecustomize.py").write_text(LISTENER)
    log = tmp_path / "network.txt"
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with served(*options, PYTHONPATH=path, NETWORK_LOG=str(log)) as (server, port):
        own, foreign = f"localhost:{port}", f"evil.example:{port}"
        assert [status(port, host) for host in (own, f"127.0.0.1:{port}", foreign)] == [200, 200, 421]
        for host, origin in ((foreign, foreign), (own, foreign), (own, f"localhost:{port - 1}")):
            with pytest.raises(InvalidStatus), visit(port, host, f"http://{origin}"):
                pass
        with visit(port, own, f"http://{own}") as page:
            titles = run_script(page)
            server.send_signal(signal.SIGTERM)  # with a visitor on the page
            printed, _ = server.communicate(timeout=60)
    assert any("Overview" in title for title in titles)
    assert server.returncode == 0
    assert f"http://{own}" in printed
    calls = log.read_text().splitlines()
    outside = [call for call in calls if not any(name in call for name in ("127.0.0.1", "localhost", "::1"))]
    assert outside == []


def status(port: int, host: str) -> int:
    """What the front page answers under a host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse().status
    connection.close()
    return answer


def visit(port: int, host: str, origin: str) -> ClientConnection:
    """A visitor's connection, as the page opens it."""
    uri = f"ws://{host}/_stcore/stream"
    place = {"address": ("127.0.0.1", port), "proxy": None}
    return connect(uri, origin=Origin(origin), subprotocols=[Subprotocol("streamlit")], **place)


def run_script(page: ClientConnection) -> list[str]:
    """Let the page be drawn; its headings and texts."""
    page.send(BackMsg(rerun_script=ClientState(query_string="")).SerializeToString())
    texts = []
    while True:
        message = ForwardMsg.FromString(page.recv(timeout=60, decode=False))
        if message.WhichOneof("type") == "delta":
            texts.append(message.delta.new_element.markdown.body)
        elif message.WhichOneof("type") == "script_finished":
            return texts


def test_what_is_prepared_is_what_the_first_visitor_sees():
    shell.prepare()
    ready = traces.trace_of(ViewState())
    assert ready is traces.trace_of(ViewState())
    assert ready.meta["model"] == "nano-photo"


def test_the_app_is_imported_without_what_takes_long():
    code = "import sys, app.shell, app.depths; print(*({'torch', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def wait_for(port: int, server: subprocess.Popen) -> None:
    """Until the server answers."""
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
            return
        except OSError:
            assert server.poll() is None, "the server ended by itself"
            time.sleep(0.25)
    raise AssertionError("the server did not answer within a minute")
