"""What every test shares: one thread, a cache of its own, and the browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Property tests try the same bounded number of examples everywhere; a machine under load is no reason to fail.
settings.register_profile("fixed", max_examples=100, derandomize=True, database=None, deadline=None)
settings.load_profile("fixed")

# Several test processes share the cores, and threads of torch that wait for each other's turn are slower than one. Read
# by torch when it is imported, so it must be set before any test module does that.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point the download cache at a temporary directory, for this process and those it starts."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTDETR_EXPLAINED_CACHE", str(cache))
        yield cache


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of an installed Chromium or Chrome; without one the test is skipped, or fails where one is required."""
    found = next(filter(None, map(shutil.which, (*CHROMIUM_NAMES, MACOS_CHROME))), None)
    if found:
        return found
    message = "no Chromium or Chrome was found; install one, for instance with `apt-get install chromium`"
    if os.environ.get("RTDETR_EXPLAINED_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)
