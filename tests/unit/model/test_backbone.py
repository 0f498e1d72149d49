from dataclasses import replace

import pytest
import torch
from random_models import TINY, random_images, random_model, seen_at
from torch import nn

from rtdetr_explained.model.backbone import ResNetVd, Shortcut
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.layers import FrozenBatchNorm2d

DEEP = replace(TINY, depth=50)


@pytest.mark.parametrize(("depth", "factor"), [(18, 1), (34, 1), (50, 4), (101, 4)])
def test_maps_have_the_strides_and_channels_of_the_reference(depth: int, factor: int) -> None:
    config = replace(TINY, depth=depth)
    with torch.device("meta"):
        maps = ResNetVd(config)(torch.empty(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [
        (2, 16 * factor, 12, 20),
        (2, 32 * factor, 6, 10),
        (2, 64 * factor, 3, 5),
    ]


def test_blocks_per_stage() -> None:
    with torch.device("meta"):
        counts = {d: [len(list(s.children())) for s in ResNetVd(replace(TINY, depth=d)).stages] for d in (18, 34, 101)}
    assert counts == {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 101: [3, 4, 23, 3]}


def test_inner_maps_of_r18() -> None:
    with torch.device("meta"):
        model = ResNetVd(CONFIGS["rtdetrv2_r18vd"])
        images = torch.empty(1, 3, 640, 640)
    assert seen_at(model, "stem_map", images).shape == (1, 64, 320, 320)
    assert seen_at(model, "s2", images).shape == (1, 64, 160, 160)
    assert seen_at(model, "s5", images).shape == (1, 512, 20, 20)


def test_shortcut_pools_before_it_projects_and_keeps_the_last_odd_row() -> None:
    shortcut = Shortcut(1, 1, 2).eval()
    nn.init.ones_(shortcut.conv.weight)
    nn.init.constant_(shortcut.norm.get_parameter("weight"), (1 + 1e-5) ** 0.5)
    x = torch.arange(12.0).view(1, 1, 3, 4)
    # Means of 2x2 cells; the last row has no partner and is averaged over its two pixels alone.
    torch.testing.assert_close(shortcut(x), torch.tensor([[[[2.5, 4.5], [8.5, 10.5]]]]))


def test_first_block_of_every_stage_projects_and_no_other() -> None:
    backbone = ResNetVd(TINY)
    for s, stage in enumerate(backbone.stages):
        kinds = [type(block.get_submodule("shortcut")) for block in stage.children()]
        assert kinds == [Shortcut, nn.Identity]
        pool = stage.get_submodule("0.shortcut.pool")
        assert isinstance(pool, nn.Identity if s == 0 else nn.AvgPool2d)


def test_bottleneck_carries_the_stride_in_its_3x3() -> None:
    block = ResNetVd(DEEP).stages[1].get_submodule("0")
    strides = [block.get_submodule(f"conv{i}.conv").stride for i in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


def test_frozen_norms_never_train() -> None:
    model = random_model(replace(DEEP, freeze_norm=True, freeze_at=0)).train()
    norms = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d | FrozenBatchNorm2d)]
    assert norms
    assert all(isinstance(norm, FrozenBatchNorm2d) for norm in norms)
    assert "backbone.stem.0.norm.num_batches_tracked" not in model.state_dict()
    assert "hybrid_encoder.input_proj.0.norm.num_batches_tracked" in model.state_dict()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    # To a type checker the sum of maps may be the 0 of an empty one.
    sum(x.sum() for x in model.backbone(random_images(2, 64, 64))).backward()  # type: ignore[union-attr]
    assert all(torch.equal(v, before[k]) for k, v in model.backbone.state_dict().items())


@pytest.mark.parametrize(("freeze_at", "frozen"), [(-1, []), (0, ["stem"]), (2, ["stem", "stages.0", "stages.1"])])
def test_freeze_at_freezes_the_stem_and_that_many_stages(freeze_at: int, frozen: list[str]) -> None:
    backbone = ResNetVd(replace(TINY, freeze_at=freeze_at))
    still = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    assert still == {n for n, _ in backbone.named_parameters() if n.startswith(tuple(f"{f}." for f in frozen))}


def test_unfrozen_norms_follow_the_data() -> None:
    backbone = ResNetVd(TINY).train()
    backbone(random_images(2, 64, 64))
    assert backbone.stem[0].get_buffer("norm.running_mean").any()
