"""Images by name: samples, scenes and their titles."""

import re

import numpy as np
import pytest

from app.session import images
from app.widgets.text import plain
from rtdetr_explained.data.shapes import generate_scene
from rtdetr_explained.errors import InputError


@pytest.mark.parametrize("name", [*images.PHOTOS, *images.SCENES])
def test_every_sample_loads_and_has_a_title_of_its_own(name):
    picture = images.load(name)
    assert picture.mode == "RGB"
    assert images.title(name) not in ("Your image", "")
    jpeg, size = images.thumbnail(name)
    assert jpeg[:2] == b"\xff\xd8"
    assert size == picture.size
    assert len(jpeg) < 60_000


def test_the_attribution_names_every_photograph_and_its_author():
    text = (images.FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    files = {path.name for path in images.FOLDER.glob("*.jpg")}
    assert files == {f"{name.removeprefix('sample-')}.jpg" for name in images.PHOTOS}
    for name in files:
        assert f"`{name}`" in text
    for photo in images.PHOTOS.values():
        assert photo.credit.split(",")[0] in text


def test_kinds_of_names():
    assert images.kind("sample-coffee") == "photo"
    assert images.kind("scene-3-few") == "scene"
    assert images.kind("upload-0123456789ab") == "upload"
    for name in ("", "sample-", "sample-dog", "scene-", "scene-1-", "scene-1234567", "upload-01234", "scene-3-few "):
        assert images.kind(name) is None


def test_scene_names_and_settings_are_inverse():
    for mix in images.MIXES:
        assert images.scene_settings(images.scene_name(42, mix)) == (42, mix)
    with pytest.raises(InputError, match="scene-7"):
        images.scene_settings("sample-coffee")


def test_a_scene_is_the_generators_scene():
    assert np.array_equal(np.asarray(images.load("scene-8")), generate_scene(8).image)
    assert not np.array_equal(np.asarray(images.load("scene-8-few")), generate_scene(8).image)


def test_an_unknown_upload_says_what_to_do():
    with pytest.raises(InputError, match="upload the same file"):
        images.load("upload-0123456789ab")


def test_escaped_text_shows_no_markdown():
    text = "![x](http://a.b) **c** $d$ :red[e] <f> `g` #h"
    escaped = plain(text)
    assert re.sub(r"\\(.)", r"\1", escaped) == text
    assert not re.search(r"(?<!\\)[*`$\[\](<:!]", escaped)
