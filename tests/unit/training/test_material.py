"""What a run learns from: its length, and the image from which on augmentation and multi-scale are off."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from foreign_data import yolo
from PIL import Image
from tiny_model import TINY

from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.training import loop
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.data import PhotoDataset
from rtdetr_explained.training.loop import read_material, train
from rtdetr_explained.training.run import Run


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Seven pictures with an object each, three batches of two."""
    images, annotations = [], []
    for i in range(7):
        Image.new("RGB", (64, 64), (30 * i, 0, 0)).save(tmp_path / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 64, "height": 64})
        annotations.append({"id": i + 1, "image_id": i, "category_id": 1, "bbox": [10, 10, 30, 30]})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "data.json").write_text(json.dumps(data))
    return TrainConfig(out=tmp_path / "run", data=str(tmp_path / "data.json"), epochs=5, batch=2)


@pytest.mark.parametrize(
    ("length", "weak_epochs", "total", "weak_from"),
    [
        ({"epochs": 5}, 2, 30, 18),
        ({"epochs": 5}, 1, 30, 24),
        ({"epochs": 5}, 0, 30, 30),
        ({"epochs": 5}, 5, 30, 0),
        ({"epochs": 5}, 9, 30, 0),
        ({"epochs": 0, "steps": 8}, 1, 16, 10),
        ({"epochs": 0, "images": 20}, 2, 20, 8),
    ],
)
def test_the_last_epochs_begin_that_many_whole_epochs_before_the_end(
    config: TrainConfig, length: dict[str, int], weak_epochs: int, total: int, weak_from: int
):
    material = read_material(replace(config, weak_epochs=weak_epochs, **length), Report())
    assert (material.epoch_images, material.total_images, material.weak_from) == (6, total, weak_from)
    dataset = material.dataset((64, 64), seed=0, augment=True)
    assert isinstance(dataset, PhotoDataset)
    assert dataset.weak_from == weak_from
    plain = material.dataset((64, 64), seed=0, augment=False)
    assert isinstance(plain, PhotoDataset)
    assert plain.weak_from == 0


def test_the_canvas_of_a_run_is_that_of_its_photographs(config: TrainConfig):
    dataset = read_material(config, Report()).dataset((64, 64), seed=0, augment=True, zoom_side=2.5)
    assert isinstance(dataset, PhotoDataset)
    assert dataset.zoom_side == 2.5
    with pytest.raises(InputError, match=r"zoom_side is 0.5; give a number of at least 1\."):
        replace(config, zoom_side=0.5)


def test_multi_scale_ends_with_the_last_strong_epoch(config: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    scaled: list[bool] = []

    def step(run: Run, batch: object, config: TrainConfig, total: int, multi_scale: bool, *rest: object) -> dict:
        scaled.append(multi_scale)
        run.step, run.images = run.step + 1, run.images + config.batch
        return dict.fromkeys(("lr", "loss", *loop.KINDS, *loop.PARTS, "grad_norm"), 0.0)

    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    monkeypatch.setattr(loop, "train_step", step)
    config = replace(config, model="tiny", multi_scale=True, weak_epochs=2, workers=0, threads=1)
    train(config)
    assert scaled == [True] * 9 + [False] * 6  # three epochs of three steps, then two


def test_a_data_yaml_trains_on_one_part_and_evaluates_on_the_other(tmp_path: Path, config: TrainConfig):
    path = str(yolo(tmp_path / "yolo"))
    yolo(tmp_path / "yolo", photo="images/val/b.png")
    material = read_material(replace(config, data=path, val=path, batch=1), Report())
    assert material.annotations is not None
    assert material.held_out is not None
    assert [image.path.name for image in material.annotations.images] == ["a.png"]
    assert [image.path.name for image in material.held_out.images] == ["b.png"]


def test_generated_shapes_have_no_epochs(config: TrainConfig):
    material = read_material(replace(config, data="shapes", epochs=0, steps=3), Report())
    assert (material.total_images, material.annotations, material.held_out) == (6, None, None)
    with pytest.raises(InputError, match="no epochs"):
        read_material(replace(config, data="shapes"), Report())


def test_photographs_to_evaluate_on_take_the_classes_of_the_data(config: TrainConfig):
    material = read_material(replace(config, val=config.data, evaluate_images=3), Report())
    assert material.held_out is not None
    assert [image.path.name for image in material.held_out.images] == ["0.png", "1.png", "2.png"]
    assert material.held_out.class_names == material.class_names == ("thing",)


def test_too_few_images_for_a_batch_are_refused(config: TrainConfig):
    with pytest.raises(InputError, match=r"7 images of .* do not fill one batch of 8"):
        read_material(replace(config, batch=8), Report())
