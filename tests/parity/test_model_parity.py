"""Every stage of our model against transformers' RTDetrV2 with identical random weights.

The float32 bounds are what official code and transformers differ by between themselves, rounded up.
"""

from functools import cache

import pytest
import torch
from reference import Pair, decode_in_float64, images, match_by_token, run_ours, run_theirs
from torch import Tensor
from transformers.models.rt_detr_v2 import modeling_rt_detr_v2 as transformers_model

from rtdetr_explained.model.layers import inverse_sigmoid

SIZES = [(1, 640, 640), (2, 256, 352)]  # B H W


@pytest.fixture(scope="module")
def run(pair: Pair):
    """Both runs for an image size, computed once: (ours, theirs)."""
    return cache(lambda shape: tuple(run(pair, images(*shape, seed=1)) for run in (run_ours, run_theirs)))


def assert_close_to_its_maximum(ours: list[Tensor], theirs: list[Tensor], share: float) -> None:
    assert len(ours) == len(theirs) == 3
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= share * b.abs().max()


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_the_weights_are_not_degenerate(run, shape) -> None:
    _, theirs = run(shape)
    for feature_map in (*theirs.backbone, theirs.aifi, *theirs.encoder):
        assert feature_map.std() > 0.1
    decoded = theirs.decoded
    # Places, queries and images differ by far more than the bounds below, and queries come from every map.
    assert decoded.scores.std(1).mean() > 0.1
    assert decoded.logits.std(1).mean() > 0.1
    assert decoded.boxes.std(1).mean() > 0.05
    finest, middle = shape[1] * shape[2] // 64, shape[1] * shape[2] // 256
    per_level = torch.bincount(
        torch.bucketize(decoded.tokens, torch.tensor([finest, finest + middle]), right=True).flatten()
    )
    assert per_level.min() >= 5
    assert len(per_level) == 3


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_backbone_maps(run, shape) -> None:
    ours, theirs = run(shape)
    assert_close_to_its_maximum(ours.backbone, theirs.backbone, 1e-5)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_aifi_output(run, shape) -> None:
    ours, theirs = run(shape)
    torch.testing.assert_close(ours.aifi, theirs.aifi, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_encoder_maps(run, shape) -> None:
    ours, theirs = run(shape)
    assert_close_to_its_maximum(ours.encoder, theirs.encoder, 1e-5)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_encoder_scores(run, shape) -> None:
    ours, theirs = run(shape)
    torch.testing.assert_close(ours.decoded.scores, theirs.decoded.scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_final_logits_and_boxes(run, shape) -> None:
    ours, theirs = (stages.decoded for stages in run(shape))
    for image, (a, b) in enumerate(match_by_token(ours, theirs)):
        assert len(a) >= 299
        torch.testing.assert_close(ours.logits[image, a], theirs.logits[image, b], rtol=0, atol=1e-4)
        torch.testing.assert_close(ours.boxes[image, a], theirs.boxes[image, b], rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["default", "discrete"])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_decoder_in_double_precision(pair: Pair, run, shape, method: str) -> None:
    ours, theirs = decode_in_float64(pair, run(shape)[1].encoder, method)
    assert torch.equal(ours.tokens, theirs.tokens)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-9)
    torch.testing.assert_close(ours.boxes, theirs.boxes, rtol=0, atol=1e-10)
    if method == "discrete":  # it was not bilinear sampling that was compared
        assert (ours.logits.float() - run(shape)[0].decoded.logits).abs().amax(-1).median() > 0.01


def test_inverse_sigmoid_at_the_border_of_the_image() -> None:
    x = torch.tensor([-0.1, 0.0, 1e-7, 1e-5, 2e-5, 0.3, 0.5, 1 - 2e-5, 1 - 1e-6, 1.0, 1.3])
    torch.testing.assert_close(inverse_sigmoid(x), transformers_model.inverse_sigmoid(x), rtol=0, atol=0)
