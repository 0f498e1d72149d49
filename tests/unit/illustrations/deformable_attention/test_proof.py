"""The output of deformable attention, rebuilt from the drawn points, is the model's; from others it is not."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_photo

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector, read_layer
from rtdetr_explained.illustrations.deformable_attention import proof as rebuild
from rtdetr_explained.tracing.trace import Trace


def moved(trace: Trace, site: str, change: np.ndarray) -> Trace:
    """The trace, drawn with other numbers than those the model used."""
    return replace(trace, values=trace.values | {site: trace.values[site] + change.astype(np.float32)})


@pytest.mark.parametrize("method", ["default", "discrete"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_what_points_read_is_what_the_model_read(detector: Detector, trace: Trace, layer: int, method: str) -> None:
    edited = detector.rerun(trace, [edits.set_sampling(method)])
    site = edited[f"decoder.layers.{layer}.cross_attn"]
    locations = site.sampling_locations.array
    assert 0.02 < ((locations < 0) | (locations > 1)).any(-1).mean() < 0.95
    read = rebuild.read_points(edited, site.value.array, locations)
    expected = site.sampled_values.array
    np.testing.assert_allclose(read, expected, atol=1e-6 * np.abs(expected).max(), rtol=0)
    found = rebuild.proof(edited, read_layer(detector, edited, layer))
    assert found.holds
    assert found.num_points == 20 * 4 * 9
    assert found.largest == np.abs(site.output.array).max()


@pytest.mark.parametrize(
    "edit", [edits.drop_level(1, mode="renormalise"), edits.drop_head(2), edits.move_point(1, 4, 2, 0, 1, 0.2, -0.1)]
)
def test_the_proof_holds_for_an_edited_run_too(detector: Detector, edit: edits.Edit) -> None:
    edited = detector.rerun(detector.trace(random_photo(100, 150)), [edit])
    for layer in range(3):
        assert rebuild.proof(edited, read_layer(detector, edited, layer)).holds


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
        found = rebuild.proof(changed, reading)
        assert not found.holds
        assert found.relative > 10 * rebuild.TOLERANCE


def test_four_cells_share_a_read_by_how_near_they_are() -> None:
    places = np.array([[0.5 / 5, 0.5 / 3], [2 / 5, 0.5 / 3], [0.0, 0.0], [1.3, 0.5]], np.float32)
    cells, shares = rebuild.cells_read(places, (3, 5), discrete=False)
    assert cells[0].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    np.testing.assert_allclose(shares[0], [1, 0, 0, 0], atol=1e-6)
    assert cells[1, :, 0].tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(shares[1], [0.5, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(shares[2], [0, 0, 0, 0.25], atol=1e-6)  # three of the four lie outside
    np.testing.assert_allclose(shares[3], 0)


def test_a_discrete_read_is_one_cell_inside_the_map() -> None:
    places = np.array([[0.09, 0.1], [0.11, 0.1], [9.0, -7.0]], np.float32)
    cells, shares = rebuild.cells_read(places, (3, 5), discrete=True)
    assert cells[:, 0].tolist() == [[0, 0], [1, 0], [4, 0]]
    assert (shares == 1).all()
