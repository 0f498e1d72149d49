"""Decoder: queries look at each other, then at the image, and move their boxes a little, layer after layer.

Source: rtdetrv2_pytorch/src/zoo/rtdetr/rtdetrv2_decoder.py (`TransformerDecoderLayer`, `TransformerDecoder`).
"""

from typing import NamedTuple

from torch import Tensor, nn

from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.deformable_attention import DeformableAttention
from rtdetr_explained.model.layers import (
    MLP,
    SelfAttention,
    box_head,
    class_head,
    inverse_sigmoid,
    residual_norm,
    xavier_linear,
)
from rtdetr_explained.model.tap import Tap


class LayerPrediction(NamedTuple):
    """Class logits (B Q C) and boxes (B Q 4, cxcywh in 0..1) of one decoder layer."""

    logits: Tensor
    boxes: Tensor


class DecoderLayer(nn.Module):
    """Self-attention among queries, deformable cross-attention into the image, feed-forward; post-norm."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        D = config.decoder_dim
        self.self_attn = SelfAttention(D, config.num_heads, "query")
        self.norm1 = nn.LayerNorm(D)
        self.cross_attn = DeformableAttention(D, config.num_heads, config.num_points, config.cross_attn_method)
        self.norm2 = nn.LayerNorm(D)
        self.linear1 = xavier_linear(D, config.decoder_ffn_dim)
        self.linear2 = xavier_linear(config.decoder_ffn_dim, D)
        self.norm3 = nn.LayerNorm(D)

        self.reference_boxes = Tap("query cxcywh", "image, 0..1", "The box each query holds when the layer begins.")
        self.query_pos = Tap(
            "query channel", "activation", "The reference box as a vector, added to the query's content."
        )
        self.output = Tap("query channel", "activation", "The queries as they leave the layer.")
        self.boxes = Tap("query cxcywh", "image, 0..1", "The box after this layer's correction.")

    def forward(
        self,
        queries: Tensor,
        reference_boxes: Tensor,
        query_pos: Tensor,
        memory: Tensor,
        map_sizes: list[tuple[int, int]],
        blocked: Tensor | None,
        sampling_method: str | None,
    ) -> Tensor:
        """queries, query_pos: B Q D; reference_boxes: B Q 4 cxcywh; memory: B N D. Returns B Q D."""
        x, pos = queries, self.query_pos(query_pos)
        boxes = self.reference_boxes(reference_boxes)
        x = residual_norm(x, self.self_attn(x, pos, blocked), self.norm1)
        x = residual_norm(x, self.cross_attn(x + pos, boxes, memory, map_sizes, sampling_method), self.norm2)
        x = residual_norm(x, self.linear2(self.linear1(x).relu()), self.norm3)
        return self.output(x)


class Decoder(nn.Module):
    """All layers, with a class head and a box head for each."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        D = config.decoder_dim
        self.eval_layer = config.eval_layer
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_layers))
        self.query_pos_head = MLP(4, 2 * D, D, 2)  # one head, called before each layer
        for linear in self.query_pos_head.layers:
            nn.init.xavier_uniform_(linear.get_parameter("weight"))
        self.score_heads = nn.ModuleList(class_head(D, config.num_classes) for _ in range(config.num_layers))
        self.bbox_heads = nn.ModuleList(box_head(D) for _ in range(config.num_layers))
        self.logits = Tap("query class", "logit", "Final class scores of every query.")
        self.boxes = Tap("query cxcywh", "image, 0..1", "Final box of every query.")

    def forward(
        self,
        content: Tensor,
        reference_boxes: Tensor,
        memory: Tensor,
        map_sizes: list[tuple[int, int]],
        blocked: Tensor | None = None,
        every_layer: bool = False,
        num_layers: int | None = None,
        sampling_method: str | None = None,
    ) -> list[LayerPrediction]:
        """content: B Q D; reference_boxes: B Q 4, cxcywh in 0..1; memory: B N D; blocked: Q Q.

        Returns the prediction of the evaluation layer alone, or with `every_layer` (training) that of every layer.
        `num_layers` and `sampling_method` replace the configured ones for this call.
        """
        last = num_layers - 1 if num_layers else (len(self.layers) - 1 if every_layer else self.eval_layer)
        x, reference, previous = content, reference_boxes, reference_boxes
        predictions = []
        for i, layer in enumerate(self.layers[: last + 1]):
            assert isinstance(layer, DecoderLayer)
            x = layer(x, reference, self.query_pos_head(reference), memory, map_sizes, blocked, sampling_method)
            correction = self.bbox_heads[i](x).float()  # B Q 4
            boxes = layer.boxes((correction + inverse_sigmoid(reference)).sigmoid())
            if every_layer:
                # Look forward twice: the same numbers as `boxes`, but the gradient also reaches the layer before,
                # because its box enters undetached. (transformers always detaches here.)
                refined = boxes if i == 0 else (correction + inverse_sigmoid(previous)).sigmoid()
                predictions.append(LayerPrediction(self.score_heads[i](x).float(), refined))
            elif i == last:
                logits = self.logits(self.score_heads[i](x).float())
                predictions.append(LayerPrediction(logits, self.boxes(boxes)))
            previous, reference = boxes, boxes.detach()
        return predictions
