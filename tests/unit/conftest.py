"""What the unit tests share: a trace to draw from; tests for a GPU are left out where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector
    from rtdetr_explained.tracing.trace import Trace


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch  # slow to import, so only where such a test was collected

    if not torch.cuda.is_available():
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]


@pytest.fixture(scope="session")
def nano_detector() -> Detector:
    """nano with random weights, always the same ones."""
    import torch

    from rtdetr_explained.detector import Detector
    from rtdetr_explained.model.config import CONFIGS
    from rtdetr_explained.model.rtdetr import RTDETR

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Detector(RTDETR(CONFIGS["nano"]).eval())


@pytest.fixture(scope="session")
def nano_trace(nano_detector: Detector) -> Trace:
    """The default trace of a generated scene of 320 × 200 pixels."""
    from rtdetr_explained.data.shapes import SceneConfig, generate_scene

    return nano_detector.trace(generate_scene(7, SceneConfig(size=(200, 320))).image)
