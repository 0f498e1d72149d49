"""The output of deformable attention, rebuilt from the drawn points, is the model's; from others it is not."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_photo

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector, read_layer
from rtdetr_explained.illustrations.deformable_attention.proof import TOLERANCE, prove
from rtdetr_explained.tracing.trace import Trace


def moved(trace: Trace, site: str, change: np.ndarray) -> Trace:
    """The trace, drawn with other numbers than those the model used."""
    return replace(trace, values=trace.values | {site: trace.values[site] + change.astype(np.float32)})


@pytest.mark.parametrize("method", ["default", "discrete"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_output_can_be_rebuilt_from_the_points(detector: Detector, trace: Trace, layer: int, method: str) -> None:
    edited = detector.rerun(trace, [edits.set_sampling(method)])
    proof = prove(edited, read_layer(detector, edited, layer))
    assert proof.holds
    assert proof.num_points == 20 * 4 * 9
    assert proof.largest == np.abs(edited[f"decoder.layers.{layer}.cross_attn.output"].array).max()


@pytest.mark.parametrize(
    "edit", [edits.drop_level(1, mode="renormalise"), edits.drop_head(2), edits.move_point(1, 4, 2, 0, 1, 0.2, -0.1)]
)
def test_the_proof_holds_for_an_edited_run_too(detector: Detector, edit: edits.Edit) -> None:
    edited = detector.rerun(detector.trace(random_photo(100, 150)), [edit])
    for layer in range(3):
        assert prove(edited, read_layer(detector, edited, layer)).holds


def test_the_proof_fails_for_points_that_lie_elsewhere_or_weigh_something_else(
    detector: Detector, trace: Trace
) -> None:
    site = "decoder.layers.1.cross_attn"
    reading = read_layer(detector, trace, 1)
    one_weight = np.zeros((20, 4, 9))
    one_weight[7, 2, 3] = 0.05
    one_place = np.zeros((20, 4, 9, 2))
    heaviest = np.unravel_index(trace[f"{site}.weights"].array.argmax(), (20, 4, 9))
    one_place[heaviest] = -0.05
    for changed in (
        moved(trace, f"{site}.weights", one_weight),
        moved(trace, f"{site}.sampling_locations", one_place),
        detector.rerun(trace, [edits.set_sampling("discrete")]),
    ):
        proof = prove(changed, reading)
        assert not proof.holds
        assert proof.relative > 10 * TOLERANCE
