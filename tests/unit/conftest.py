"""What the unit tests share: one small detector and its traces; tests for a GPU are left out where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch  # slow to import, so only where such a test was collected

    if not torch.cuda.is_available():
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]
