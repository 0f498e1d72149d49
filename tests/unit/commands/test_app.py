"""`rtdetr-explained app`, as far as Streamlit itself: what is served to whom."""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rtdetr_explained import cli
from rtdetr_explained.commands import app


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """What Streamlit is started with instead of being started."""
    started = SimpleNamespace(prepared=False)

    class App:
        def __init__(self, script, lifespan, middleware):
            [known] = middleware
            started.__dict__.update(script=script, opens=lifespan is not None, door=known.cls(None, **known.kwargs))

        def run(self, config):
            started.__dict__.update(config=config, folder=Path.cwd(), path=sys.path[0])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv(app.OPEN_FILES, "")
    monkeypatch.setattr("streamlit.starlette.App", App)
    monkeypatch.setattr(app, "prepare", lambda: setattr(started, "prepared", True))
    return started


def test_streamlit_is_started_where_the_app_lies(started: SimpleNamespace) -> None:
    assert cli.main(["app", "--port", "9999", "--headless"]) == 0
    assert started.script == started.folder / "streamlit_app.py"
    assert started.script.is_file()
    assert started.path == str(started.folder)
    assert started.config["server.port"] == 9999
    assert not started.opens
    assert started.prepared
    assert cli.main(["app"]) == 0
    assert started.opens


@pytest.mark.parametrize(
    ("arguments", "listens", "opens_files", "served", "refused"),
    [
        ([], "127.0.0.1", "1", "localhost 127.0.0.1", "192.168.0.7 detr.example.org"),
        (["--no-open-files"], "127.0.0.1", "0", "localhost", "192.168.0.7"),
        (["--public"], None, "0", "localhost 192.168.0.7 8.8.8.8", "detr.example.org"),
        (["--host", "detr.example.org"], "127.0.0.1", "0", "localhost detr.example.org", "192.168.0.7 example.org"),
        (["--public", "--host", "a.org", "--host", "B.org"], None, "0", "10.0.0.1 a.org b.org", "c.org"),
    ],
)
def test_who_is_served_and_who_may_open_files(
    started: SimpleNamespace, arguments: list[str], listens: str | None, opens_files: str, served: str, refused: str
) -> None:
    assert cli.main(["app", *arguments]) == 0
    assert started.config.get("server.address") == listens
    assert os.environ[app.OPEN_FILES] == opens_files
    assert [name for name in f"{served} {refused}".split() if started.door.serves(name)] == served.split()


@pytest.mark.parametrize("others", [["--public"], ["--host", "detr.example.org"]])
def test_strangers_never_open_files(started: SimpleNamespace, capsys: pytest.CaptureFixture[str], others) -> None:
    assert cli.main(["app", "--open-files", *others]) == 2
    assert "Strangers must not open files" in capsys.readouterr().err
    assert not hasattr(started, "config")


@pytest.mark.parametrize("name", ["https://example.org", "example.org:80", "a b", "", "example.org/path", "*"])
def test_a_host_is_a_name_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["app", "--host", name])
    assert "is no name of a host" in capsys.readouterr().err
