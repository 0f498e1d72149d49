"""Post-processing: logits and normalised boxes to scored, labelled boxes in pixels. No suppression, no clipping.

Source: rtdetrv2_pytorch/src/zoo/rtdetr/rtdetr_postprocessor.py.
"""

import torch
from torch import Tensor


def postprocess(
    outputs: dict[str, Tensor], image_sizes: list[tuple[int, int]], num_top: int | None = None
) -> list[dict[str, Tensor]]:
    """The best (query, class) pairs of each image, best first; one query may appear with several classes.

    Args:
        outputs: "pred_logits" B Q C and "pred_boxes" B Q 4, cxcywh in 0..1.
        image_sizes: (width, height) of each original image in pixels.
        num_top: how many pairs to return; as many as there are queries by default.

    Returns per image {"scores": n, "labels": n, "queries": n, "boxes_px": n 4 as x0, y0, x1, y1}.
    """
    logits, boxes = outputs["pred_logits"], outputs["pred_boxes"]
    _, Q, C = logits.shape
    scores, pairs = logits.sigmoid().flatten(1).topk(min(num_top or Q, Q * C), dim=1)  # B n
    center, size = boxes.split(2, dim=-1)
    corners = torch.cat([center - size / 2, center + size / 2], dim=-1)  # B Q 4
    scale = torch.tensor(image_sizes, dtype=corners.dtype, device=corners.device).repeat(1, 2)  # B 4: w h w h
    queries, labels = pairs // C, pairs % C
    boxes_px = corners.gather(1, queries[..., None].expand(-1, -1, 4)) * scale[:, None]
    keys = ("scores", "labels", "queries", "boxes_px")
    return [dict(zip(keys, rows, strict=True)) for rows in zip(scores, labels, queries, boxes_px, strict=True)]
