"""What points read, in NumPy, is what the model reads."""

import numpy as np
import pytest

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.deformable_attention.sampling import by_level, cells_read, read_points, star
from rtdetr_explained.model.deformable_attention import DeformableAttention
from rtdetr_explained.tracing.trace import Trace


@pytest.mark.parametrize("method", ["default", "discrete"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_what_points_read_is_what_the_model_read(detector: Detector, trace: Trace, layer: int, method: str) -> None:
    edited = detector.rerun(trace, [edits.set_sampling(method)])
    site = edited[f"decoder.layers.{layer}.cross_attn"]
    locations = site.sampling_locations.array
    assert 0.02 < ((locations < 0) | (locations > 1)).any(-1).mean() < 0.95
    expected = site.sampled_values.array
    read = read_points(edited, site.value.array, locations)
    np.testing.assert_allclose(read, expected, atol=1e-6 * np.abs(expected).max(), rtol=0)


def test_weights_are_added_up_by_level(trace: Trace) -> None:
    weights = np.arange(2 * 9).reshape(2, 9)  # 2, 4 and 3 points a level
    assert by_level(trace, weights).tolist() == [[0 + 1, 2 + 3 + 4 + 5, 6 + 7 + 8], [9 + 10, 50, 48]]


def test_heads_look_before_training_where_the_layer_starts() -> None:
    start = DeformableAttention(24, 4, (2, 4, 3), "default").sampling_offsets.bias.detach().numpy().reshape(4, 9, 2)
    np.testing.assert_allclose(star(4), start[:, 0], atol=1e-6)  # the first point lies one step out


def test_four_cells_share_a_read_by_how_near_they_are() -> None:
    places = np.array([[0.5 / 5, 0.5 / 3], [2 / 5, 0.5 / 3], [0.0, 0.0], [1.3, 0.5]], np.float32)
    cells, shares = cells_read(places, (3, 5), discrete=False)
    assert cells[0].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    np.testing.assert_allclose(shares[0], [1, 0, 0, 0], atol=1e-6)
    assert cells[1, :, 0].tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(shares[1], [0.5, 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(shares[2], [0, 0, 0, 0.25], atol=1e-6)  # three of the four lie outside
    np.testing.assert_allclose(shares[3], 0)


def test_a_discrete_read_is_one_cell_inside_the_map() -> None:
    places = np.array([[0.09, 0.1], [0.11, 0.1], [9.0, -7.0]], np.float32)
    cells, shares = cells_read(places, (3, 5), discrete=True)
    assert cells[:, 0].tolist() == [[0, 0], [1, 0], [4, 0]]
    assert (shares == 1).all()
