"""State dicts: exactly the official names and shapes, and exactly those of transformers, for every variant."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import make_pair, reference_config
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import RTDetrV2ForObjectDetection

from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.saving import save_official, to_official, to_transformers

Shapes = dict[str, list[int]]
OFFICIAL = {name: config for name, config in CONFIGS.items() if name.startswith("rtdetrv2_")}
# name: state-dict entries, then parameters of the whole, the backbone, the encoder, the decoder (official division)
COUNTS = {
    "rtdetrv2_r18vd": (538, 20_184_464, 11_199_968, 4_965_120, 4_019_376),
    "rtdetrv2_r34vd": (665, 31_441_668, 21_308_128, 4_965_120, 5_168_420),
    "rtdetrv2_r50vd_m": (768, 36_593_772, 23_474_016, 5_653_248, 7_466_508),
    "rtdetrv2_r50vd": (744, 42_891_372, 23_474_016, 11_950_848, 7_466_508),
    "rtdetrv2_r101vd": (999, 76_556_268, 42_413_920, 26_577_536, 7_564_812),
}


def meta_state(config: ModelConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        return RTDETR(config).state_dict()


def shapes(state: dict[str, Tensor]) -> Shapes:
    return {name: list(tensor.shape) for name, tensor in state.items()}


# --- the official names, written down without looking at our tables --------------------------------------------------


def conv_norm(prefix: str, shape: list[int], counter: bool = True) -> Shapes:
    vectors = {f"{prefix}.norm.{name}": shape[:1] for name in ("weight", "bias", "running_mean", "running_var")}
    return {f"{prefix}.conv.weight": shape, **vectors} | ({f"{prefix}.norm.num_batches_tracked": []} if counter else {})


def linear(prefix: str, rows: int, columns: int) -> Shapes:
    return {f"{prefix}.weight": [rows, columns], f"{prefix}.bias": [rows]}


def norm(prefix: str, width: int) -> Shapes:
    return {f"{prefix}.weight": [width], f"{prefix}.bias": [width]}


def attention(prefix: str, width: int) -> Shapes:
    packed = {f"{prefix}.in_proj_weight": [3 * width, width], f"{prefix}.in_proj_bias": [3 * width]}
    return packed | linear(f"{prefix}.out_proj", width, width)


def official_backbone(blocks: list[int], bottleneck: bool) -> Shapes:
    found: Shapes = {}
    for n, shape in enumerate(([32, 3, 3, 3], [32, 32, 3, 3], [64, 32, 3, 3]), start=1):
        found |= conv_norm(f"backbone.conv1.conv1_{n}", shape, not bottleneck)
    channels = 64
    for s, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True)):
        for b in range(count):
            prefix, out = f"backbone.res_layers.{s}.blocks.{b}", width * (4 if bottleneck else 1)
            if bottleneck:
                convs = {"a": [width, channels, 1, 1], "b": [width, width, 3, 3], "c": [out, width, 1, 1]}
            else:
                convs = {"a": [width, channels, 3, 3], "b": [width, width, 3, 3]}
            for letter, shape in convs.items():
                found |= conv_norm(f"{prefix}.branch2{letter}", shape, not bottleneck)
            if b == 0:
                short = f"{prefix}.short" if s == 0 else f"{prefix}.short.conv"
                found |= conv_norm(short, [out, channels, 1, 1], not bottleneck)
            channels = out
    return found


def official_encoder(channels: list[int], width: int, ffn: int, hidden: int) -> Shapes:
    found: Shapes = {}
    for i, c in enumerate(channels):
        found |= conv_norm(f"encoder.input_proj.{i}", [width, c, 1, 1])
    layer = "encoder.encoder.0.layers.0"
    found |= attention(f"{layer}.self_attn", width) | norm(f"{layer}.norm1", width) | norm(f"{layer}.norm2", width)
    found |= linear(f"{layer}.linear1", ffn, width) | linear(f"{layer}.linear2", width, ffn)
    for i in (0, 1):
        found |= conv_norm(f"encoder.lateral_convs.{i}", [width, width, 1, 1])
        found |= conv_norm(f"encoder.downsample_convs.{i}", [width, width, 3, 3])
        for block in (f"encoder.fpn_blocks.{i}", f"encoder.pan_blocks.{i}"):
            found |= conv_norm(f"{block}.conv1", [hidden, 2 * width, 1, 1])
            found |= conv_norm(f"{block}.conv2", [hidden, 2 * width, 1, 1])
            for k in (0, 1, 2):
                found |= conv_norm(f"{block}.bottlenecks.{k}.conv1", [hidden, hidden, 3, 3])
                found |= conv_norm(f"{block}.bottlenecks.{k}.conv2", [hidden, hidden, 1, 1])
            if hidden != width:
                found |= conv_norm(f"{block}.conv3", [width, hidden, 1, 1])
    return found


def official_decoder(width: int, layers: int, points: int) -> Shapes:
    found: Shapes = {"decoder.anchors": [1, 8400, 4], "decoder.valid_mask": [1, 8400, 1]}
    found["decoder.denoising_class_embed.weight"] = [81, 256]
    for i in (0, 1, 2):
        found |= conv_norm(f"decoder.input_proj.{i}", [256, width, 1, 1])
    for i in range(layers):
        layer, cross = f"decoder.decoder.layers.{i}", f"decoder.decoder.layers.{i}.cross_attn"
        found |= attention(f"{layer}.self_attn", 256)
        found |= norm(f"{layer}.norm1", 256) | norm(f"{layer}.norm2", 256) | norm(f"{layer}.norm3", 256)
        found |= linear(f"{layer}.linear1", 1024, 256) | linear(f"{layer}.linear2", 256, 1024)
        found[f"{cross}.num_points_scale"] = [3 * points]
        found |= linear(f"{cross}.sampling_offsets", 8 * 3 * points * 2, 256)
        found |= linear(f"{cross}.attention_weights", 8 * 3 * points, 256)
        found |= linear(f"{cross}.value_proj", 256, 256) | linear(f"{cross}.output_proj", 256, 256)
    found |= linear("decoder.query_pos_head.layers.0", 512, 4) | linear("decoder.query_pos_head.layers.1", 256, 512)
    found |= linear("decoder.enc_output.proj", 256, 256) | norm("decoder.enc_output.norm", 256)
    for i in range(layers):
        found |= linear(f"decoder.dec_score_head.{i}", 80, 256)
    found |= linear("decoder.enc_score_head", 80, 256)
    for head in ("enc_bbox_head", *(f"dec_bbox_head.{i}" for i in range(layers))):
        for k, rows in enumerate((256, 256, 4)):
            found |= linear(f"decoder.{head}.layers.{k}", rows, 256)
    return found


R18_CHANNELS, R50_CHANNELS = [128, 256, 512], [512, 1024, 2048]
EXPECTED = {
    "rtdetrv2_r18vd": official_backbone([2, 2, 2, 2], False)
    | official_encoder(R18_CHANNELS, 256, 1024, 128)
    | official_decoder(256, 3, 4),
    "rtdetrv2_r34vd": official_backbone([3, 4, 6, 3], False)
    | official_encoder(R18_CHANNELS, 256, 1024, 128)
    | official_decoder(256, 4, 4),
    "rtdetrv2_r50vd_m": official_backbone([3, 4, 6, 3], True)
    | official_encoder(R50_CHANNELS, 256, 1024, 128)
    | official_decoder(256, 6, 4),
    "rtdetrv2_r50vd": official_backbone([3, 4, 6, 3], True)
    | official_encoder(R50_CHANNELS, 256, 1024, 256)
    | official_decoder(256, 6, 4),
    "rtdetrv2_r101vd": official_backbone([3, 4, 23, 3], True)
    | official_encoder(R50_CHANNELS, 384, 2048, 384)
    | official_decoder(384, 6, 4),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_exactly_the_official_names_and_shapes(name: str) -> None:
    state = to_official(meta_state(OFFICIAL[name]), OFFICIAL[name])
    assert shapes(state) == EXPECTED[name]
    assert len(state) == COUNTS[name][0]


@pytest.mark.parametrize("points", [1, 2, 3])
def test_fewer_sampling_points_change_the_official_shapes(points: int) -> None:
    config = replace(OFFICIAL["rtdetrv2_r18vd"], num_points=(points, points, points))
    expected = EXPECTED["rtdetrv2_r18vd"] | official_decoder(256, 3, points)
    assert shapes(to_official(meta_state(config), config)) == expected


def test_parts_of_the_official_r18() -> None:
    parts = [name.split(".", 1)[0] for name in EXPECTED["rtdetrv2_r18vd"]]
    assert {part: parts.count(part) for part in set(parts)} == {"backbone": 138, "encoder": 270, "decoder": 130}
    assert sum(name.endswith("num_batches_tracked") for name in EXPECTED["rtdetrv2_r18vd"]) == 69


@pytest.mark.parametrize("name", OFFICIAL)
def test_parameter_counts(name: str) -> None:
    with torch.device("meta"):
        model = RTDETR(OFFICIAL[name])

    def count(*parts: torch.nn.Module) -> int:
        return sum(p.numel() for part in parts for p in part.parameters())

    decoder = count(model.query_selection, model.decoder, model.denoising)
    assert (count(model), count(model.backbone), count(model.hybrid_encoder), decoder) == COUNTS[name][1:]


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_there_and_back_is_the_identity(name: str) -> None:
    # Every tensor has values of its own, so that two of the same shape cannot be mistaken for each other.
    official = {n: torch.full(s, float(i)) for i, (n, s) in enumerate(EXPECTED[name].items())}
    own_size = {n: t for n, t in official.items() if n not in ("decoder.anchors", "decoder.valid_mask")}
    ours, unknown = keys.to_ours(own_size, keys.OFFICIAL)
    assert unknown == []
    assert set(ours) == set(meta_state(OFFICIAL[name]))
    back = keys.from_ours(ours, keys.OFFICIAL)
    assert set(back) == set(own_size)
    assert all(torch.equal(back[n], own_size[n]) for n in own_size)


@pytest.mark.parametrize("name", OFFICIAL)
def test_exactly_the_names_and_shapes_of_transformers(name: str) -> None:
    with torch.device("meta"):
        theirs = RTDetrV2ForObjectDetection(reference_config(OFFICIAL[name])).state_dict()
    on_disk = keys.transformers_on_disk(theirs)
    assert shapes(to_transformers(meta_state(OFFICIAL[name]))) == shapes(on_disk)
    ours, unknown = keys.to_ours(on_disk, keys.TRANSFORMERS)
    assert unknown == []
    assert shapes(keys.from_ours(ours, keys.TRANSFORMERS)) == shapes(on_disk)


def test_a_file_saved_by_transformers_is_read(tmp_path: Path) -> None:
    pair = make_pair("rtdetrv2_r18vd")
    pair.theirs.config.id2label = {i: f"thing {i}" for i in range(80)}
    pair.theirs.config.decoder_method = "discrete"
    pair.theirs.save_pretrained(tmp_path)
    config, state, _ = load_weights(tmp_path / "model.safetensors")
    names = tuple(f"thing {i}" for i in range(80))
    assert config == replace(CONFIGS["rtdetrv2_r18vd"], class_names=names, cross_attn_method="discrete")
    RTDETR(config).load_state_dict(state, strict=True)
    expected = pair.ours.state_dict()
    assert set(state) == set(expected)
    counters = {n for n in state if n.startswith("backbone.") and n.endswith("num_batches_tracked")}
    assert all(torch.equal(state[n], expected[n]) for n in set(state) - counters)
    on_disk = load_file(tmp_path / "model.safetensors")
    back = to_transformers(state)
    assert set(back) == set(on_disk)
    assert all(torch.equal(back[n], on_disk[n]) for n in on_disk)


def test_transformers_reads_a_file_converted_by_us(tmp_path: Path) -> None:
    pair = make_pair("rtdetrv2_r18vd")
    save_official(tmp_path / "w.pth", pair.ours.state_dict(), pair.config)
    _, state, _ = load_weights(tmp_path / "w.pth")
    save_file(to_transformers(state), tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(pair.theirs.config.to_dict()))
    loader: Any = RTDetrV2ForObjectDetection
    theirs, report = loader.from_pretrained(tmp_path, output_loading_info=True)
    assert {k: list(v) for k, v in report.items() if v} == {}
    expected = pair.theirs.state_dict()
    loaded = theirs.state_dict()
    assert set(loaded) == set(expected)
    assert all(torch.equal(loaded[n], expected[n]) for n in expected)
