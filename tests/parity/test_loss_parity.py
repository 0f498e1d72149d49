"""Losses and gradients against transformers' RTDetrV2: same weights, same targets, same denoising noise.

The one difference that is meant: the official decoder looks forward twice, transformers does not, so that gradients
agree for what the first layer predicts and differ, in a way that can be computed, for the layers after it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch
from reference import Pair, make_pair
from torch import Tensor

from rtdetr_explained.training.criterion import criterion
from rtdetr_explained.weights import keys

CLASSES = 80
FIRST_LAYER = ("_aux_0", "_enc_0", "_dn_0")  # parts of the loss that no refinement comes before


@cache
def trained_pair() -> Pair:
    """R18 in training mode with the backbone's norms frozen, as transformers always has them."""
    pair = make_pair("rtdetrv2_r18vd")
    pair.theirs.train()
    pair.ours.train()
    pair.ours.backbone.eval()
    return pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = trained_pair()
    yield pair
    for model in (pair.theirs, pair.ours):
        model.zero_grad(set_to_none=True)


def batch(counts: tuple[int, ...]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(4)
    images = torch.rand(len(counts), 3, 256, 256, generator=generator)
    targets = []
    for count in counts:
        centre = 0.2 + 0.6 * torch.rand(count, 2, generator=generator)
        size = 0.05 + 0.3 * torch.rand(count, 2, generator=generator)
        labels = torch.randint(CLASSES, (count,), generator=generator)
        targets.append({"labels": labels, "boxes": torch.cat([centre, size], dim=1)})
    return images, targets


def our_terms(pair: Pair, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    torch.manual_seed(11)  # both draw the denoising noise in the same order
    return criterion(pair.ours(images, targets), targets)


def their_terms(pair: Pair, images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The same terms under our names; transformers counts the encoder's prediction as one more auxiliary layer."""
    labels = [{"class_labels": target["labels"], "boxes": target["boxes"]} for target in targets]
    torch.manual_seed(11)
    terms = pair.theirs(pixel_values=images, labels=labels).loss_dict
    last = f"_aux_{pair.config.num_layers - 1}"
    return {name.replace(last, "_enc_0"): term for name, term in terms.items()}


@pytest.mark.parametrize("counts", [(5, 2), (1, 0, 7)])
@pytest.mark.parametrize("denoising", [100, 0])
def test_every_loss_term_agrees(pair: Pair, counts: tuple[int, ...], denoising: int, monkeypatch: pytest.MonkeyPatch):
    images, targets = batch(counts)
    monkeypatch.setattr(pair.theirs.config, "num_denoising", denoising)
    monkeypatch.setattr(pair.ours, "config", replace(pair.config, num_denoising=denoising))
    with torch.no_grad():
        ours, theirs = our_terms(pair, images, targets), their_terms(pair, images, targets)
    assert set(ours) == set(theirs)
    assert len(ours) == (21 if denoising else 12)
    for name, term in ours.items():
        torch.testing.assert_close(term, theirs[name], rtol=1e-4, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


def test_gradients_agree_for_everything_the_first_layer_predicts(pair: Pair):
    images, targets = batch((4, 6))
    total(our_terms(pair, images, targets), FIRST_LAYER).backward()
    total(their_terms(pair, images, targets), FIRST_LAYER).backward()
    theirs = {name: parameter.grad for name, parameter in pair.theirs.named_parameters()}
    zeros = {n: torch.zeros_like(t) for n, t in pair.theirs.state_dict().items()}
    named = {**zeros, **{name: grad for name, grad in theirs.items() if grad is not None}}
    expected, _ = keys.to_ours(keys.transformers_on_disk(named), keys.TRANSFORMERS)
    compared = 0
    for name, parameter in pair.ours.named_parameters():
        if parameter.grad is None or ("backbone" in name and "norm" in name):  # frozen in transformers
            continue
        # By norm: a ReLU input within rounding of zero may switch a single entry on or off. The floor is for biases
        # before a batch norm, whose gradient is zero but for rounding.
        difference = (parameter.grad - expected[name]).norm()
        assert difference <= 5e-3 * expected[name].norm() + 1e-4, name
        compared += bool(expected[name].abs().max() > 0)
    assert compared > 150


def test_a_layers_box_loss_also_reaches_the_layer_before_it(pair: Pair):
    """Layer i predicts σ(Δ_i + Δ_(i−1) + reference), so both corrections get the same gradient, earlier ones none."""
    images, targets = batch((4, 6))
    terms = our_terms(pair, images, targets)
    bias = [pair.ours.get_parameter(f"decoder.bbox_heads.{i}.layers.2.bias") for i in range(3)]
    for suffix, before, layer in (("_aux_1", 0, 1), ("", 1, 2)):
        loss = terms[f"loss_bbox{suffix}"] + terms[f"loss_giou{suffix}"]
        gradients = torch.autograd.grad(loss, bias, retain_graph=True, allow_unused=True)
        reached = gradients[before]
        assert reached is not None
        assert reached.abs().max() > 0
        torch.testing.assert_close(reached, gradients[layer], rtol=1e-4, atol=1e-6)
        assert all(gradients[i] is None for i in range(3) if i not in (before, layer))

    theirs = their_terms(pair, images, targets)
    their_bias = pair.theirs.get_parameter("model.decoder.bbox_embed.0.layers.2.bias")
    (detached,) = torch.autograd.grad(theirs["loss_bbox_aux_1"], their_bias)
    assert not detached.any()


def total(terms: dict[str, Tensor], suffixes: tuple[str, ...]) -> Tensor:
    return torch.stack([term for name, term in terms.items() if name.endswith(suffixes)]).sum()
