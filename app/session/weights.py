"""Models by name, loaded once and shared: those of the zoo, and weights files that were opened by their path."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.session.view import OWN_WEIGHTS, embedded_model
from rtdetr_explained.errors import InputError
from rtdetr_explained.weights import download, zoo
from rtdetr_explained.weights.hub import HUB

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector

Source = tuple[str, int, int]
"""What to load, by name or path, with the time of the file's last change and its size; 0, 0 for known names."""

MAX_OPENED = 100
_OPENED: dict[str, str] = {}
"""Paths that were opened since the server started, by the names they go by in links and lists."""


def is_own(name: str) -> bool:
    """Whether a name is that of a weights file."""
    return OWN_WEIGHTS.fullmatch(name) is not None


def is_ready(name: str) -> bool:
    """Whether a model can be used at once, without a download."""
    if is_own(name):
        return name in _OPENED
    entry = zoo.find(name)
    return entry.url is None or (download.default_cache_dir() / entry.filename).is_file()


def title(name: str) -> str:
    """What to call a model on the page; no two have the same title, and none ever gets another."""
    if not is_own(name):
        return zoo.find(name).title
    file = os.path.basename(_OPENED.get(name, ""))
    return f"Own weights: {file} ({name[-4:]})"


def offered(shown: str) -> list[str]:
    """The models there are to choose from in this session, with the one that is shown."""
    own = [name for name in st.session_state.get("own_weights", []) if name in _OPENED]
    return list(dict.fromkeys([*zoo.ZOO, *own, shown]))


def fetch(name: str, progress: Callable[[int, int | None], None]) -> None:
    """Download a published model into the cache. Raises `InputError`, which names `nano`."""
    entry = zoo.find(name)
    if entry.url is not None:
        download.fetch(entry.url, entry.filename, entry.sha256, entry.size, progress=progress)


def open_file(path: str) -> str:
    """Load a weights file and give it a name, the same for the same path. Raises `InputError`."""
    if not may_open_files():
        raise InputError("Files of this computer cannot be opened here; start the app on your own for that.")
    path = path.strip()
    if not path.startswith(HUB):
        path = os.path.abspath(os.path.expanduser(path))
        if not os.path.exists(path):
            raise InputError(f"There is no file {path}; give the path of a file of weights, or hf:owner/name.")
    load(_source_of(path))
    name = next((name for name, known in _OPENED.items() if known == path), f"file-{secrets.token_hex(6)}")
    _OPENED[name] = path
    while len(_OPENED) > MAX_OPENED:
        del _OPENED[next(iter(_OPENED))]
    st.session_state.own_weights = list(dict.fromkeys([*st.session_state.get("own_weights", []), name]))
    return name


def may_open_files() -> bool:
    """Whether visitors may name files of this computer: only who starts the app can say so, with an option."""
    return os.environ.get("RTDETR_EXPLAINED_OPEN_FILES") == "1"


def source(name: str, image: str) -> Source:
    """What stands behind a name; for a model that is not here yet, the embedded one that fits the image.

    Raises `InputError`.
    """
    if is_own(name):
        return _source_of(_OPENED[name])
    return (name if is_ready(name) else embedded_model(image)), 0, 0


def remarks(name: str, image: str) -> tuple[str, ...]:
    """What must be known about the weights in view, such as that they are of RT-DETR version 1. Raises `InputError`."""
    return load(source(name, image)).remarks


def _source_of(path: str) -> Source:
    if path.startswith(HUB):
        return path, 0, 0
    try:
        stat = os.stat(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read any more ({error.strerror}); choose another model.") from error
    return path, stat.st_mtime_ns, stat.st_size


@st.cache_resource(max_entries=2, show_spinner=False)
def load(source: Source) -> Detector:
    """The model of a source. Raises `InputError`."""
    import rtdetr_explained as rx  # brings torch in, which takes seconds: not before the page is on the screen

    detector = rx.load(source[0])
    detector.detect(np.zeros((64, 64, 3), np.uint8))  # the first pass is slow, which would distort the stages' times
    return detector
