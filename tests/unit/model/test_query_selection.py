import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from random_models import TINY, random_images, random_model, run, seen_at
from torch import Tensor

from rtdetr_explained.model.query_selection import QuerySelection, choose_tokens, gather_tokens, make_anchors

SQUARE = [(80, 80), (40, 40), (20, 20)]  # 640 x 640
WIDE = [(8, 64), (4, 32), (2, 16)]  # 64 x 512: the first and the last column of the finest map are not valid


def random_maps() -> list[Tensor]:
    torch.manual_seed(5)
    return [torch.randn(2, TINY.hidden_dim, h, w) for h, w in WIDE]


@pytest.mark.parametrize(
    ("height", "width", "tokens", "valid"),
    [(640, 640, 8400, 8084), (480, 480, 4725, 4489), (800, 800, 13125, 12533), (480, 640, 6300, 6024)],
)
def test_number_of_valid_anchors(height: int, width: int, tokens: int, valid: int) -> None:
    anchors, mask = make_anchors([(height // s, width // s) for s in (8, 16, 32)])
    assert anchors.shape == (1, tokens, 4)
    assert mask.shape == (1, tokens, 1)
    assert mask.sum() == valid
    assert (anchors.isinf().all(-1, keepdim=True) == ~mask).all()
    assert (anchors[~mask.expand_as(anchors)] > 0).all()  # +inf: the sigmoid is one


@pytest.mark.parametrize(
    ("token", "logits"),
    [
        (2 * 80 + 2, (-3.4340, -3.4340, -2.9444, -2.9444)),
        (6400, (-4.3694, -4.3694, -2.1972, -2.1972)),
        (8000, (-3.6636, -3.6636, -1.3863, -1.3863)),
    ],
)
def test_anchor_logits_have_the_check_values_of_the_reference(token: int, logits: tuple[float, ...]) -> None:
    anchors, _ = make_anchors(SQUARE)
    torch.testing.assert_close(anchors[0, token], torch.tensor(logits), atol=5e-5, rtol=0)


def test_anchors_sit_in_the_middle_of_their_cells_on_maps_that_are_not_square() -> None:
    anchors, _ = make_anchors([(12, 20), (6, 10), (3, 5)])
    boxes = anchors.sigmoid()[0]
    row, col = 7, 13
    torch.testing.assert_close(boxes[row * 20 + col], torch.tensor([13.5 / 20, 7.5 / 12, 0.05, 0.05]))
    torch.testing.assert_close(boxes[240 + 4 * 10 + 1], torch.tensor([1.5 / 10, 4.5 / 6, 0.1, 0.1]))
    torch.testing.assert_close(boxes[240 + 60 + 2 * 5 + 4], torch.tensor([4.5 / 5, 2.5 / 3, 0.2, 0.2]))


def test_anchors_stay_float32_and_exact_under_autocast() -> None:
    selection = QuerySelection(TINY)
    with torch.autocast("cpu", torch.bfloat16):
        anchors, valid = selection.anchors_for(SQUARE, torch.device("cpu"))
    assert anchors.dtype == torch.float32
    assert valid.sum() == 8084


def test_anchors_are_kept_by_map_size_and_only_the_last_few() -> None:
    selection = QuerySelection(TINY)
    device = torch.device("cpu")
    sizes = [[(16, 25), (8, 12), (4, 6)], [(20, 20), (8, 12), (4, 6)], [(25, 16), (8, 12), (4, 6)]]
    for size in sizes * 2:
        for found, fresh in zip(selection.anchors_for(size, device), make_anchors(size), strict=True):
            assert torch.equal(found, fresh)
    assert selection.anchors_for(sizes[0], device)[0] is selection.anchors_for(sizes[0], device)[0]
    for w in range(1, 40):
        selection.anchors_for([(2, w), (1, w), (1, w)], device)
    assert len(selection._anchors) == 8


class CrowdedSelection(QuerySelection):
    """As if another thread always stored its own cache right after this one did."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_anchors":
            value = {}
        super().__setattr__(name, value)


def test_a_thread_gets_its_anchors_even_when_another_one_overwrites_the_cache() -> None:
    anchors, _ = CrowdedSelection(TINY).anchors_for(SQUARE, torch.device("cpu"))
    assert anchors.shape == (1, 8400, 4)


def test_a_model_can_train_after_it_ran_in_inference_mode() -> None:
    model = random_model()
    with torch.inference_mode():
        model(random_images(1, 96, 128))
    out = model.train()(random_images(2, 96, 128), [{"labels": torch.tensor([1]), "boxes": torch.rand(1, 4)}] * 2)
    (out["pred_boxes"].sum() + out["enc_aux_outputs"][0]["pred_boxes"].sum()).backward()
    assert model.query_selection.enc_output.proj.get_parameter("weight").grad is not None


def test_default_ranks_tokens_by_their_best_class() -> None:
    logits = torch.tensor([[[0.0, 5.0], [4.0, 4.5], [1.0, -9.0], [3.0, 2.0]]])  # B N C
    assert choose_tokens(logits, logits.amax(-1), 3, "default").tolist() == [[0, 1, 3]]


def test_one2many_ranks_pairs_and_may_choose_a_token_twice() -> None:
    logits = torch.tensor([[[0.0, 5.0], [4.0, 4.5], [1.0, -9.0], [3.0, 2.0]]])
    assert choose_tokens(logits, logits.amax(-1), 4, "one2many").tolist() == [[0, 1, 1, 3]]


def test_agnostic_has_one_class() -> None:
    config = replace(TINY, query_select_method="agnostic")
    model = random_model(config)
    assert model.query_selection.score_head.out_features == 1
    with torch.no_grad():
        found = model.query_selection(random_maps())
    assert found.encoder_logits is not None
    assert found.encoder_logits.shape == (2, 20, 1)
    assert (found.encoder_logits[:, :-1] >= found.encoder_logits[:, 1:]).all()


@pytest.mark.parametrize("method", ["default", "one2many", "agnostic"])
def test_configured_method_decides(method: str) -> None:
    selection = random_model(replace(TINY, query_select_method=method)).query_selection
    with torch.no_grad():
        if method != "agnostic":  # two classes that always agree, so that pairs of one token are neighbours
            selection.score_head.weight[0] = selection.score_head.weight[1]
            selection.score_head.bias[:2] = 3
        found = selection(random_maps())
        other = selection(random_maps(), method="default")
    twice = [len(set(map(tuple, rows.tolist()))) < 20 for rows in found.content]
    assert any(twice) == (method == "one2many")
    assert torch.equal(found.content, other.content) == (method != "one2many")


def test_selection_follows_the_reference_step_by_step() -> None:
    selection = random_model().query_selection
    maps = random_maps()
    with torch.no_grad():
        projected = [proj(x) for proj, x in zip(selection.input_proj, maps, strict=True)]
        memory = torch.cat([x.flatten(2).transpose(1, 2) for x in projected], 1)
        anchors, valid = make_anchors(WIDE)
        tokens = selection.enc_output.norm(selection.enc_output.proj(memory * valid))
        logits = selection.score_head(tokens)
        boxes = (selection.bbox_head(tokens) + anchors).sigmoid()  # of all tokens, as the reference does
        found = selection(maps)
    assert found.encoder_logits is not None
    assert found.encoder_boxes is not None
    for b in range(2):
        order = logits[b].amax(-1).argsort(descending=True, stable=True)[:20]
        torch.testing.assert_close(found.encoder_logits[b], logits[b, order])
        torch.testing.assert_close(found.encoder_boxes[b], boxes[b, order])
        torch.testing.assert_close(found.reference_boxes[b], boxes[b, order])
        torch.testing.assert_close(found.content[b], tokens[b, order])
    torch.testing.assert_close(found.memory, memory)  # unmasked: the decoder reads the border, too
    assert found.memory[:, ~valid[0, :, 0]].any()
    assert found.map_sizes == WIDE


def test_an_invalid_token_has_the_same_score_whatever_it_holds() -> None:
    model = random_model()
    logits = seen_at(model, "query_selection.class_logits", random_images(1, 64, 512))
    _, valid = make_anchors(WIDE)
    invalid = logits[0, ~valid[0, :, 0]]
    assert len(invalid) == 16
    assert (invalid == invalid[0]).all()


def test_content_and_boxes_enter_the_decoder_detached() -> None:
    found = random_model().query_selection(random_maps())
    assert not found.content.requires_grad
    assert not found.reference_boxes.requires_grad
    assert found.encoder_boxes is not None
    assert found.encoder_boxes.requires_grad
    assert found.encoder_logits is not None
    assert found.encoder_logits.requires_grad
    assert found.memory.requires_grad


def test_number_of_queries_can_be_replaced_for_one_call() -> None:
    selection = random_model().query_selection
    with torch.no_grad():
        few, usual = selection(random_maps(), num_queries=7), selection(random_maps())
    assert torch.equal(few.content, usual.content[:, :7])


def test_fewer_tokens_than_queries_are_refused() -> None:
    model = random_model(replace(TINY, num_queries=100))
    message = "This image has 84 tokens but 100 queries are to be chosen from them; use a larger input size"
    with pytest.raises(ValueError, match=re.escape(message)):
        run(model, random_images(1, 64, 64))
    assert run(model, random_images(1, 64, 96))["pred_boxes"].shape == (1, 100, 4)


def test_gather_tokens_picks_rows_per_image() -> None:
    x = torch.arange(12.0).view(2, 3, 2)
    assert gather_tokens(x, torch.tensor([[2, 2], [0, 1]])).tolist() == [[[4, 5], [4, 5]], [[6, 7], [8, 9]]]


def test_start_of_the_heads() -> None:
    selection = QuerySelection(TINY)
    assert not selection.bbox_head.layers[-1].get_parameter("weight").any()
    torch.testing.assert_close(selection.score_head.bias, torch.full((5,), -4.5951), atol=1e-4, rtol=0)
