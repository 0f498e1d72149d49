from dataclasses import replace

import pytest
from random_models import TINY, random_model, random_photo

from rtdetr_explained.detector import Detector
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.tracing.sites import STAGES, keeper, stage_of
from rtdetr_explained.tracing.trace import Trace

KNOWN = [
    "backbone.s2",
    "backbone.s3",
    "decoder.layers.0.output",
    "decoder.layers.0.cross_attn.output",
    "decoder.layers.0.cross_attn.weights",
    "decoder.layers.0.self_attn.weights",
    "query_selection.memory",
]
DEEP = replace(TINY, name="deep", depth=50, num_heads=2, num_queries=15, num_points=(1, 1, 3), num_layers=4, eval_idx=2)

# What must be visible, with the names of its axes.
EXPECTED = {
    "backbone.stem_map": "channel y x",
    "backbone.s2": "channel y x",
    "backbone.s3": "channel y x",
    "backbone.s4": "channel y x",
    "backbone.s5": "channel y x",
    "hybrid_encoder.p3": "channel y x",
    "hybrid_encoder.p4": "channel y x",
    "hybrid_encoder.p5": "channel y x",
    "hybrid_encoder.aifi.position": "token channel",
    "hybrid_encoder.aifi.layers.0.self_attn.weights": "head token token_attended",
    "hybrid_encoder.aifi.output": "channel y x",
    "hybrid_encoder.ccff.t5": "channel y x",
    "hybrid_encoder.ccff.f4": "channel y x",
    "hybrid_encoder.ccff.t4": "channel y x",
    "hybrid_encoder.ccff.n3": "channel y x",
    "hybrid_encoder.ccff.n4": "channel y x",
    "hybrid_encoder.ccff.n5": "channel y x",
    "query_selection.memory": "token channel",
    "query_selection.anchors": "token cxcywh",
    "query_selection.valid_mask": "token",
    "query_selection.class_logits": "token class",
    "query_selection.scores": "token",
    "query_selection.topk_indices": "query",
    "query_selection.content": "query channel",
    "query_selection.reference_boxes": "query cxcywh",
    "decoder.logits": "query class",
    "decoder.boxes": "query cxcywh",
}
PER_LAYER = {
    "query_pos": "query channel",
    "reference_boxes": "query cxcywh",
    "self_attn.weights": "head query query_attended",
    "cross_attn.value": "token head channel",
    "cross_attn.offsets": "query head point xy",
    "cross_attn.weights": "query head point",
    "cross_attn.sampling_locations": "query head point xy",
    "cross_attn.sampled_values": "query head point channel",
    "cross_attn.output": "query channel",
    "output": "query channel",
    "boxes": "query cxcywh",
}


@pytest.mark.parametrize("size", [(96, 128), (160, 96)], ids=["wide", "tall"])
@pytest.mark.parametrize("config", [TINY, DEEP], ids=["tiny", "deep"])
def test_axes_name_the_real_dimensions(config: ModelConfig, size: tuple[int, int]) -> None:
    trace = Detector(random_model(config)).trace(random_photo(60, 90), sites="all", size=size)
    expected = EXPECTED | {
        f"decoder.layers.{i}.{name}": axes for i in range(config.eval_layer + 1) for name, axes in PER_LAYER.items()
    }
    assert {info.name: " ".join(info.axes) for info in trace.sites()} == expected
    for info in trace.sites():
        captured = trace[info.name]
        assert captured.shape == info.shape
        assert captured.axes == info.axes
        sizes = sizes_of(info.name, trace, config)
        assert dict(zip(info.axes, info.shape, strict=True)) == {axis: sizes[axis] for axis in info.axes}
        assert info.doc.endswith(".")
        assert info.stage in STAGES


