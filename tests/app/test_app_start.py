"""The app as the shell starts it: one process, which a signal ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from app import shell
from app.session import models
from app.session.state import ViewState

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_app_and_frees_its_port(sign):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rtdetr_explained.cli", "app", "--headless", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(port, server)
        server.send_signal(sign)
        printed, _ = server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode == 0
    assert "Traceback" not in printed
    assert "missing ScriptRunContext" not in printed
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0


def test_what_is_prepared_is_what_the_first_visitor_sees():
    shell.prepare()
    ready = models.trace_of(ViewState())
    assert ready is models.trace_of(ViewState())
    assert ready.meta["model"] == "nano"


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
