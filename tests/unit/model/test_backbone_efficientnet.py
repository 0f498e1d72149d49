from dataclasses import replace

import pytest
import torch
from random_models import TINY, fill, random_images, random_model, seen_at, watch
from torch import nn

from rtdetr_explained.detector import Detector
from rtdetr_explained.model.backbone_efficientnet import EfficientNetLite0, InvertedResidual, SameConvNorm
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.layers import ConvNorm
from rtdetr_explained.tracing.profile import stage_flops

LITE = replace(TINY, backbone="efficientnet_lite0")


def trained(module: nn.Module) -> nn.Module:
    """The same module with norms as if learnt, in evaluation mode."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            fill(norm.weight, 0.5, 1.5)
            fill(norm.bias, -0.5, 0.5)
            fill(norm.running_mean, -0.5, 0.5)
            fill(norm.running_var, 0.5, 1.5)
    return module.eval()


def test_maps_have_the_channels_and_strides_of_efficientnet_b0() -> None:
    images = random_images(2, 96, 160)
    backbone = EfficientNetLite0(LITE).eval()
    shapes = {site: tuple(seen_at(backbone, site, images).shape) for site in ("stem_map", "s2", "s3", "s4", "s5")}
    assert shapes == {
        "stem_map": (2, 32, 48, 80),
        "s2": (2, 24, 24, 40),
        "s3": (2, 40, 12, 20),
        "s4": (2, 112, 6, 10),
        "s5": (2, 320, 3, 5),
    }
    assert [tuple(x.shape[1:]) for x in backbone(images)] == [shapes[site][1:] for site in ("s3", "s4", "s5")]
    assert LITE.backbone_channels == (40, 112, 320)


def test_its_parameters_are_those_of_the_published_network() -> None:
    with torch.device("meta"):
        backbone = EfficientNetLite0(LITE)
    # Table 1 of EfficientNet without squeeze-excite: 4,652,008 with the 1x1 to 1280 channels and the classifier.
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(p.numel() for p in backbone.parameters()) == 4_652_008 - head


@pytest.mark.parametrize(("kernel", "side"), [(3, 8), (5, 8), (3, 6), (5, 12)])
def test_a_window_of_stride_2_lies_as_tensorflow_lays_it(kernel: int, side: int) -> None:
    """TensorFlow: the sizes halve, and of the padding needed the smaller half goes left and above."""
    layer = SameConvNorm(1, 1, kernel, 2, act=False).eval()
    nn.init.zeros_(layer.norm.get_parameter("bias"))
    nn.init.constant_(layer.norm.get_parameter("weight"), (1 + 1e-3) ** 0.5)
    x = torch.rand(1, 1, side, side, dtype=torch.float64)
    layer.double()
    out = layer(x)[0, 0]
    total = (side // 2 - 1) * 2 + kernel - side  # padding that the last window needs
    first = -(total // 2)
    weight, pixels = layer.conv.weight[0, 0].tolist(), x[0, 0].tolist()
    for row in range(side // 2):
        for column in range(side // 2):
            value = 0.0
            for i in range(kernel):
                for j in range(kernel):
                    y, u = first + 2 * row + i, first + 2 * column + j
                    if 0 <= y < side and 0 <= u < side:
                        value += weight[i][j] * pixels[y][u]
            assert out[row, column].item() == pytest.approx(value, abs=1e-6)
    assert out.shape == (side // 2, side // 2)


def test_a_block_widens_filters_each_channel_alone_narrows_and_adds() -> None:
    block = trained(InvertedResidual(3, 3, 3, 1, 2))
    assert isinstance(block, InvertedResidual)
    x = torch.randn(1, 3, 5, 6)

    def norm(layer: ConvNorm, y: torch.Tensor) -> torch.Tensor:
        weight, bias, mean, var = (
            layer.norm.state_dict()[k][:, None, None] for k in ("weight", "bias", "running_mean", "running_var")
        )
        return (y - mean) / (var + 1e-3).sqrt() * weight + bias

    wide = torch.einsum("oc,bcyx->boyx", block.expand.get_parameter("conv.weight")[:, :, 0, 0], x)
    wide = norm(block.expand, wide).clamp(0, 6)  # type: ignore[arg-type]
    own = torch.cat(  # channel by channel, each with its own kernel
        [nn.functional.conv2d(wide[:, c : c + 1], block.depthwise.conv.weight[c : c + 1], padding=1) for c in range(6)],
        1,
    )
    own = norm(block.depthwise, own).clamp(0, 6)
    narrow = norm(block.project, torch.einsum("oc,bcyx->boyx", block.project.conv.weight[:, :, 0, 0], own))
    torch.testing.assert_close(block(x), x + narrow)


@pytest.mark.parametrize(("stride", "out"), [(2, 3), (1, 4)])
def test_a_block_whose_ends_differ_has_no_residual(stride: int, out: int) -> None:
    block = trained(InvertedResidual(3, out, 3, stride, 2))
    x = torch.randn(1, 3, 6, 6)
    projected = seen_at(block, "project", x)
    assert torch.equal(block(x), projected)


def test_the_image_enters_in_the_range_of_its_training() -> None:
    backbone = EfficientNetLite0(LITE).eval()
    backbone.stem.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    seen: list[torch.Tensor] = []
    backbone(torch.full((1, 3, 32, 32), 200 / 255))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 32, 32), (200 - 127) / 128))


def test_folding_changes_no_value_and_leaves_no_norm() -> None:
    backbone, images = trained(EfficientNetLite0(LITE)), random_images(2, 64, 96)
    assert isinstance(backbone, EfficientNetLite0)
    before = backbone(images)
    backbone.fold()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    for a, b in zip(before, backbone(images), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("freeze_at", "frozen"), [(-1, []), (0, ["stem"]), (2, ["stem", "stages.0", "stages.1"])])
def test_frozen_stages_do_not_learn_and_the_others_do(freeze_at: int, frozen: list[str]) -> None:
    config = replace(LITE, freeze_norm=True, freeze_at=freeze_at)
    backbone = EfficientNetLite0(config).train()
    assert sorted({n.split(".")[-1] for n in backbone.state_dict()}) == ["bias", "weight"]
    seen, handle = watch(backbone.stages[1])
    s3, s4, s5 = backbone(random_images(1, 64, 64))
    handle.remove()
    assert seen[0].requires_grad == (freeze_at < 2)
    (s3.sum() + s4.sum() + s5.sum()).backward()
    for name, parameter in backbone.named_parameters():
        inside = any(name.startswith(part + ".") for part in frozen)
        assert parameter.requires_grad != inside
        assert (parameter.grad is None) == inside, name


def test_a_traced_pass_keeps_the_five_maps_and_counts_depthwise_operations() -> None:
    detector = Detector(random_model(replace(LITE, freeze_norm=True)), "lite", deploy=False)
    trace = detector.trace((random_images(1, 96, 128)[0] * 255).byte().permute(1, 2, 0).numpy(), sites="all")
    sites = [site.name for site in trace.sites("backbone.*")]
    assert sites == [f"backbone.{name}" for name in ("stem_map", "s2", "s3", "s4", "s5")]
    assert trace["backbone.s4"].array.shape == (112, 6, 8)
    # Multiply-adds of the stem and of the first block, at stride 2 of 96x128: 3x3 of 3 to 32, 3x3 of one, 1x1 to 16.
    first = 48 * 64 * (27 * 32 + 9 * 32 + 32 * 16)
    config = replace(LITE, freeze_norm=True)
    shapes = {
        "backbone.stem.conv": (1, 32, 48, 64),
        "backbone.stages.0.0.depthwise.conv": (1, 32, 48, 64),
        "backbone.stages.0.0.project.conv": (1, 16, 48, 64),
    }
    modules = dict(random_model(config).named_modules())
    assert stage_flops(modules, shapes)["backbone"] == 2 * first
    assert trace.profile["backbone"].flops > 2 * first


def test_nano_photo_is_this_backbone_with_two_stages_frozen() -> None:
    config = CONFIGS["nano-photo"]
    assert (config.backbone, config.freeze_norm, config.freeze_at) == ("efficientnet_lite0", True, 2)
    assert config.class_names[:3] == ("person", "bicycle", "car")
    assert len(config.class_names) == 20
