"""Images by name: sample photographs, generated scenes, and what a visitor uploaded in this session.

A name is what a link carries: `sample-chelsea`, `scene-7`, `scene-7-crowded`, or `upload-` and the start of a hash.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections import UserDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from weakref import WeakSet

import streamlit as st
from PIL import Image

from rtdetr_explained.data.images import open_image, remarks_of
from rtdetr_explained.data.shapes import Scene, SceneConfig, generate_scene
from rtdetr_explained.errors import InputError

FOLDER = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True)
class Photo:
    """A sample photograph; `credit` names its author and licence."""

    title: str
    credit: str


PHOTOS = {
    "sample-astronaut": Photo("Astronaut Eileen Collins", "NASA, public domain"),
    "sample-march-pastoral": Photo("A flock of sheep", "Peter Henry Emerson, public domain"),
    "sample-chelsea": Photo("Chelsea the cat", "Stefan van der Walt, CC0"),
    "sample-grace-hopper": Photo("Grace Hopper", "James S. Davis, US Navy, public domain"),
    "sample-nagasaki-boats": Photo("Boats in Nagasaki", "Felice Beato, public domain"),
    "sample-house-cat": Photo("A cat, 24 times", "Eadweard J. Muybridge, public domain"),
    "sample-coffee": Photo("A cup of coffee: no class it knows", "Rachel Michetti, CC0"),
    "sample-airplane-from-above": Photo("An airplane from above", "Fedele Azari, public domain"),
}


@dataclass(frozen=True)
class Upload:
    """A file as it came, since a decoded photograph can take twenty times its memory, with its thumbnail.

    `remarks` say what had to be mended to read it.
    """

    data: bytes
    small: tuple[bytes, tuple[int, int]]
    remarks: tuple[str, ...]


# Names of settings for generated scenes; "usual" is left out of an image's name.
MIXES = {
    "usual": SceneConfig(),
    "few": SceneConfig(count=(2, 3), crowd_fraction=0.0, size_mix=(0.0, 0.4, 0.6), crowding=0.0),
    "crowded": SceneConfig(count=(12, 20), crowd_fraction=0.0, crowding=0.8),
    "small": SceneConfig(count=(6, 12), crowd_fraction=0.0, size_mix=(1.0, 0.0, 0.0)),
    "hidden": SceneConfig(count=(6, 10), crowd_fraction=0.0, size_mix=(0.1, 0.4, 0.5), crowding=1.0, occlusion=0.6),
}
DEFAULT = "sample-march-pastoral"
DEFAULT_SCENE = "scene-8"
SCENES = {
    "scene-8": "A usual scene of shapes",
    "scene-3-few": "A few large shapes",
    "scene-2-crowded": "A crowded scene",
    "scene-5-small": "Small shapes",
    "scene-3-hidden": "Shapes that hide one another",
}
MAX_SEED = 999_999  # the seeds that training does not draw
MAX_UPLOADS = 2  # of a session
MAX_VISITORS = 24  # that may hold uploads at the same time; what is traced of them is kept for each
THUMBNAIL_PX = (480, 200)

_SCENE = re.compile(rf"scene-(\d{{1,6}})(?:-({'|'.join(MIXES)}))?")
_UPLOAD = re.compile(r"upload-[0-9a-f]{12}")


def kind(name: str) -> str | None:
    """ "photo", "scene" or "upload", or None for what is no image's name."""
    if name in PHOTOS:
        return "photo"
    if _SCENE.fullmatch(name):
        return "scene"
    return "upload" if _UPLOAD.fullmatch(name) else None


def is_photograph(name: str) -> bool:
    """Whether the image is anything but a scene drawn by this project."""
    return kind(name) != "scene"


def scene_name(seed: int, mix: str) -> str:
    """The name of a generated scene."""
    return f"scene-{seed}" if mix == "usual" else f"scene-{seed}-{mix}"


def scene_settings(name: str) -> tuple[int, str]:
    """Seed and mix of a generated scene's name."""
    match = _SCENE.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} is not the name of a generated scene; these look like scene-7 or scene-7-crowded.")
    return int(match[1]), match[2] or "usual"


def title(name: str) -> str:
    """What to call an image on the page."""
    if name in PHOTOS:
        return PHOTOS[name].title
    if name in SCENES:
        return SCENES[name]
    if kind(name) == "scene":
        seed, mix = scene_settings(name)
        return f"Generated scene {seed}" + ("" if mix == "usual" else f", {mix}")
    return "Your image"


def credit(name: str) -> str:
    """Who made it, for photographs that need saying so."""
    return PHOTOS[name].credit if name in PHOTOS else ""


@st.cache_data(max_entries=16, show_spinner=False)
def scene(name: str) -> Scene:
    """The generated scene of that name, its true boxes and labels included."""
    seed, mix = scene_settings(name)
    return generate_scene(seed, MIXES[mix])


def load(name: str) -> Image.Image:
    """The image of that name as RGB. Raises `InputError` for an upload that this session does not hold."""
    if name in PHOTOS:
        return open_image(FOLDER / f"{name.removeprefix('sample-')}.jpg")
    if kind(name) == "scene":
        return Image.fromarray(scene(name).image)
    if name not in _uploads():
        raise InputError(
            f"The link shows an uploaded image ({name}), and a link cannot carry it; upload the same file to see it."
        )
    return open_image(_uploads()[name].data)


def thumbnail(name: str) -> tuple[bytes, tuple[int, int]]:
    """A small JPEG of an image, and the width and height of the image itself."""
    if kind(name) == "upload":
        return _uploads()[name].small
    return _named_thumbnail(name)


def remarks(name: str) -> tuple[str, ...]:
    """What had to be mended to read an image."""
    return _uploads()[name].remarks if kind(name) == "upload" else ()


class Uploads(UserDict[str, Upload]):
    """The uploads of one session, by name; they go with it. Two sessions' are two, whatever is in them."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


_HELD: WeakSet[Uploads] = WeakSet()
_DECODING = threading.Lock()
"""One picture at a time: a large one takes hundreds of megabytes while it is decoded."""


def keep_upload(file: BinaryIO) -> str:
    """Check an uploaded file and hold it in this session's memory; returns its name. Raises `InputError`."""
    if not _uploads() and sum(map(bool, list(_HELD))) >= MAX_VISITORS:
        raise InputError("Busy, please wait: too many visitors have their own images here. Try again in some minutes.")
    with _DECODING:
        return _keep(file)


def _keep(file: BinaryIO) -> str:
    picture = open_image(file)
    file.seek(0)
    data = file.read()
    name = f"upload-{hashlib.sha256(data).hexdigest()[:12]}"
    uploads = _uploads()
    uploads.pop(name, None)
    uploads[name] = Upload(data, _small(picture), tuple(remarks_of(picture).values()))
    while len(uploads) > MAX_UPLOADS:
        del uploads[next(iter(uploads))]
    return name


def is_here(name: str) -> bool:
    """Whether the image can be loaded: uploads belong to the session in which they came."""
    return kind(name) != "upload" or name in _uploads()


def _uploads() -> Uploads:
    uploads = st.session_state.setdefault("uploads", Uploads())
    _HELD.add(uploads)
    return uploads


@st.cache_data(max_entries=32, show_spinner=False)
def _named_thumbnail(name: str) -> tuple[bytes, tuple[int, int]]:
    return _small(load(name))


def _small(picture: Image.Image) -> tuple[bytes, tuple[int, int]]:
    small = picture.copy()
    small.thumbnail(THUMBNAIL_PX)
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue(), picture.size
