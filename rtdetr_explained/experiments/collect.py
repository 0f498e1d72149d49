"""From the folder of an experiment to its result: the logs and matchings of both arms as curves."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rtdetr_explained.experiments.matching import instability, objects_per_image
from rtdetr_explained.experiments.result import ARMS, SCHEMA, Result
from rtdetr_explained.experiments.settings import Settings
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.data import FIRST_TRAINING_SEED
from rtdetr_explained.training.log import read_log
from rtdetr_explained.training.plot import column
from rtdetr_explained.training.run import model_config

MATCHED = ("last", "aux", "enc")  # the parts of the loss that both arms have
POINTS_PER_EPOCH = 5  # of the loss curve


def collect(settings: Settings, epochs: int) -> Result:
    """The result after so many epochs of both arms, at least 2; losses, AP and matching changes are curves over images.

    `loss` is a mean over a fifth of an epoch of the last layer's, the earlier layers' and the encoder's losses: the
    denoising queries' own losses, which one arm alone has, are left out. `changes` is the instability.
    """
    config = settings.arm(ARMS[0])
    ends = [settings.epoch_end(epoch) for epoch in range(1, epochs + 1)]
    return {
        "schema": SCHEMA,
        "experiment": "denoising",
        "settings": settings.fixed(),
        "epochs_done": epochs,
        "parameters": sum(p.numel() for p in RTDETR(model_config(config)).parameters()),
        "training_seeds": [FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + ends[-1] - 1],
        "held_out_seeds": [0, settings.evaluate_images - 1],
        "objects_per_image": objects_per_image(read_matching(settings.out / ARMS[0], ends[0])),
        "torch": torch.__version__,
        "threads": settings.threads,
        "cores": os.cpu_count(),
        "arms": {arm: curves(settings.out / arm, ends) for arm in ARMS},
    }


def curves(folder: Path, ends: list[int]) -> dict[str, Any]:
    """One arm: its curves up to the end of the last epoch, and how long they took."""
    steps = [row for row in read_log(folder / "log.csv") if (row["images"] or 0) <= ends[-1]]
    images, seconds = column(steps, "images"), column(steps, "seconds")
    loss = np.sum([column(steps, part) for part in MATCHED], axis=0)
    parts = min(POINTS_PER_EPOCH, len(steps) // len(ends))
    blocks = np.array_split(np.arange(len(steps)), len(ends) * parts)
    evaluations = [row for row in read_log(folder / "evaluation.csv") if row["images"] in ends]
    matched = [read_matching(folder, end) for end in ends]
    return {
        "seconds": round(float(seconds[-1]), 1),
        # The median: on a machine with other work to do, the mean says more about that work.
        "ms_per_image": round(float(np.median(np.diff(seconds, prepend=0)) * 1000 / images[0]), 2),
        "grad_norm": round(float(np.median(column(steps, "grad_norm"))), 2),  # before clipping
        "loss": {
            "images": [int(images[block[-1]]) for block in blocks],
            "loss": [round(float(loss[block].mean()), 4) for block in blocks],
        },
        "evaluations": {
            "images": ends,
            "AP": [_rounded(row["AP"]) for row in evaluations],
            "AP50": [_rounded(row["AP50"]) for row in evaluations],
        },
        "instability": {
            "images": ends[1:],
            "changes": [round(instability(*pair), 4) for pair in pairwise(matched)],
        },
    }


def matching_path(folder: Path, images: int) -> Path:
    """Where the matching of an arm after so many images is kept."""
    return folder / f"matching_{images:07d}.npz"


def read_matching(folder: Path, images: int) -> np.ndarray:
    """V after so many images, int16 (images, tokens)."""
    with np.load(matching_path(folder, images)) as file:
        return file["matched"]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
