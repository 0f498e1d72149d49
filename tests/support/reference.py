"""The same random weights in transformers' RTDetrV2 and in ours, and what both compute from an image by stages."""

import copy
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

from rtdetr_explained.model.config import BLOCKS_PER_STAGE, CONFIGS, ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys


@dataclass
class Pair:
    """One variant twice, with equal weights."""

    config: ModelConfig
    theirs: RTDetrV2ForObjectDetection
    ours: RTDETR


@dataclass
class Decoded:
    """What query selection and decoder make of the encoder's maps, at the layer used at inference."""

    scores: Tensor  # B N classes, of the encoder's head
    tokens: Tensor  # B Q, the token each query came from
    logits: Tensor  # B Q classes
    boxes: Tensor  # B Q 4


@dataclass
class Stages:
    """What leaves each stage."""

    backbone: list[Tensor]  # S3, S4, S5
    aifi: Tensor  # B C h w
    encoder: list[Tensor]  # N3, N4, N5
    decoded: Decoded


def reference_config(config: ModelConfig) -> RTDetrV2Config:
    """The transformers configuration of one of our variants; everything not named here is its default."""
    bottleneck = config.depth >= 50
    backbone = RTDetrResNetConfig(
        embedding_size=config.width,
        hidden_sizes=[config.width * 2**s * (4 if bottleneck else 1) for s in range(4)],
        depths=list(BLOCKS_PER_STAGE[config.depth]),
        layer_type="bottleneck" if bottleneck else "basic",
        out_indices=[2, 3, 4],  # pyright: ignore[reportCallIssue]
    )
    return RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=list(config.backbone_channels),
        encoder_hidden_dim=config.hidden_dim,
        encoder_ffn_dim=config.encoder_ffn_dim,
        hidden_expansion=config.expansion,
        decoder_in_channels=[config.hidden_dim] * 3,
        decoder_layers=config.num_layers,
        num_labels=config.num_classes,  # pyright: ignore[reportCallIssue]
    )


@torch.no_grad()
def randomise(model: RTDetrV2ForObjectDetection) -> None:
    """Give every tensor values of a natural size; as initialised, the norms scale nearly everything to zero.

    Cells without a valid anchor all get the same class scores, which come from the bias of `enc_output` alone. It is
    small here, so that they lose: otherwise they could take all the places, and every query would be the same.
    """
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or name.endswith("n_points_scale"):
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("sampling_offsets.bias"):
            tensor.add_(torch.randn_like(tensor) * 0.2)
        elif name.endswith("enc_output.0.bias"):
            tensor.normal_(0, 0.001)
        elif name.endswith("bias"):
            tensor.normal_(0, 0.1)
        elif tensor.ndim == 1:  # γ of a norm
            tensor.uniform_(0.5, 1.5)
        else:
            tensor.normal_(0, tensor[0].numel() ** -0.5)
            if "bbox" in name and name.endswith("layers.2.weight"):
                tensor.mul_(0.2)  # boxes that jump from layer to layer would blow up every rounding error


