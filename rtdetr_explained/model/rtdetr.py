"""RT-DETRv2, whole: backbone, hybrid encoder, query selection, decoder, and denoising queries in training.

Source: rtdetrv2_pytorch/src/zoo/rtdetr/rtdetr.py and rtdetrv2_decoder.py; papers 2304.08069 and 2407.17140.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rtdetr_explained.model.backbone import ResNetVd
from rtdetr_explained.model.backbone_efficientnet import EfficientNetLite0
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.decoder import Decoder, LayerPrediction
from rtdetr_explained.model.denoising import Denoising
from rtdetr_explained.model.hybrid_encoder import HybridEncoder
from rtdetr_explained.model.query_selection import QuerySelection, Selection

COARSEST_STRIDE = 32
BACKBONES = {"resnet_vd": ResNetVd, "efficientnet_lite0": EfficientNetLite0}
Targets = list[dict[str, Tensor]]  # per image: labels (n,) int64 and boxes (n, 4) cxcywh in 0..1


class RTDETR(nn.Module):
    """Images to boxes and class logits."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.backbone = BACKBONES[config.backbone](config)
        self.hybrid_encoder = HybridEncoder(config)
        self.query_selection = QuerySelection(config)
        self.decoder = Decoder(config)
        self.denoising = Denoising(config)

    def forward(self, images: Tensor, targets: Targets | None = None) -> dict[str, Any]:
        """images: B 3 H W, RGB in 0..1, H and W multiples of 32. See `predict` for `targets` and what is returned."""
        return self.predict(self.query_selection(self.encode(images)), targets)

    def encode(self, images: Tensor) -> list[Tensor]:
        """images: B 3 H W. Returns the fused maps N3, N4, N5. Raises ValueError when a side is no multiple of 32."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"Images must have the shape (batch, 3, height, width), not {tuple(images.shape)}.")
        h, w = images.shape[2:]
        if h % COARSEST_STRIDE or w % COARSEST_STRIDE:
            raise ValueError(f"Height and width must be multiples of {COARSEST_STRIDE}, not {h} x {w}; resize first.")
        return self.hybrid_encoder(self.backbone(images))

    def predict(
        self,
        selection: Selection,
        targets: Targets | None = None,
        *,
        num_layers: int | None = None,
        sampling_method: str | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Any]:
        """Run the decoder; `num_layers` and `sampling_method` replace the configured values for this call.

        In evaluation returns {"pred_logits": B Q C, "pred_boxes": B Q 4 cxcywh in 0..1} of the evaluation layer.
        In training, or with `targets`, returns the same from the last layer, "aux_outputs" (one such dict per earlier
        layer) and "enc_aux_outputs" (the encoder's own prediction, where the selection holds one); with `targets`
        denoising queries run along, drawn from `generator`, and "dn_aux_outputs" (one dict per layer) and "dn_meta"
        tell of them.
        """
        every_layer = self.training or targets is not None
        content, references, blocked, dn = selection.content, selection.reference_boxes, None, None
        if targets is not None and self.config.num_denoising > 0:
            dn = self.denoising(targets, references.shape[1], generator)
            content = torch.cat([dn.content.to(content.dtype), content], dim=1)  # B M+Q D
            references = torch.cat([dn.reference_boxes, references], dim=1)  # B M+Q 4
            blocked = dn.blocked
        layers = self.decoder(
            content,
            references,
            selection.memory,
            selection.map_sizes,
            blocked,
            every_layer=every_layer,
            num_layers=num_layers,
            sampling_method=sampling_method,
        )
        if not every_layer:
            return as_dict(layers[-1])
        outputs: dict[str, Any] = {}
        if dn is not None:
            M = dn.meta["dn_num_split"][0]
            outputs["dn_aux_outputs"] = [{"pred_logits": p.logits[:, :M], "pred_boxes": p.boxes[:, :M]} for p in layers]
            outputs["dn_meta"] = dn.meta
            layers = [LayerPrediction(p.logits[:, M:], p.boxes[:, M:]) for p in layers]
        outputs |= as_dict(layers[-1])
        outputs["aux_outputs"] = [as_dict(p) for p in layers[:-1]]
        if selection.encoder_logits is not None:
            encoder = {"pred_logits": selection.encoder_logits, "pred_boxes": selection.encoder_boxes}
            outputs["enc_aux_outputs"] = [encoder]
        return outputs


def as_dict(prediction: LayerPrediction) -> dict[str, Tensor]:
    """One layer's prediction under the names of the reference."""
    return {"pred_logits": prediction.logits, "pred_boxes": prediction.boxes}
