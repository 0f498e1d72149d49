from dataclasses import replace

import pytest
import torch
from random_models import TINY, random_model
from torch import nn

from rtdetr_explained.model.ccff import CCFF, CSPRepLayer, RepVggBlock, upsample


def maps() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randn(2, 32, 12, 20), torch.randn(2, 32, 6, 10), torch.randn(2, 32, 3, 5)


def test_path_down_and_up_is_that_of_the_reference() -> None:
    ccff = random_model().hybrid_encoder.ccff
    p3, p4, p5 = maps()
    lateral, fpn, down, pan = (
        list(m) for m in (ccff.lateral_convs, ccff.fpn_blocks, ccff.downsample_convs, ccff.pan_blocks)
    )
    with torch.no_grad():
        t5 = lateral[0](p5)
        t4 = lateral[1](fpn[0](torch.cat([t5.repeat_interleave(2, 2).repeat_interleave(2, 3), p4], 1)))
        n3 = fpn[1](torch.cat([t4.repeat_interleave(2, 2).repeat_interleave(2, 3), p3], 1))
        n4 = pan[0](torch.cat([down[0](n3), t4], 1))  # the lateral T4, not F4
        n5 = pan[1](torch.cat([down[1](n4), t5], 1))  # the lateral T5, not P5
        found = ccff(p3, p4, p5)
    for expected, map_ in zip((n3, n4, n5), found, strict=True):
        torch.testing.assert_close(map_, expected)
    assert [x.shape for x in found] == [p3.shape, p4.shape, p5.shape]


def test_upsampling_repeats_each_cell() -> None:
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert upsample(x)[0, 0].tolist() == [[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2


@pytest.mark.parametrize(("expansion", "last"), [(0.5, True), (1.0, False)])
def test_csp_layer_adds_its_two_halves(expansion: float, last: bool) -> None:
    torch.manual_seed(0)
    layer = CSPRepLayer(16, 8, expansion).eval()
    assert any(name.startswith("conv3.") for name in layer.state_dict()) == last
    x = torch.randn(1, 16, 5, 7)
    y = layer.conv1(x)
    for block in layer.bottlenecks:
        y = block(y)
    torch.testing.assert_close(layer(x), layer.conv3(y + layer.conv2(x)))
    assert len(layer.bottlenecks) == 3


def test_rep_vgg_block_has_two_branches_and_no_identity() -> None:
    torch.manual_seed(0)
    block = RepVggBlock(6).eval()
    x = torch.randn(1, 6, 5, 4)
    torch.testing.assert_close(block(x), nn.functional.silu(block.conv1(x) + block.conv2(x)))
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    assert not block(x).any()


def test_convolutions_of_the_fusion_use_silu() -> None:
    ccff = CCFF(replace(TINY, expansion=1.0)).eval()
    p5 = maps()[2]
    conv = ccff.lateral_convs[0]
    expected = nn.functional.silu(conv.get_submodule("norm")(conv.get_submodule("conv")(p5)))
    torch.testing.assert_close(conv(p5), expected)