@torch.no_grad()
def settle(model: RTDetrV2ForObjectDetection, images: Tensor) -> None:
    """Draw the statistics of every batch norm outside the backbone towards those of some images.

    With random statistics alone, a constant part drowns what differs between places, and the best tokens all lie on one
    of the three maps.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 0.8
    model(pixel_values=images)
    for norm in norms:
        norm.eval()


def images(B: int, H: int, W: int, seed: int) -> Tensor:
    """Smooth blobs with noise, different in every image of the batch: B 3 H W in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(B, 3, H // 32, W // 32, generator=generator)
    smooth = nn.functional.interpolate(coarse, (H, W), mode="bicubic").clamp(0, 1)
    return 0.8 * smooth + 0.2 * torch.rand(B, 3, H, W, generator=generator)


def make_pair(name: str) -> Pair:
    """Both implementations of a variant with the same randomised weights, in evaluation mode."""
    config = CONFIGS[name]
    torch.manual_seed(0)
    theirs = RTDetrV2ForObjectDetection(reference_config(config)).eval()
    randomise(theirs)
    settle(theirs, images(2, 256, 256, seed=2))
    state, unknown = keys.to_ours(keys.transformers_on_disk(theirs.state_dict()), keys.TRANSFORMERS)
    assert unknown == []
    ours = RTDETR(config).eval()
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(n.startswith("backbone.") and n.endswith("num_batches_tracked") for n in missing)
    return Pair(config, theirs, ours)


def captured(modules: dict[str, nn.Module], run: Any) -> dict[str, Any]:
    """Call `run` and return the outputs of the given modules, and what it returned as "result"."""
    outputs: dict[str, Any] = {}

    def keep(name: str) -> Any:
        return lambda module, args, output: outputs.__setitem__(name, output)

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        with torch.no_grad():
            outputs["result"] = run()
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


def run_theirs(pair: Pair, images: Tensor) -> Stages:
    model: Any = pair.theirs.model
    modules = {"backbone": model.backbone.model, "aifi": model.encoder.aifi[0], "encoder": model.encoder}
    out = captured(modules, lambda: pair.theirs(pixel_values=images))
    aifi = out["aifi"][0] if isinstance(out["aifi"], tuple) else out["aifi"]
    backbone, encoder = list(out["backbone"].feature_maps), list(out["encoder"].last_hidden_state)
    return Stages(backbone, aifi, encoder, their_decoded(pair.config, out["result"]))


def their_decoded(config: ModelConfig, result: Any) -> Decoded:
    """Read the output of transformers, which runs every layer's heads."""
    scores, layer = result.enc_outputs_class, config.eval_layer
    tokens = scores.amax(-1).topk(config.num_queries).indices
    logits, boxes = result.intermediate_logits[:, layer], result.intermediate_reference_points[:, layer]
    return Decoded(scores, tokens, logits, boxes)


def run_ours(pair: Pair, images: Tensor) -> Stages:
    model = pair.ours
    modules = {"backbone": model.backbone, "aifi": model.hybrid_encoder.aifi, "encoder": model.hybrid_encoder}
    out = captured(modules | selection_taps(model), lambda: model(images))
    return Stages(out["backbone"], out["aifi"], out["encoder"], our_decoded(out))


def selection_taps(model: RTDETR) -> dict[str, nn.Module]:
    return {"scores": model.query_selection.class_logits, "tokens": model.query_selection.topk_indices}


def our_decoded(out: dict[str, Any]) -> Decoded:
    return Decoded(out["scores"], out["tokens"], out["result"]["pred_logits"], out["result"]["pred_boxes"])


def decode_in_float64(pair: Pair, maps: list[Tensor], method: str) -> tuple[Decoded, Decoded]:
    """Run query selection and decoder of both (ours, theirs) from the same encoder maps, with the given sampling.

    In double precision two summation orders agree to many digits, and no sampling location lies so near to the edge of
    two cells that it is rounded to either. Our model computes the delicate places in float32 whatever the precision of
    the rest, by calling `float()`; here that call must do nothing.
    """
    maps = [m.double() for m in maps]
    theirs: Any = copy.deepcopy(pair.theirs).double()
    for layer in theirs.model.decoder.layers:
        layer.encoder_attn.method = method
    with torch.no_grad():
        result = theirs(pixel_values=None, inputs_embeds=maps[0], encoder_outputs=(maps,))
    torch.set_default_dtype(torch.float64)
    try:
        ours = RTDETR(replace(pair.config, cross_attn_method=method)).eval()
        ours.load_state_dict(pair.ours.state_dict())
        with patch.object(Tensor, "float", lambda self: self):
            out = captured(selection_taps(ours), lambda: ours.predict(ours.query_selection(maps)))
    finally:
        torch.set_default_dtype(torch.float32)
    return our_decoded(out), their_decoded(pair.config, result)


def match_by_token(ours: Decoded, theirs: Decoded) -> list[tuple[Tensor, Tensor]]:
    """Per image the rows of both that came from the same token: (rows of ours, rows of theirs).

    Scores that differ in the last bit may swap two queries, so that rows cannot be compared by their position.
    """
    pairs = zip(ours.tokens, theirs.tokens, strict=True)
    matches = [(a[:, None] == b[None, :]).nonzero() for a, b in pairs]
    return [(rows[:, 0], rows[:, 1]) for rows in matches]
