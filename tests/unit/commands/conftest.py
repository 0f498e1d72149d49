"""What the tests of the commands share."""

from pathlib import Path

import pytest
from PIL import Image

from rtdetr_explained.data.shapes import SceneConfig, generate_scene


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A generated scene as a PNG file, 320 px wide and 240 px high."""
    path = tmp_path / "scene.png"
    Image.fromarray(generate_scene(3, SceneConfig(size=(240, 320))).image).save(path)
    return path
