"""The published weights on the image that transformers' own tests use: `pytest -m online`.

It needs the internet, or the weights in the cache (RTDETR_EXPLAINED_GOLDEN_CACHE: its folder) and the image as a file
(RTDETR_EXPLAINED_GOLDEN_IMAGE: its path). The image is 000000039769 of COCO val2017: two cats, two remotes, a couch.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import rtdetr_explained as rx
from rtdetr_explained.weights.download import fetch
from rtdetr_explained.weights.zoo import ZOO

pytestmark = pytest.mark.online

IMAGE_URL = "http://images.cocodataset.org/val2017/000000039769.jpg"
# name: the first three classes' logits and (cx, cy, w) of the first three queries, as transformers asserts them
GOLDEN = {
    "rtdetrv2_r18vd": (
        [[-3.7047, -5.1914, -6.1787], [-4.0108, -9.3449, -5.2047], [-4.1287, -4.7461, -5.8633]],
        [[0.2582, 0.5497, 0.4764], [0.1684, 0.1985, 0.2120], [0.7665, 0.4146, 0.4669]],
    ),
    "rtdetrv2_r34vd": (
        [[-4.6108, -5.9453, -3.8505], [-3.8702, -6.1136, -5.5677], [-3.7790, -6.4538, -5.9449]],
        [[0.1691, 0.1984, 0.2118], [0.2594, 0.5506, 0.4736], [0.7669, 0.4136, 0.4654]],
    ),
    "rtdetrv2_r50vd": (
        [[-4.7881, -4.6754, -6.1624], [-5.4441, -6.6486, -4.3840], [-3.5455, -4.9318, -6.3544]],
        [[0.2588, 0.5487, 0.4747], [0.5497, 0.2760, 0.0573], [0.7688, 0.4133, 0.4634]],
    ),
    "rtdetrv2_r101vd": (
        [[-4.6162, -4.9189, -4.6656], [-4.4701, -4.4997, -4.9659], [-5.6641, -7.9000, -5.0725]],
        [[0.7707, 0.4124, 0.4585], [0.2589, 0.5492, 0.4735], [0.1688, 0.1993, 0.2108]],
    ),
}


def cache(fallback: Path) -> Path:
    return Path(os.environ.get("RTDETR_EXPLAINED_GOLDEN_CACHE", fallback))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("RTDETR_EXPLAINED_GOLDEN_IMAGE")
    return Path(given) if given else fetch(IMAGE_URL, "cats.jpg", cache_dir=tmp_path_factory.mktemp("image"))


@pytest.mark.parametrize("name", GOLDEN)
def test_published_weights_give_the_published_numbers(name: str, image: Path, tmp_path: Path) -> None:
    detector = rx.load(name, deploy=False, cache_dir=cache(tmp_path))
    trace = detector.trace(image)
    logits, boxes = GOLDEN[name]
    # A JPEG decoder may round a pixel the other way, hence wider than the 2e-4 that equal pixels would allow.
    np.testing.assert_allclose(trace.logits[:3, :3], logits, atol=1e-2)
    np.testing.assert_allclose(trace.boxes[:3, :3], boxes, atol=1e-3)


def test_detections_of_the_small_model(image: Path, tmp_path: Path) -> None:
    detector = rx.load("rtdetrv2_r18vd", cache_dir=cache(tmp_path))
    found = detector.detect(image, threshold=0.8)[:4]
    assert [d.name for d in found] == ["cat", "cat", "remote", "couch"]
    np.testing.assert_allclose([d.score for d in found], [0.9652, 0.9599, 0.9462, 0.8613], atol=2e-3)
    boxes = [
        [341.14, 25.11, 639.98, 372.89],
        [12.78, 56.35, 317.67, 471.34],
        [39.96, 73.12, 175.65, 117.44],
        [-0.105, 2.97, 639.89, 473.62],
    ]
    np.testing.assert_allclose([d.box_px for d in found], boxes, atol=0.5)


@pytest.mark.parametrize("name", [name for name, entry in ZOO.items() if entry.url])
def test_every_published_file_loads(name: str, tmp_path: Path) -> None:
    entry = ZOO[name]
    detector = rx.load(name, cache_dir=cache(tmp_path))
    assert detector.config.name == entry.config
    assert detector.config.num_points == entry.num_points
    assert detector.config.cross_attn_method == ("discrete" if entry.discrete else "default")
