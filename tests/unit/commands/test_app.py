"""`rtdetr-explained app`, as far as Streamlit itself."""

import sys
from pathlib import Path

from rtdetr_explained import cli
from rtdetr_explained.commands import app


def test_app_starts_streamlit_where_the_app_lies(monkeypatch, tmp_path):
    started = {}

    def main(arguments, **options):
        started.update(arguments=arguments, folder=Path.cwd(), path=sys.path[0])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("streamlit.web.cli.main", main)
    monkeypatch.setattr(app, "prepare", lambda: started.update(prepared=True))
    assert cli.main(["app", "--port", "9999", "--headless"]) == 0
    assert (started["folder"] / "streamlit_app.py").is_file()
    assert started["path"] == str(started["folder"])
    assert started["arguments"][:2] == ["run", "streamlit_app.py"]
    assert started["arguments"][2:] == ["--server.port", "9999", "--server.headless", "true"]
    assert started["prepared"]
