"""What the blocks of either backbone cost, against the operations that a pass counted."""

from dataclasses import replace

import pytest
import torch
from random_models import TINY, random_model, random_photo

from rtdetr_explained.detector import Detector
from rtdetr_explained.formulas import formulas
from rtdetr_explained.formulas.backbone import efficientnet_blocks, resnet_blocks
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import BACKBONES
from rtdetr_explained.tracing.choice import choose

VARIANTS = {
    "r18": TINY,
    "r50": replace(TINY, depth=50),
    "lite": replace(TINY, backbone="efficientnet_lite0"),
    "folded": replace(TINY, backbone="efficientnet_lite0", freeze_norm=True),
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("deploy", [False, True])
def test_the_sum_over_all_blocks_is_what_the_pass_counted(name: str, deploy: bool) -> None:
    trace = Detector(random_model(VARIANTS[name]), name, deploy=deploy).trace(random_photo(100, 150))
    one = next(one for one in formulas("backbone", choose(trace)) if "cost" in one.title)
    assert one.computed.tolist() == one.traced.tolist() == [trace.profile["backbone"].flops]
    assert ("inverted residual" in one.title) == (name in ("lite", "folded"))
    assert ("ResNet" in one.title) == (name in ("r18", "r50"))


@pytest.mark.parametrize("name", ["nano", "nano-photo", "rtdetrv2_r34vd", "rtdetrv2_r101vd"])
def test_the_convolutions_are_those_of_the_network(name: str) -> None:
    config = CONFIGS[name]
    lite = config.backbone == "efficientnet_lite0"
    stem, blocks = efficientnet_blocks() if lite else resnet_blocks(config.depth, config.width)
    written = [c for block in (stem, *blocks) for c in block]
    with torch.device("meta"):
        convs = [m for m in BACKBONES[config.backbone](config).modules() if isinstance(m, torch.nn.Conv2d)]
    facts = sorted((m.kernel_size[0], m.in_channels, m.out_channels, m.groups) for m in convs)
    assert sorted(c[1:] for c in written) == facts
    assert {c.stride for c in written} == {2, 4, 8, 16, 32}


def test_the_last_block_of_nano_photo_in_numbers() -> None:
    _, blocks = efficientnet_blocks()
    assert len(blocks) == 16
    assert [c[:4] for c in blocks[-1]] == [(32, 1, 192, 1152), (32, 3, 1152, 1152), (32, 1, 1152, 320)]
    assert blocks[-1][1].groups == 1152
