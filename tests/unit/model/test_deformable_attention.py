import math
from typing import Any

import numpy as np
import pytest
import torch
from random_models import watch
from torch import Tensor, nn

from rtdetr_explained.model.deformable_attention import DeformableAttention, sample_bilinear, sample_discrete

POINTS = (2, 4, 3)
SIZES = [(6, 10), (3, 5), (2, 3)]  # h, w
NUM_TOKENS = sum(h * w for h, w in SIZES)


def read_bilinear(cells: np.ndarray, x: float, y: float) -> np.ndarray:
    """One read from a map h w d at (x, y) in 0..1: the four nearest cell centres, nothing outside the map."""
    h, w, d = cells.shape
    u, v = x * w - 0.5, y * h - 0.5
    total = np.zeros(d)
    for row in (math.floor(v), math.floor(v) + 1):
        for col in (math.floor(u), math.floor(u) + 1):
            if 0 <= row < h and 0 <= col < w:
                total += cells[row, col] * (1 - abs(u - col)) * (1 - abs(v - row))
    return total


def read_discrete(cells: np.ndarray, x: float, y: float) -> np.ndarray:
    """One read from the cell trunc(x * w + 0.5), trunc(y * h + 0.5), each kept on its own axis of the map."""
    h, w, _ = cells.shape
    return cells[min(max(math.trunc(y * h + 0.5), 0), h - 1), min(max(math.trunc(x * w + 0.5), 0), w - 1)]


READ = {"default": read_bilinear, "discrete": read_discrete}


