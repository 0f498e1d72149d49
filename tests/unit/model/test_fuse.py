from dataclasses import replace

import pytest
import torch
from random_models import random_images, random_model, run, seen_at
from torch import nn

from rtdetr_explained.model.config import CONFIGS, NANO, ModelConfig
from rtdetr_explained.model.fuse import fuse
from rtdetr_explained.model.layers import ConvNorm, FrozenBatchNorm2d, fold_norm

FROZEN_50 = replace(NANO, name="frozen", depth=50, width=16, freeze_norm=True, freeze_at=0, expansion=1.0)

PHOTO = replace(CONFIGS["nano-photo"], freeze_norm=False)


@pytest.mark.parametrize(
    ("config", "height", "width"),
    [(CONFIGS["rtdetrv2_r18vd"], 256, 352), (CONFIGS["nano"], 288, 288), (FROZEN_50, 128, 160), (PHOTO, 128, 160)],
    ids=lambda value: value.name if isinstance(value, ModelConfig) else str(value),
)
def test_fused_model_gives_the_same_outputs(config: ModelConfig, height: int, width: int) -> None:
    model = random_model(config, seed=2)
    images = random_images(1, height, width)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fused = fuse(model)
    results = []
    for network, pixels in ((model, images), (fused, images.contiguous(memory_format=torch.channels_last))):
        tokens = seen_at(network, "query_selection.topk_indices", pixels)[0]
        out = run(network, pixels)
        # Rows by token: queries whose scores tie may change places, and the last one may be another.
        results.append({int(t): (out["pred_logits"][0, i], out["pred_boxes"][0, i]) for i, t in enumerate(tokens)})
    common = results[0].keys() & results[1].keys()
    assert len(common) >= config.num_queries - 1
    for token in common:
        torch.testing.assert_close(results[1][token], results[0][token], atol=1e-3, rtol=0)

    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_nothing_is_left_of_the_norms_and_branches() -> None:
    fused = fuse(random_model())
    kinds = [type(module) for module in fused.modules()]
    assert nn.BatchNorm2d not in kinds
    assert FrozenBatchNorm2d not in kinds
    convs = {name: module for name, module in fused.named_modules() if isinstance(module, nn.Conv2d)}
    assert all(conv.bias is not None for conv in convs.values())
    rep = [name for name in convs if ".bottlenecks." in name]
    assert len(rep) == 4 * 3  # one convolution for each block
    assert all(convs[name].kernel_size == (3, 3) for name in rep)
    weight = convs["backbone.stem.1.conv"].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_a_model_in_training_gives_a_copy_in_evaluation_and_goes_on_training() -> None:
    model = random_model().train()
    fused = fuse(model)
    assert not any(module.training for module in fused.modules())
    assert all(module.training for module in model.modules())


def test_folded_convolution_keeps_stride_padding_and_value() -> None:
    torch.manual_seed(0)
    layer = ConvNorm(3, 4, 3, 2).eval()
    for tensor in (layer.norm.weight, layer.norm.bias, layer.norm.running_mean, layer.norm.running_var):
        assert isinstance(tensor, torch.Tensor)
        nn.init.uniform_(tensor, 0.2, 2.0)
    x = torch.randn(2, 3, 9, 6)
    torch.testing.assert_close(fold_norm(layer.conv, layer.norm)(x), layer(x), atol=1e-5, rtol=0)
