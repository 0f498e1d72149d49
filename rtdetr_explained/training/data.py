"""Training images by their place in the run: image number i is always the same one, so a run can stop anywhere."""

import signal
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from rtdetr_explained.data.annotations import Annotations, load_photo
from rtdetr_explained.data.augment import ZOOM_SIDE, augment
from rtdetr_explained.data.images import remarks_of
from rtdetr_explained.data.shapes import SHAPE_CLASSES, SceneConfig, generate_scene
from rtdetr_explained.errors import InputError
from rtdetr_explained.training.distributed import ALONE, Processes
from rtdetr_explained.training.matcher import Target

FIRST_TRAINING_SEED = 1_000_000  # smaller seeds are held out for evaluation
MAX_UNUSABLE = 20  # pictures in a row that cannot be read


class Sample(NamedTuple):
    """One training image, what is in it, its name in messages, and what was wrong with pictures it stands in for."""

    image: Tensor  # 3 H W, uint8
    target: Target
    name: str
    problems: tuple[tuple[str, str], ...] = ()  # kind of `data.report` and sentence


class Batch(NamedTuple):
    """Images of a training step, what is in them, how to name them in a message, and pictures left out."""

    images: Tensor  # B 3 H W, uint8
    targets: list[Target]
    names: list[str]
    problems: list[tuple[str, str]]


class ShapesDataset(Dataset):
    """Endless scenes: image i is the scene of seed 1,000,000 + i."""

    class_names = SHAPE_CLASSES

    def __init__(self, size: tuple[int, int]) -> None:
        self.config = SceneConfig(size=size)

    def __getitem__(self, index: int) -> Sample:
        """Image, labels and normalised cxcywh boxes, and the seed in the name."""
        seed = FIRST_TRAINING_SEED + index
        scene = generate_scene(seed, self.config)
        target = {"labels": torch.from_numpy(scene.labels), "boxes": torch.from_numpy(scene.boxes)}
        return Sample(torch.from_numpy(scene.image).permute(2, 0, 1), target, f"scene {seed}")


class PhotoDataset(Dataset):
    """Annotated photographs, epoch after epoch, each epoch in an order of its own and without its last, partial batch.

    Image i of the run belongs to epoch i // epoch_images; order and augmentation follow from `seed` and i. From image
    `weak_from` on only the flip remains of the augmentation, and up to there a photograph is put on a canvas of at most
    `zoom_side` times its sides.
    """

    def __init__(
        self,
        annotations: Annotations,
        size: tuple[int, int],
        seed: int,
        epoch_images: int,
        weak_from: int,
        zoom_side: float = ZOOM_SIDE,
    ) -> None:
        self.photos = annotations.images
        self.size, self.seed, self.epoch_images = size, seed, epoch_images
        self.weak_from, self.zoom_side = weak_from, zoom_side

    def __getitem__(self, index: int) -> Sample | InputError:
        """The image at this place of the run; one that cannot be read is replaced by the next of the epoch.

        Returns the error when many in a row cannot be read: raised in a worker, it would come out as a traceback.
        """
        epoch, place = divmod(index, self.epoch_images)
        order = shuffled(self.seed, epoch, len(self.photos))
        problems = []
        for other in range(place, place + MAX_UNUSABLE):
            photo = self.photos[order[other % len(order)]]
            try:
                image = load_photo(photo)
            except InputError as error:
                problems.append(("bad_image", str(error)))
                continue
            problems += remarks_of(image).items()
            rng = np.random.default_rng([self.seed, 1, index])
            strong = index < self.weak_from
            pixels, boxes, labels = augment(rng, image, photo.boxes, photo.labels, self.size, strong, self.zoom_side)
            target = {"labels": torch.from_numpy(labels), "boxes": torch.from_numpy(boxes)}
            return Sample(torch.from_numpy(pixels).permute(2, 0, 1), target, photo.name, tuple(problems))
        return InputError(f"{MAX_UNUSABLE} pictures in a row cannot be read. The last: {problems[-1][1]}")


class Shard(Sampler):
    """The numbers start to stop − 1 in whole batches, and of each batch the part of one process."""

    def __init__(self, start: int, stop: int, batch: int, processes: Processes) -> None:
        self.start, self.stop, self.batch, self.processes = start, stop, batch, processes

    def __iter__(self) -> Iterator[int]:
        part = self.batch // self.processes.size
        for first in range(self.start, self.stop - self.batch + 1, self.batch):
            mine = first + part * self.processes.rank
            yield from range(mine, mine + part)


def batches(
    dataset: Dataset, start: int, stop: int, batch: int, workers: int, processes: Processes = ALONE
) -> Iterator[Batch]:
    """Whole batches of the images numbered start to stop − 1, in order, made by worker processes.

    Of several training processes each gets its share of every batch. Raises InputError when many pictures in a row
    cannot be read.
    """
    loader = DataLoader(
        dataset,
        batch_size=batch // processes.size,
        sampler=Shard(start, stop, batch, processes),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_ignore_signals,
        generator=torch.Generator(),  # its own one: drawing from the global one would break the exact resume
    )
    for made in loader:
        if isinstance(made, InputError):
            raise made
        yield made


def collate(samples: list[Sample | InputError]) -> Batch | InputError:
    """Stack the images; targets differ in length and stay a list. An error among them is handed on in their place."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    if len(good) < len(samples):
        return next(sample for sample in samples if isinstance(sample, InputError))
    images, targets, names, problems = zip(*good, strict=True)
    return Batch(torch.stack(images), list(targets), list(names), [one for some in problems for one in some])


@lru_cache(maxsize=2)
def shuffled(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


def _ignore_signals(worker: int) -> None:
    # Ctrl-C reaches the whole process group; only the main process shall decide when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
