"""Wheel build step: put the Streamlit files inside the package as `rtdetr_explained/_app`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

APP_FILES = ("streamlit_app.py", "app", ".streamlit/config.toml")


class AppFilesHook(BuildHookInterface):
    """Adds the app files to a real wheel; an editable install runs them from the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map every file of the app that is Python, configuration or an asset to its place in the wheel."""
        if version == "editable":
            return
        root = Path(self.root)
        for name in APP_FILES:
            path = root / name
            if not path.exists():
                raise FileNotFoundError(f"{path} is part of the app and must be in the wheel, but it is not there.")
            files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
            for file in files:
                if "__pycache__" not in file.parts:
                    inside = file.relative_to(root).as_posix()
                    build_data["force_include"][str(file)] = f"rtdetr_explained/_app/{inside}"
