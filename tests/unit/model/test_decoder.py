from dataclasses import replace

import pytest
import torch
from random_models import TINY, random_model
from torch import Tensor

from rtdetr_explained.model.decoder import Decoder
from rtdetr_explained.model.layers import inverse_sigmoid

SIZES = [(6, 10), (3, 5), (2, 3)]
DEEP = replace(TINY, num_layers=6, eval_idx=2)


def random_inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor, list[tuple[int, int]]]:
    torch.manual_seed(4)
    boxes = torch.rand(batch, 20, 4) * 0.8 + 0.1
    return torch.randn(batch, 20, 24), boxes, torch.randn(batch, 81, 24), SIZES


def test_layers_refine_boxes_as_in_the_reference() -> None:
    decoder = random_model().decoder
    content, reference, memory, sizes = random_inputs()
    x = content
    with torch.no_grad():
        found = decoder(content, reference, memory, sizes, every_layer=True)
        assert len(found) == 3
        for i, prediction in enumerate(found):
            layer = decoder.layers[i]
            pos = decoder.query_pos_head(reference)
            x = layer.get_submodule("norm1")(x + layer.get_submodule("self_attn")(x, pos))
            x = layer.get_submodule("norm2")(x + layer.get_submodule("cross_attn")(x + pos, reference, memory, sizes))
            hidden = layer.get_submodule("linear1")(x).clamp(min=0)
            x = layer.get_submodule("norm3")(x + layer.get_submodule("linear2")(hidden))
            reference = (decoder.bbox_heads[i](x) + inverse_sigmoid(reference)).sigmoid()
            torch.testing.assert_close(prediction.boxes, reference, atol=1e-5, rtol=0)
            torch.testing.assert_close(prediction.logits, decoder.score_heads[i](x), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("eval_idx", "num_layers", "every_layer", "ran"),
    [
        (-1, None, False, 6),
        (2, None, False, 3),
        (2, None, True, 6),
        (2, 1, False, 1),
        (2, 5, False, 5),
        (-1, 2, True, 2),
    ],
)
def test_number_of_layers_that_run(eval_idx: int, num_layers: int | None, every_layer: bool, ran: int) -> None:
    decoder = random_model(replace(DEEP, eval_idx=eval_idx)).decoder
    called: list[int] = []
    for i, layer in enumerate(decoder.layers):
        layer.register_forward_hook(lambda module, inputs, output, i=i: called.append(i))
    with torch.no_grad():
        found = decoder(*random_inputs(), every_layer=every_layer, num_layers=num_layers)
        all_layers = decoder(*random_inputs(), every_layer=True)
    assert called[:ran] == list(range(ran))
    assert len(called) == ran + 6
    assert len(found) == (ran if every_layer else 1)
    assert torch.equal(found[-1].boxes, all_layers[ran - 1].boxes)
    assert torch.equal(found[-1].logits, all_layers[ran - 1].logits)


def test_only_the_evaluation_layer_is_classified() -> None:
    decoder = random_model(DEEP).decoder
    called: list[int] = []
    for i, head in enumerate(decoder.score_heads):
        head.register_forward_hook(lambda module, inputs, output, i=i: called.append(i))
    with torch.no_grad():
        decoder(*random_inputs())
    assert called == [2]


def test_a_layer_also_teaches_the_box_head_before_it() -> None:
    """Look forward twice: the box of layer 1 carries a gradient into the box head of layer 0, one step and no more."""
    decoder = random_model(replace(TINY, num_layers=3)).decoder
    reached = {}
    for layer in range(3):
        decoder.zero_grad()
        decoder(*random_inputs(), every_layer=True)[layer].boxes.sum().backward()
        grads = [head.get_parameter("layers.2.weight").grad for head in decoder.bbox_heads]
        reached[layer] = [i for i, grad in enumerate(grads) if grad is not None and grad.any()]
    assert reached == {0: [0], 1: [0, 1], 2: [1, 2]}


def test_boxes_of_the_next_layer_start_detached() -> None:
    """A layer's own correction does not learn through the place from which it looked."""
    decoder = random_model().decoder
    found = decoder(*random_inputs(), every_layer=True)
    (grad,) = torch.autograd.grad(
        found[1].logits.sum(), [decoder.bbox_heads[0].get_parameter("layers.2.bias")], allow_unused=True
    )
    assert grad is None


def test_blocked_queries_are_not_seen() -> None:
    decoder = random_model().decoder
    content, reference, memory, sizes = random_inputs()
    blocked = torch.zeros(20, 20, dtype=torch.bool)
    blocked[8:, :8] = True  # the last twelve do not see the first eight
    changed = content.clone()
    changed[:, :8] += 1
    with torch.no_grad():
        before, after = (decoder(c, reference, memory, sizes, blocked)[0] for c in (content, changed))
        free = decoder(changed, reference, memory, sizes)[0]
    assert torch.equal(before.logits[:, 8:], after.logits[:, 8:])
    assert not torch.allclose(before.logits[:, :8], after.logits[:, :8])
    assert not torch.allclose(before.logits[:, 8:], free.logits[:, 8:])


def test_query_position_comes_from_the_current_box() -> None:
    decoder = random_model().decoder
    positions, boxes = [], []
    for layer in decoder.layers:
        layer.get_submodule("query_pos").register_forward_hook(lambda module, inputs, output: positions.append(output))
        layer.get_submodule("reference_boxes").register_forward_hook(lambda m, inputs, output: boxes.append(output))
    with torch.no_grad():
        decoder(*random_inputs())
        for position, box in zip(positions, boxes, strict=True):
            torch.testing.assert_close(position, decoder.query_pos_head(box))
    assert not torch.allclose(boxes[0], boxes[1])


def test_a_new_decoder_leaves_the_boxes_where_they_are() -> None:
    decoder = Decoder(TINY).eval()
    content, reference, memory, sizes = random_inputs()
    with torch.no_grad():
        found = decoder(content, reference, memory, sizes)[0]
    torch.testing.assert_close(found.boxes, reference, atol=1e-5, rtol=0)
