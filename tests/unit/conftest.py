"""What the unit tests share: a detector, its traces, a server; tests for a GPU are left out where there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from download_server import Server

    from rtdetr_explained.detector import Detector
    from rtdetr_explained.tracing.trace import Trace


@pytest.fixture(scope="session")
def detector() -> Detector:
    """A very small detector with random weights that is never changed."""
    from random_models import random_model

    from rtdetr_explained.detector import Detector

    return Detector(random_model())


@pytest.fixture(scope="session")
def trace(detector: Detector) -> Trace:
    """Everything about one photo, 150 px wide and 100 px high, seen at 128 x 96 px."""
    from random_models import random_photo

    return detector.trace(random_photo(100, 150), sites="all")


@pytest.fixture(scope="session")
def noised(detector: Detector, trace: Trace) -> Trace:
    """The same photo with three objects, which make three groups of six denoising queries."""
    import numpy as np

    boxes = np.array([[0.3, 0.4, 0.2, 0.3], [0.7, 0.6, 0.3, 0.2], [0.5, 0.2, 0.1, 0.1]], dtype=np.float32)
    return detector.trace_denoising(trace, boxes, np.array([1, 0, 4]), seed=3)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine that a test tells how to behave."""
    from download_server import Server

    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Callable[..., Path]:
    """`fetch` from the server, without long pauses."""
    from rtdetr_explained.weights.download import fetch

    def get(**options) -> Path:
        options = {"cache_dir": tmp_path, "timeout_s": 10, "backoff_s": 0.01} | options
        return fetch(server.url, "weights.pth", **options)

    return get


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch  # slow to import, so only where such a test was collected

    if not torch.cuda.is_available():
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]
