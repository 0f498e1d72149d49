from collections import Counter

import pytest
import torch

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys

RESNETS = {name: config for name, config in CONFIGS.items() if config.backbone == "resnet_vd"}
TABLES = {"official": keys.OFFICIAL, "transformers": keys.TRANSFORMERS}
# A few names of every part, written out: (here, official, transformers).
EXAMPLES = (
    (
        "backbone.stem.0.conv.weight",
        "backbone.conv1.conv1_1.conv.weight",
        "model.backbone.model.embedder.embedder.0.convolution.weight",
    ),
    (
        "backbone.stages.2.10.conv3.norm.running_var",
        "backbone.res_layers.2.blocks.10.branch2c.norm.running_var",
        "model.backbone.model.encoder.stages.2.layers.10.layer.2.normalization.running_var",
    ),
    (
        "backbone.stages.0.0.shortcut.norm.bias",
        "backbone.res_layers.0.blocks.0.short.norm.bias",
        "model.backbone.model.encoder.stages.0.layers.0.shortcut.normalization.bias",
    ),
    (
        "backbone.stages.3.0.shortcut.conv.weight",
        "backbone.res_layers.3.blocks.0.short.conv.conv.weight",
        "model.backbone.model.encoder.stages.3.layers.0.shortcut.1.convolution.weight",
    ),
    (
        "hybrid_encoder.input_proj.1.norm.num_batches_tracked",
        "encoder.input_proj.1.norm.num_batches_tracked",
        "model.encoder_input_proj.1.1.num_batches_tracked",
    ),
    (
        "hybrid_encoder.aifi.layers.0.linear2.bias",
        "encoder.encoder.0.layers.0.linear2.bias",
        "model.encoder.encoder.0.layers.0.fc2.bias",
    ),
    (
        "hybrid_encoder.aifi.layers.0.norm2.weight",
        "encoder.encoder.0.layers.0.norm2.weight",
        "model.encoder.encoder.0.layers.0.final_layer_norm.weight",
    ),
    (
        "hybrid_encoder.ccff.pan_blocks.1.bottlenecks.2.conv1.conv.weight",
        "encoder.pan_blocks.1.bottlenecks.2.conv1.conv.weight",
        "model.encoder.pan_blocks.1.bottlenecks.2.conv1.conv.weight",
    ),
    (
        "query_selection.enc_output.norm.weight",
        "decoder.enc_output.norm.weight",
        "model.enc_output.1.weight",
    ),
    (
        "query_selection.bbox_head.layers.2.bias",
        "decoder.enc_bbox_head.layers.2.bias",
        "model.enc_bbox_head.layers.2.bias",
    ),
    (
        "decoder.layers.5.cross_attn.num_points_scale",
        "decoder.decoder.layers.5.cross_attn.num_points_scale",
        "model.decoder.layers.5.encoder_attn.n_points_scale",
    ),
    (
        "decoder.layers.1.norm2.bias",
        "decoder.decoder.layers.1.norm2.bias",
        "model.decoder.layers.1.encoder_attn_layer_norm.bias",
    ),
    ("decoder.score_heads.2.weight", "decoder.dec_score_head.2.weight", "model.decoder.class_embed.2.weight"),
    (
        "decoder.bbox_heads.0.layers.1.weight",
        "decoder.dec_bbox_head.0.layers.1.weight",
        "model.decoder.bbox_embed.0.layers.1.weight",
    ),
    ("denoising.class_embed.weight", "decoder.denoising_class_embed.weight", "model.denoising_class_embed.weight"),
)


