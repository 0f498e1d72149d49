"""Training images by their place in the run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rtdetr_explained.data.annotations import AnnotatedImage, Annotations
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.training.data import PhotoDataset, Sample, ShapesDataset, Shard, batches
from rtdetr_explained.training.distributed import ALONE, Processes


def photos(folder: Path, count: int) -> Annotations:
    """Pictures of one colour each, told apart by it."""
    images = []
    for i in range(count):
        path = folder / f"{i}.png"
        Image.new("RGB", (64, 64), (20 * i, 20 * i, 20 * i)).save(path)
        box, label, area = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32), np.zeros(1, np.int64), np.ones(1, np.float32)
        images.append(AnnotatedImage(path, i, 64, 64, box, label, area, box[:0], label[:0]))
    return Annotations(tuple(images), ("thing",), (1,))


def test_messages_name_a_picture_by_its_file_and_its_id(tmp_path: Path):
    (photo,) = photos(tmp_path, 1).images
    assert (photo.name, replace(photo, image_id=139).name) == ("0.png", "0.png (id 139)")


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own(tmp_path: Path):
    dataset = PhotoDataset(photos(tmp_path, 10), (64, 64), seed=3, epoch_images=10, weak_from=0)
    names = [name for batch in batches(dataset, 0, 20, batch=2, workers=0) for name in batch.names]
    assert sorted(names[:10]) == sorted(names[10:]) == [f"{i}.png" for i in range(10)]
    assert names[:10] != names[10:]
    again = [name for batch in batches(dataset, 14, 20, batch=2, workers=0) for name in batch.names]
    assert again == names[14:]


def test_the_last_epochs_are_not_augmented(tmp_path: Path):
    dataset = PhotoDataset(photos(tmp_path, 10), (64, 64), seed=3, epoch_images=10, weak_from=10)
    made = [sample for sample in map(dataset.__getitem__, range(20)) if isinstance(sample, Sample)]
    plain = [int(one.name[:-4]) * 20 == int(one.image.max()) == int(one.image.min()) for one in made]
    assert all(plain[10:])
    assert not all(plain[:10])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_worker_processes_make_the_scenes_of_their_numbers():
    dataset = ShapesDataset((64, 96))
    state = torch.get_rng_state()
    made = list(batches(dataset, 5, 16, batch=4, workers=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert [batch.names[0] for batch in made] == ["scene 1000005", "scene 1000009"]  # three images fill no batch
    scene = generate_scene(1_000_006, SceneConfig(size=(64, 96)))
    assert torch.equal(made[0].images[1], torch.from_numpy(scene.image).permute(2, 0, 1))
    assert torch.equal(made[0].targets[1]["boxes"], torch.from_numpy(scene.boxes))
    assert torch.equal(made[0].targets[1]["labels"], torch.from_numpy(scene.labels))


def test_each_process_takes_its_part_of_every_batch():
    parts = [list(Shard(4, 15, 4, Processes(rank, 2))) for rank in range(2)]
    assert parts == [[4, 5, 8, 9], [6, 7, 10, 11]]
    assert list(Shard(4, 15, 4, ALONE)) == list(range(4, 12))
