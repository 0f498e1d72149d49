"""RT-DETR version 1 of transformers, with random weights, gives the same numbers here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

import rtdetr_explained as rx


def test_a_folder_of_save_pretrained_gives_the_same_logits_and_boxes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "embedding_size": 32,
        "hidden_sizes": [32, 64, 128, 256],
        "depths": [2, 2, 2, 2],
        "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"],
    }
    backbone = RTDetrResNetConfig(**shape)
    names: dict[int, str] = dict(enumerate(("nut", "bolt", "ring")))
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_hidden_dim=32,
        encoder_in_channels=[64, 128, 256],
        encoder_ffn_dim=64,
        d_model=32,
        decoder_in_channels=[32, 32, 32],
        decoder_ffn_dim=64,
        decoder_layers=2,
        decoder_attention_heads=4,
        encoder_attention_heads=4,
        num_queries=30,
        hidden_expansion=0.5,
        id2label=names,
        label2id={name: i for i, name in names.items()},
    )
    model = RTDetrForObjectDetection(config).eval()
    model.save_pretrained(tmp_path)
    detector = rx.load(tmp_path, deploy=False)
    assert detector.config.version == 1
    assert detector.class_names == ("nut", "bolt", "ring")
    assert detector.config.num_heads == 4
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    with torch.inference_mode():
        theirs = model(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    trace = detector.trace(pixels, size=(160, 160))
    order, expected = (np.lexsort(x.T) for x in (trace.logits.round(3), theirs.logits[0].numpy().round(3)))
    np.testing.assert_allclose(trace.logits[order], theirs.logits[0].numpy()[expected], atol=1e-4)
    np.testing.assert_allclose(trace.boxes[order], theirs.pred_boxes[0].numpy()[expected], atol=1e-4)