def sizes_of(name: str, trace: Trace, config: ModelConfig) -> dict[str, int]:
    """How long each axis of this site must be, from the configuration and the input alone."""
    h, w = trace.input_size
    last = name.rsplit(".", 1)[1]
    stride = 2 if last == "stem_map" else 2 ** int(last[-1]) if last[-1].isdigit() else 32  # s3 and n3 lie at 2^3
    tokens = (h // 32) * (w // 32) if "aifi" in name else sum((h // s) * (w // s) for s in (8, 16, 32))
    bottleneck = 4 if config.depth >= 50 else 1
    channels = {
        "backbone.stem_map": config.width,
        "backbone.s2": config.width * bottleneck,
        "backbone.s3": config.backbone_channels[0],
        "backbone.s4": config.backbone_channels[1],
        "backbone.s5": config.backbone_channels[2],
    }
    channel = config.hidden_dim if name.startswith("hybrid_encoder") else config.decoder_dim
    per_head = name.endswith(("cross_attn.value", "sampled_values"))
    return {
        "query": config.num_queries,
        "query_attended": config.num_queries,
        "head": config.num_heads,
        "token": tokens,
        "token_attended": tokens,
        "point": sum(config.num_points),
        "class": config.num_classes,
        "xy": 2,
        "cxcywh": 4,
        "channel": config.decoder_dim // config.num_heads if per_head else channels.get(name, channel),
        "y": h // stride,
        "x": w // stride,
    }


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("backbone.s3", "backbone"),
        ("backbone[0]", "backbone"),
        ("hybrid_encoder.p3", "ccff"),
        ("hybrid_encoder.p4", "ccff"),
        ("hybrid_encoder.p5", "aifi"),
        ("hybrid_encoder.input_proj.1.conv", "ccff"),
        ("hybrid_encoder.input_proj.2.conv", "aifi"),
        ("hybrid_encoder.aifi.output", "aifi"),
        ("hybrid_encoder.ccff.n3", "ccff"),
        ("hybrid_encoder.ccff[1]", "ccff"),
        ("hybrid_encoder[1]", "ccff"),
        ("query_selection.scores", "query_selection"),
        ("query_selection[2]", "query_selection"),
        ("decoder.layers.1.self_attn.weights", "decoder"),
        ("decoder.layers.1.cross_attn", "deformable_attention"),
        ("decoder.layers.1.cross_attn.weights", "deformable_attention"),
        ("decoder[0][1]", "decoder"),
        ("denoising.labels", "denoising"),
        ("image", "overview"),
    ],
)
def test_stage_of_a_site_or_module(name: str, stage: str) -> None:
    assert stage_of(name) == stage


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ("all", dict.fromkeys(KNOWN, "exact")),
        (
            "figures",
            {
                "backbone.s3": "half",
                "decoder.layers.0.cross_attn.weights": "exact",
                "decoder.layers.0.self_attn.weights": "half",
            },
        ),
        ("backbone.*", {"backbone.s2": "exact", "backbone.s3": "exact"}),
        (["figures", "query_selection.memory"], {"query_selection.memory": "exact", "backbone.s3": "half"}),
        (["figures", "backbone.s3"], {"backbone.s3": "exact"}),
        ([], {}),
    ],
)
def test_choice_of_sites(choice: str | list[str], kept: dict[str, str]) -> None:
    keep = keeper(choice, KNOWN)
    found = {name: keep(name) for name in KNOWN}
    always = {"decoder.layers.0.output": "exact"}  # a trace cannot be re-run or asked without it
    for name, how in (kept | always).items():
        assert found[name] == how
    if "figures" not in choice:
        assert {name for name, how in found.items() if how} == {*kept, *always}
    assert found["decoder.layers.0.cross_attn.output"] == ("exact" if choice == "all" else None)


@pytest.mark.parametrize("choice", ["backbone.s9", "bakcbone.*", ["figures", "backbone.s9"]])
def test_an_unknown_site_names_close_matches(choice: str | list[str]) -> None:
    with pytest.raises(KeyError, match=r"There is no site '(backbone\.s9|bakcbone\.\*)'. Close matches: backbone\.s"):
        keeper(choice, KNOWN)


def test_an_unknown_site_like_no_other_says_where_the_names_are() -> None:
    with pytest.raises(KeyError, match=r"There is no site 'xyzzy'. See trace.sites\(\) for all names"):
        keeper("xyzzy", KNOWN)


def test_bytes_of_a_site_are_told_before_it_is_kept(detector: Detector, trace: Trace) -> None:
    few = detector.trace(random_photo(100, 150), sites=[])
    for info in few.sites():
        assert info.nbytes == trace[info.name].nbytes
        assert info.captured == (info.name in few)
