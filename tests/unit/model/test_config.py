import re
from dataclasses import replace

import pytest
import torch

from rtdetr_explained.model.config import CONFIGS, NANO, NANO_PHOTO, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR

# Exact counts of the reference models, and what they leave for its three parts.
PUBLISHED = {
    "rtdetrv2_r18vd": (20_184_464, 11_199_968, 4_965_120, 4_019_376),
    "rtdetrv2_r34vd": (31_441_668, 21_308_128, 4_965_120, 5_168_420),
    "rtdetrv2_r50vd_m": (36_593_772, 23_474_016, 5_653_248, 7_466_508),
    "rtdetrv2_r50vd": (42_891_372, 23_474_016, 11_950_848, 7_466_508),
    "rtdetrv2_r101vd": (76_556_268, 42_413_920, 26_577_536, 7_564_812),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_those_of_the_reference(name: str) -> None:
    with torch.device("meta"):
        model = RTDETR(CONFIGS[name])
    total = count(model)
    backbone, encoder = count(model.backbone), count(model.hybrid_encoder)
    assert (total, backbone, encoder, total - backbone - encoder) == PUBLISHED[name]


@pytest.mark.parametrize(("config", "parameters"), [(NANO, 4_899_856), (NANO_PHOTO, 5_044_528)])
def test_embedded_models_are_of_a_size_that_ships_with_the_package(config: ModelConfig, parameters: int) -> None:
    with torch.device("meta"):
        model = RTDETR(config)
    assert count(model) == parameters
    float16_bytes = sum(2 * tensor.numel() for tensor in model.state_dict().values())
    assert float16_bytes < 10.5e6


def test_configs_are_listed_under_their_own_names() -> None:
    assert set(CONFIGS) == {"nano", "nano-photo", *PUBLISHED}
    assert all(config.name == name for name, config in CONFIGS.items())
    assert [CONFIGS[name].num_classes for name in ("nano", "nano-photo", "rtdetrv2_r18vd")] == [12, 20, 80]


@pytest.mark.parametrize(
    ("name", "layer"), [("rtdetrv2_r18vd", 2), ("rtdetrv2_r34vd", 3), ("rtdetrv2_r50vd_m", 2), ("rtdetrv2_r50vd", 5)]
)
def test_evaluation_layer(name: str, layer: int) -> None:
    assert CONFIGS[name].eval_layer == layer


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("nano", (64, 128, 256)),
        ("nano-photo", (40, 112, 320)),
        ("rtdetrv2_r34vd", (128, 256, 512)),
        ("rtdetrv2_r101vd", (512, 1024, 2048)),
    ],
)
def test_channels_that_leave_the_backbone(name: str, channels: tuple[int, int, int]) -> None:
    assert CONFIGS[name].backbone_channels == channels


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("depth", 19, "depth is 19, but must be one of 18, 34, 50, 101."),
        (
            "query_select_method",
            "best",
            "query_select_method is 'best', but must be one of default, one2many, agnostic",
        ),
        ("cross_attn_method", "nearest", "cross_attn_method is 'nearest', but must be one of default, discrete."),
        ("num_points", (4, 4), "num_points is (4, 4), but needs one count of at least 1 for each of the 3 levels."),
        ("num_points", (4, 0, 4), "num_points is (4, 0, 4), but needs one count of at least 1"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(NANO, **{field: value})


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
