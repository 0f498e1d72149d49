"""Photos with an EXIF orientation, all eight: upright, and turned once, wherever a picture is read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from turned_photos import save_turned

from rtdetr_explained import cli
from rtdetr_explained.commands import figures
from rtdetr_explained.data.annotations import Annotations, Row, annotated_image
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.evaluation.samples import photo_samples
from rtdetr_explained.training.data import PhotoDataset, Sample

WIDTH, HEIGHT = 160, 96
SCENE = generate_scene(3, SceneConfig(size=(HEIGHT, WIDTH))).image  # H W 3
TURNS = pytest.mark.parametrize("orientation", range(1, 9))


@pytest.fixture
def photo(tmp_path: Path, orientation: int) -> Path:
    path = tmp_path / "phone.png"
    save_turned(Image.fromarray(SCENE), path, orientation)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """What `detect --out` draws into the upright photo."""
    folder = tmp_path_factory.mktemp("upright")
    Image.fromarray(SCENE).save(folder / "photo.png")
    assert cli.main(["detect", str(folder / "photo.png"), "--threshold", "0.2", "--out", str(folder / "out.png")]) == 0
    drawn = np.asarray(Image.open(folder / "out.png"))
    assert (drawn != SCENE).any()  # there are boxes
    return drawn


@TURNS
def test_detect_out(photo: Path, expected: np.ndarray, tmp_path: Path):
    out = tmp_path / "out.png"
    assert cli.main(["detect", str(photo), "--threshold", "0.2", "--out", str(out)]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(out)), expected)


@TURNS
def test_figures(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = []
    monkeypatch.setattr(figures, "draw_all", lambda *args: drawn.extend(args[:2]) or {})
    assert cli.main(["figures", str(photo), "-o", str(tmp_path)]) == 0
    for trace in drawn:
        assert trace.photo.size == (WIDTH, HEIGHT)
        assert np.abs(np.asarray(trace.photo).astype(int) - SCENE).mean() < 6  # a JPEG
    assert len(drawn) == 2


def annotated(photo: Path, size: tuple[int, int]) -> Annotations:
    """The photo with one box, a quarter of each side from the left and the top."""
    w, h = size
    image = annotated_image(photo, 1, size, [Row(0, (0, 0, w / 4, h / 4), None, False)], Report())
    return Annotations((image,), ("thing",), (1,))


@TURNS
def test_evaluation(photo: Path, orientation: int):
    data = annotated(photo, (WIDTH, HEIGHT))
    (sample,) = photo_samples(enumerate(data.images), Report())
    np.testing.assert_array_equal(np.asarray(sample.photo), SCENE)
    if orientation > 4:  # annotated on the picture as it is stored
        data = annotated(photo, (HEIGHT, WIDTH))
        (sample,) = photo_samples(enumerate(data.images), Report())
        assert sample.photo.size == sample.size == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(sample.target["boxes"][0], [0, 0, HEIGHT / 4, WIDTH / 4])


@TURNS
def test_training(photo: Path):
    dataset = PhotoDataset(annotated(photo, (WIDTH, HEIGHT)), (HEIGHT, WIDTH), seed=0, epoch_images=1, weak_from=0)
    mirrored = set()
    for i in range(8):
        sample = dataset[i]
        assert isinstance(sample, Sample)
        mirrored.add(flipped := sample.target["boxes"][0, 0].item() > 0.5)
        pixels = sample.image.permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(pixels, SCENE[:, ::-1] if flipped else SCENE)
    assert mirrored == {True, False}
