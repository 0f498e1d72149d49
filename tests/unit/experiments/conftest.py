"""What the tests of the experiments share."""

import pytest

from rtdetr_explained.experiments.result import ARMS, Result


@pytest.fixture
def result() -> Result:
    """Three epochs of 800 images."""

    def arm(ap: list[float], changes: list[float], loss: list[float], ms: float) -> dict:
        ends = [800, 1600, 2400]
        return {
            "seconds": 2400 * ms / 1000,
            "ms_per_image": ms,
            "loss": {"images": [400, 800, 1200, 1600, 2000, 2400], "loss": loss},
            "evaluations": {"images": ends, "AP": ap, "AP50": [value + 0.1 for value in ap]},
            "instability": {"images": ends[1:], "changes": changes},
        }

    return {
        "schema": 1,
        "settings": {"model": "nano", "side": 192, "images": 2400, "epochs": 3, "seed": 4, "evaluate_images": 50},
        "objects_per_image": 5.0,
        "arms": {
            ARMS[0]: arm([0.1, 0.3, 0.5], [4.0, 2.0], [9, 8, 7, 6, 5, 4], 150),
            ARMS[1]: arm([0.1, 0.2, 0.3], [6.0, 5.0], [9, 9, 8, 8, 7, 7], 100),
        },
    }
