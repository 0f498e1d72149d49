"""Training images by their place in the run: image number i is always the same one, so a run can stop anywhere."""

import signal
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.training.matcher import Target

FIRST_TRAINING_SEED = 1_000_000  # smaller seeds are held out for evaluation


class Batch(NamedTuple):
    """Images of a training step, what is in them, and how to name them in a message."""

    images: Tensor  # B 3 H W, uint8
    targets: list[Target]
    names: list[str]


class ShapesDataset(Dataset):
    """Endless scenes: image i is the scene of seed 1,000,000 + i."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.config = SceneConfig(size=size)

    def __getitem__(self, index: int) -> tuple[Tensor, Target, str]:
        """Image (3, H, W) uint8, its labels and normalised cxcywh boxes, and its name."""
        seed = FIRST_TRAINING_SEED + index
        scene = generate_scene(seed, self.config)
        target = {"labels": torch.from_numpy(scene.labels), "boxes": torch.from_numpy(scene.boxes)}
        return torch.from_numpy(scene.image).permute(2, 0, 1), target, f"scene {seed}"


def batches(dataset: Dataset, start: int, stop: int, batch: int, workers: int) -> Iterator[Batch]:
    """Whole batches of the images numbered start to stop − 1, in order, made by worker processes."""
    loader = DataLoader(
        dataset,
        batch_size=batch,
        sampler=range(start, stop),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_ignore_signals,
        drop_last=True,
        generator=torch.Generator(),  # its own one: drawing from the global one would break the exact resume
    )
    return iter(loader)


def collate(samples: list[tuple[Tensor, Target, str]]) -> Batch:
    """Stack the images; targets differ in length and stay a list."""
    images, targets, names = zip(*samples, strict=True)
    return Batch(torch.stack(images), list(targets), list(names))


def _ignore_signals(worker: int) -> None:
    # Ctrl-C reaches the whole process group; only the main process shall decide when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