def reference(layer: DeformableAttention, query: Tensor, boxes: Tensor, memory: Tensor, method: str) -> np.ndarray:
    """The whole layer as loops in float64."""
    weight = {name: value.double().numpy() for name, value in layer.state_dict().items()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weight[f"{name}.weight"].T + weight[f"{name}.bias"]

    x, box, tokens = query.double().numpy(), boxes.double().numpy(), memory.double().numpy()
    B, Q, D = x.shape
    H, P, d = layer.num_heads, sum(POINTS), D // layer.num_heads
    value = linear(tokens, "value_proj").reshape(B, -1, H, d)
    offsets = linear(x, "sampling_offsets").reshape(B, Q, H, P, 2)
    raw = np.exp(linear(x, "attention_weights").reshape(B, Q, H, P))
    attention = raw / raw.sum(-1, keepdims=True)  # over the points of all levels together
    level_of = [level for level, count in enumerate(POINTS) for _ in range(count)]
    start = np.cumsum([0] + [h * w for h, w in SIZES])
    out = np.zeros((B, Q, H, d))
    for b, q, m, p in np.ndindex(B, Q, H, P):
        level = level_of[p]
        cells = value[b, start[level] : start[level + 1], m].reshape(*SIZES[level], d)
        place = box[b, q, :2] + offsets[b, q, m, p] / POINTS[level] * box[b, q, 2:] * 0.5
        out[b, q, m] += attention[b, q, m, p] * READ[method](cells, *place)
    return linear(out.reshape(B, Q, D), "output_proj")


def random_layer(method: str = "default") -> DeformableAttention:
    torch.manual_seed(0)
    layer = DeformableAttention(24, 4, POINTS, method)
    for name, parameter in layer.named_parameters():
        if name.startswith(("sampling_offsets.weight", "attention_weights", "value_proj.bias", "output_proj.bias")):
            nn.init.normal_(parameter, std=0.4)
    return layer


def random_inputs(batch: int = 2, queries: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    boxes = torch.rand(batch, queries, 4)
    boxes[:, 0] = torch.tensor([0.02, 0.97, 0.6, 0.9])  # some of its points lie far outside the image
    return torch.randn(batch, queries, 24), boxes, torch.randn(batch, NUM_TOKENS, 24)


def seen(layer: DeformableAttention, name: str, *inputs: Any) -> Tensor:
    found, handle = watch(layer.get_submodule(name))
    layer(*inputs, SIZES)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("method", ["default", "discrete"])
def test_layer_agrees_with_slow_loops_in_float64(method: str) -> None:
    layer, inputs = random_layer(method), random_inputs()
    locations = seen(layer, "sampling_locations", *inputs)
    outside = ((locations < 0) | (locations > 1)).any(-1)
    assert 0.05 < outside.float().mean() < 0.95
    out = layer(*inputs, SIZES).detach().double().numpy()
    np.testing.assert_allclose(out, reference(layer, *inputs, method), atol=1e-5)


def test_method_can_be_replaced_for_one_call() -> None:
    layer, inputs = random_layer(), random_inputs()
    usual, discrete = layer(*inputs, SIZES), layer(*inputs, SIZES, "discrete")
    assert not torch.allclose(usual, discrete, atol=1e-3)
    assert torch.equal(discrete, random_layer("discrete")(*inputs, SIZES))
    assert torch.equal(usual, random_layer("discrete")(*inputs, SIZES, "default"))


def test_bilinear_reads_are_exact_at_cell_centres_and_zero_outside() -> None:
    maps = torch.arange(1.0, 16.0).view(1, 1, 3, 5)  # h 3, w 5
    locations = torch.tensor([[0.5 / 5, 0.5 / 3], [4.5 / 5, 2.5 / 3], [2 / 5, 0.5 / 3], [0.0, 0.0], [1.2, 0.5]])
    read = sample_bilinear(maps, locations.view(1, 1, 5, 2)).flatten()
    torch.testing.assert_close(read, torch.tensor([1.0, 15.0, 2.5, 0.25, 0.0]), atol=1e-5, rtol=0)


def test_discrete_reads_round_and_stay_on_their_own_axis() -> None:
    maps = torch.arange(15.0).view(1, 1, 3, 5)
    # trunc(x * 5 + 0.5), trunc(y * 3 + 0.5): half a cell further right and down than the bilinear cell
    places = {(0.0, 0.0): 0, (0.09, 0.1): 0, (0.11, 0.1): 1, (0.69, 0.0): 3, (0.71, 0.0): 4, (1.0, 0.0): 4}
    places |= {(0.0, 0.49): 5, (0.0, 0.51): 10, (0.0, 1.0): 10, (-0.2, -0.2): 0, (-7.0, 9.0): 10, (9.0, -7.0): 4}
    read = sample_discrete(maps, torch.tensor(list(places)).view(1, 1, -1, 2)).flatten()
    assert read.tolist() == list(places.values())


def test_each_head_and_query_reads_its_own_map_and_points() -> None:
    torch.manual_seed(2)
    maps, locations = torch.randn(3, 2, 4, 6), torch.rand(3, 5, 2, 2)  # BH d h w, BH Q p 2
    for sample, read in ((sample_bilinear, read_bilinear), (sample_discrete, read_discrete)):
        out = sample(maps, locations)
        assert out.shape == (3, 2, 5, 2)
        for m, q, p in np.ndindex(3, 5, 2):
            x, y = locations[m, q, p].tolist()
            expected = read(maps[m].permute(1, 2, 0).double().numpy(), x, y)
            np.testing.assert_allclose(out[m, :, q, p].numpy(), expected, atol=1e-5)


def test_a_new_layer_starts_as_a_star_with_equal_weights() -> None:
    layer = DeformableAttention(32, 8, (4, 4, 4), "default")
    star = torch.tensor([[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]]).float()
    offsets = layer.sampling_offsets.bias.view(8, 3, 4, 2)  # head level point xy
    for level in range(3):
        for k in range(4):
            torch.testing.assert_close(offsets[:, level, k], star * (k + 1), atol=1e-5, rtol=0)
    assert not layer.sampling_offsets.weight.any()
    assert layer.num_points_scale.tolist() == [0.25] * 12
    sizes = [(4, 4), (2, 2), (1, 1)]
    found, _ = watch(layer.weights)
    layer(torch.randn(1, 3, 32), torch.rand(1, 3, 4), torch.randn(1, 21, 32), sizes)
    assert torch.equal(found[0], torch.full((1, 3, 8, 12), 1 / 12))


def test_unequal_points_per_level() -> None:
    layer = DeformableAttention(24, 4, POINTS, "default")
    torch.testing.assert_close(layer.num_points_scale, torch.tensor([1 / 2] * 2 + [1 / 4] * 4 + [1 / 3] * 3))
    steps = layer.sampling_offsets.bias.view(4, 9, 2).abs().amax(-1)
    assert torch.equal(steps, torch.tensor([1.0, 2, 1, 2, 3, 4, 1, 2, 3]).expand(4, 9))
    assert "num_points_scale" in layer.state_dict()


def test_outermost_first_point_reaches_the_edge_of_the_reference_box() -> None:
    layer = DeformableAttention(24, 4, POINTS, "default")
    box = torch.tensor([[[0.4, 0.6, 0.2, 0.1]]])
    inputs = torch.randn(1, 1, 24), box, torch.randn(1, NUM_TOKENS, 24)
    head_0 = seen(layer, "sampling_locations", *inputs)[0, 0, 0]  # P 2, straight to the right
    expected = torch.tensor([0.45, 0.5, 0.425, 0.45, 0.475, 0.5, 0.4 + 0.1 / 3, 0.4 + 0.2 / 3, 0.5])
    torch.testing.assert_close(head_0, torch.stack([expected, torch.full((9,), 0.6)], -1))


def test_locations_and_samples_stay_float32_under_autocast() -> None:
    layer, (query, boxes, memory) = random_layer(), random_inputs(batch=1)
    exact = layer(query, boxes, memory, SIZES)
    for dtype in (torch.bfloat16, torch.float16):
        inputs = query, boxes, memory.to(dtype)
        with torch.autocast("cpu", dtype):
            for name in ("offsets", "sampling_locations", "weights", "sampled_values"):
                assert seen(layer, name, *inputs).dtype == torch.float32
            assert seen(layer, "value", *inputs).dtype == dtype
            box, offsets = boxes[:, :, None, None], seen(layer, "offsets", *inputs)
            expected = box[..., :2] + offsets * layer.num_points_scale[:, None] * box[..., 2:] * 0.5
            found = seen(layer, "sampling_locations", *inputs)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)  # not rounded on the way
            out = layer(*inputs, SIZES)
        # With one image the maps are a view into the memory, which grid_sample misreads in half precision.
        torch.testing.assert_close(out.float(), exact, atol=0.05, rtol=0)


def test_discrete_sampling_does_not_train_the_offsets() -> None:
    for method, trains in (("default", True), ("discrete", False)):
        layer = random_layer(method)
        layer(*random_inputs(), SIZES).sum().backward()
        assert (layer.sampling_offsets.weight.grad is not None) == trains
        assert layer.sampling_offsets.weight.requires_grad == trains
        for name in ("value_proj", "attention_weights"):
            assert layer.get_parameter(f"{name}.weight").grad is not None