def meta_state(config: ModelConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return RTDETR(config).state_dict()


@pytest.mark.parametrize(("ours", "official", "transformers"), EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_names_written_out(ours: str, official: str, transformers: str) -> None:
    assert keys.translate(ours, keys.OFFICIAL) == official
    assert keys.translate(official, keys.OFFICIAL, reverse=True) == ours
    assert keys.translate(ours, keys.TRANSFORMERS) == transformers
    assert keys.translate(transformers, keys.TRANSFORMERS, reverse=True) == ours


@pytest.mark.parametrize("config", RESNETS.values(), ids=RESNETS)
@pytest.mark.parametrize("layout", TABLES)
def test_every_variant_there_and_back(layout: str, config: ModelConfig) -> None:
    state = meta_state(config)
    theirs = keys.from_ours(state, TABLES[layout])
    packed = 2 * 2 * (1 + config.num_layers) if layout == "official" else 0  # q, k, v of weights and biases become one
    assert len(theirs) == len(state) - packed
    back, unknown = keys.to_ours(theirs, TABLES[layout])
    assert unknown == []
    assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in state.items()}
    again = keys.from_ours(back, TABLES[layout])
    assert {n: t.shape for n, t in again.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize("layout", TABLES)
def test_each_name_fits_one_row_only_in_either_direction(layout: str) -> None:
    table = TABLES[layout]
    for ours, theirs in ((row[0], row[1 if layout == "official" else 2]) for row in EXAMPLES):
        assert sum(keys.translate(ours, (row,)) is not None for row in table) == 1
        assert sum(keys.translate(theirs, (row,), reverse=True) is not None for row in table) == 1


@pytest.mark.parametrize("layout", TABLES)
def test_no_row_is_idle(layout: str) -> None:
    names = {n for name in ("rtdetrv2_r18vd", "rtdetrv2_r50vd") for n in meta_state(CONFIGS[name])}
    names |= {n.replace(".q_proj.", f".{keys.QKV}_proj.") for n in names}
    used = Counter(row for row in TABLES[layout] for n in names if keys.translate(n, (row,)) is not None)
    assert set(used) == set(TABLES[layout])


def test_official_attention_is_stacked_query_key_value() -> None:
    parts = {letter: torch.full((2, 2), float(i)) for i, letter in enumerate("qkv")}
    state = {f"decoder.layers.0.self_attn.{letter}_proj.weight": parts[letter] for letter in "vkq"}
    theirs = keys.from_ours(state, keys.OFFICIAL)
    assert list(theirs) == ["decoder.decoder.layers.0.self_attn.in_proj_weight"]
    assert theirs["decoder.decoder.layers.0.self_attn.in_proj_weight"][:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    back, _ = keys.to_ours(theirs, keys.OFFICIAL)
    assert all(torch.equal(back[name], state[name]) for name in state)
    # The three parts share no memory, so that they can be saved and changed one by one.
    assert len({t.untyped_storage().data_ptr() for t in back.values()}) == 3


def test_rows_of_a_malformed_attention_tensor_are_not_lost() -> None:
    back, _ = keys.to_ours({"encoder.encoder.0.layers.0.self_attn.in_proj_bias": torch.zeros(7)}, keys.OFFICIAL)
    assert sum(t.shape[0] for t in back.values()) == 7
    back, _ = keys.to_ours({"encoder.encoder.0.layers.0.self_attn.in_proj_bias": torch.tensor(1.0)}, keys.OFFICIAL)
    assert back == {}


def test_foreign_names_are_reported() -> None:
    state = {"decoder.enc_output.proj.bias": torch.zeros(1), "decoder.tgt_embed.weight": torch.zeros(1)}
    renamed, unknown = keys.to_ours(state, keys.OFFICIAL)
    assert list(renamed) == ["query_selection.enc_output.proj.bias"]
    assert unknown == ["decoder.tgt_embed.weight"]
    with pytest.raises(InputError, match="nothing"):
        keys.from_ours({"nothing": torch.zeros(1)}, keys.OFFICIAL)


def test_transformers_names_in_memory_become_those_on_disk() -> None:
    head, other = torch.zeros(1), torch.ones(1)
    state = {
        "model.encoder.aifi.0.layers.0.self_attn.o_proj.weight": other,
        "model.encoder.aifi.0.layers.0.mlp.fc1.bias": other,
        "model.decoder.layers.1.mlp.fc2.weight": other,
        "model.decoder.class_embed.0.weight": head,
        "class_embed.0.weight": head,
        "bbox_embed.0.layers.0.bias": other,  # a file may keep either of two names of the same tensor
    }
    assert set(keys.transformers_on_disk(state)) == {
        "model.encoder.encoder.0.layers.0.self_attn.out_proj.weight",
        "model.encoder.encoder.0.layers.0.fc1.bias",
        "model.decoder.layers.1.fc2.weight",
        "model.decoder.class_embed.0.weight",
        "model.decoder.bbox_embed.0.layers.0.bias",
    }


def test_a_backbone_that_no_other_layout_has_is_said() -> None:
    with pytest.raises(InputError, match=r"backbone.stem.conv.weight has no name there; only .* ResNet-vd"):
        keys.from_ours({"backbone.stem.conv.weight": torch.zeros(1)}, keys.OFFICIAL)
