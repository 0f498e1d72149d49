"""The app under test, and the embedded model's traces shared by all tests of a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def open_app() -> Callable[..., AppTest]:
    """Open the app at a page, with the query parameters of a link."""

    def open_at(slug: str = "overview", **params: Any) -> AppTest:
        at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
        at.switch_page(f"app/stages/{slug}.py")  # pages are named like their files, so this works before the first run
        for key, value in params.items():
            at.query_params[key] = str(value)
        return at.run()

    return open_at
