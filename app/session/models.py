"""Models and traces, loaded once and shared: every page asks here and gets the same frozen objects back.

Traces of samples and scenes are shared by all visitors; those of uploads belong to their session and go with it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.session import images, state
from app.session.state import OWN_WEIGHTS, Limits, Selected, ViewState
from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention.proof import Proof, prove
from rtdetr_explained.tracing.edits import Edit, from_dict
from rtdetr_explained.tracing.results import Outcome, Reading, outcome
from rtdetr_explained.tracing.trace import Trace
from rtdetr_explained.weights import download, zoo

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector

Stamp = tuple[int, int]
"""Time of the last change and size of a weights file; (0, 0) for models that are known by name."""

_FORWARD = threading.Lock()
"""One pass at a time: the passes of two visitors would only slow each other down."""


@dataclass(frozen=True)
class Targets:
    """The objects that denoising starts from: classes, and boxes cxcywh in 0..1, with a sentence on their origin.

    They are `true` objects or stand-ins, which depend on the score threshold.
    """

    labels: tuple[int, ...]
    boxes: tuple[tuple[float, ...], ...]
    true: bool
    origin: str


# --- models -----------------------------------------------------------------------------------------------------------


def is_ready(name: str) -> bool:
    """Whether a model can be used at once, without a download."""
    if name == OWN_WEIGHTS:
        return "weights_path" in st.session_state
    entry = zoo.find(name)
    return entry.url is None or (download.default_cache_dir() / entry.filename).is_file()


def fetch(name: str, progress: Callable[[int, int | None], None]) -> None:
    """Download a published model into the cache. Raises `InputError`, which names `nano`."""
    entry = zoo.find(name)
    if entry.url is not None:
        download.fetch(entry.url, entry.filename, entry.sha256, entry.size, progress=progress)


def use_weights(path: str) -> None:
    """Load a weights file and make it this session's own model. Raises `InputError`."""
    if not may_open_files():
        raise InputError("Files of this computer cannot be opened here; start the app on your own for that.")
    path = os.path.abspath(os.path.expanduser(path.strip()))
    if not os.path.isfile(path):
        raise InputError(f"There is no file {path}; give the path of a .pth or .safetensors file.")
    _load(path, _stamp(path))
    st.session_state.weights_path = path


def may_open_files() -> bool:
    """Whether visitors may name files of this computer: only who starts the app can say so, with an option."""
    return os.environ.get("RTDETR_EXPLAINED_OPEN_FILES") == "1"


def _source(name: str) -> tuple[str, Stamp]:
    """What to load, by name or path, and the stamp of the file; a model that is not here yet is replaced by `nano`."""
    if name != OWN_WEIGHTS:
        return name if is_ready(name) else "nano", (0, 0)
    path = st.session_state.weights_path
    return path, _stamp(path)


def _stamp(path: str) -> Stamp:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read any more ({error.strerror}); choose another model.") from error
    return stat.st_mtime_ns, stat.st_size


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(name_or_path: str, stamp: Stamp) -> Detector:
    import rtdetr_explained as rx  # brings torch in, which takes seconds: not before the page is on the screen

    detector = rx.load(name_or_path)
    detector.detect(np.zeros((64, 64, 3), np.uint8))  # the first pass is slow, which would distort the stages' times
    return detector


# --- traces -----------------------------------------------------------------------------------------------------------


def trace_of(view: ViewState) -> Trace:
    """The trace of the image in view by the model in view. Raises `InputError`."""
    source = _source(view.model)
    if images.kind(view.image) == "upload":
        return _session_trace(view.image, *source)
    return _shared_trace(view.image, *source)


def current() -> tuple[Selected, Trace]:
    """The view with nothing left open, and its trace: what a page draws. Raises `InputError`."""
    view = state.current()
    trace = trace_of(view)
    fields: dict[str, Any] = asdict(view) | {
        "query": int(trace.scores.argmax()) if view.query is None else view.query,
        "layer": trace.num_layers - 1 if view.layer is None else view.layer,
    }
    return Selected(**fields), trace


def limits(trace: Trace) -> Limits:
    """How many queries, layers, heads, levels, sampling points, stride-32 cells and channels a trace has."""
    h, w = trace.map_sizes[-1]
    config = trace.meta["config"]
    return Limits(
        query=len(trace.logits),
        compare=len(trace.logits),
        layer=trace.num_layers,
        head=config["num_heads"],
        level=len(trace.map_sizes),
        point=config["num_heads"] * sum(config["num_points"]),
        cell=h * w,
        channel=max(site.shape[0] for site in trace.sites() if site.name in ("backbone.s3", "hybrid_encoder.ccff.n3")),
    )


def denoising_of(view: ViewState, trace: Trace) -> tuple[Trace, Targets]:
    """The denoising pass of the view's image and seed, and the targets it starts from."""
    targets = denoising_targets(view, trace)
    source = _source(view.model)
    make = _session_denoising if images.kind(view.image) == "upload" else _shared_denoising
    return make(view.image, *source, targets, view.seed, _trace=trace), targets


def rerun_of(view: ViewState, trace: Trace, edits: tuple[Edit, ...]) -> Trace:
    """The view's trace run again with these edits, from the earliest stage they touch. Raises `InputError`."""
    source = _source(view.model)
    again = _session_rerun if images.kind(view.image) == "upload" else _shared_rerun
    return again(view.image, *source, edits, _trace=trace)


def reading_of(view: ViewState, trace: Trace, layer: int) -> tuple[Reading, Proof]:
    """What one layer's cross-attention read, and whether the drawn points give its output. Raises `InputError`."""
    source = _source(view.model)
    read = _session_reading if images.kind(view.image) == "upload" else _shared_reading
    return read(view.image, *source, layer, _trace=trace)


def outcome_of(view: ViewState, trace: Trace, edits: tuple[Edit, ...]) -> Outcome:
    """Only the end of a re-run, so that those of many edits can be kept. Raises `InputError`."""
    source = _source(view.model)
    end = _session_outcome if images.kind(view.image) == "upload" else _shared_outcome
    return end(view.image, *source, edits, _trace=trace)


def denoising_targets(view: ViewState, trace: Trace) -> Targets:
    """True objects where they are known and the model has their classes, else its own detections in their place."""
    if images.kind(view.image) == "scene" and trace.class_names == SHAPE_CLASSES:
        scene = images.scene(view.image)
        boxes = tuple(map(tuple, scene.boxes.tolist()))
        return Targets(tuple(scene.labels.tolist()), boxes, True, "The targets are the scene's true boxes and classes.")
    why = "This image has no annotations" if images.is_photograph(view.image) else "This model does not know shapes"
    found = trace.detections(view.threshold)[: trace.meta["config"]["num_denoising"]]
    if found:
        queries, labels = [d.query for d in found], tuple(d.label for d in found)
        which = f"its {len(found)} best detections above {view.threshold:.2f}"
    else:
        queries = np.argsort(-trace.scores, kind="stable")[:3].tolist()
        labels = tuple(int(trace.labels[q]) for q in queries)
        which = f"its three best queries (no detection is above {view.threshold:.2f})"
    boxes = tuple(tuple(np.clip(trace.boxes[q], 0, 1).tolist()) for q in queries)
    return Targets(labels, boxes, False, f"{why}, so the model takes {which} as stand-in targets.")


def _trace(image: str, name_or_path: str, stamp: Stamp) -> Trace:
    picture = images.load(image)
    model = _load(name_or_path, stamp)
    with _FORWARD:
        return model.trace(picture)


def _denoising(name_or_path: str, stamp: Stamp, targets: Targets, seed: int, trace: Trace) -> Trace:
    model = _load(name_or_path, stamp)
    boxes, labels = np.array(targets.boxes, np.float32), np.array(targets.labels, np.int64)
    with _FORWARD:
        return model.trace_denoising(trace, boxes, labels, seed=seed)


def _rerun(name_or_path: str, stamp: Stamp, edits: tuple[Edit, ...], trace: Trace) -> Trace:
    model = _load(name_or_path, stamp)
    with _FORWARD:
        return model.rerun(trace, edits)


def _read(name_or_path: str, stamp: Stamp, layer: int, trace: Trace) -> tuple[Reading, Proof]:
    from rtdetr_explained.detector import read_layer

    model = _load(name_or_path, stamp)
    with _FORWARD:
        reading = read_layer(model, trace, layer)
    return reading, prove(trace, reading)


# Each behind two caches, both bounded: a trace of R18 at 640 px takes about 25 MB.


@st.cache_resource(max_entries=6, show_spinner=False)
def _shared_trace(image: str, name_or_path: str, stamp: Stamp) -> Trace:
    return _trace(image, name_or_path, stamp)


@st.cache_resource(max_entries=2, scope="session", show_spinner=False)
def _session_trace(image: str, name_or_path: str, stamp: Stamp) -> Trace:
    return _trace(image, name_or_path, stamp)


@st.cache_resource(max_entries=4, show_spinner=False)
def _shared_denoising(image: str, name_or_path: str, stamp: Stamp, targets: Targets, seed: int, _trace: Trace) -> Trace:
    return _denoising(name_or_path, stamp, targets, seed, _trace)


@st.cache_resource(max_entries=2, scope="session", show_spinner=False)
def _session_denoising(
    image: str, name_or_path: str, stamp: Stamp, targets: Targets, seed: int, _trace: Trace
) -> Trace:
    return _denoising(name_or_path, stamp, targets, seed, _trace)


@st.cache_resource(max_entries=6, show_spinner=False)
def _shared_rerun(image: str, name_or_path: str, stamp: Stamp, edits: tuple[Edit, ...], _trace: Trace) -> Trace:
    return _rerun(name_or_path, stamp, edits, _trace)


@st.cache_resource(max_entries=3, scope="session", show_spinner=False)
def _session_rerun(image: str, name_or_path: str, stamp: Stamp, edits: tuple[Edit, ...], _trace: Trace) -> Trace:
    return _rerun(name_or_path, stamp, edits, _trace)


def with_sites(view: ViewState, trace: Trace, sites: tuple[str, ...]) -> Trace:
    """The trace with the values of further sites, kept in full; its image runs through the network once more for them.

    Raises InputError.
    """
    if all(site in trace for site in sites):
        return trace
    return _fuller_trace(view.image, *_source(view.model), sites, json.dumps(trace.meta["edits"]), _trace=trace)


@st.cache_resource(max_entries=2, scope="session", show_spinner=False)
def _fuller_trace(
    image: str, name_or_path: str, stamp: Stamp, sites: tuple[str, ...], edits: str, _trace: Trace
) -> Trace:
    picture, model = images.load(image), _load(name_or_path, stamp)
    kept = _trace.meta["sites"]
    with _FORWARD:
        fuller = model.trace(picture, [*([kept] if isinstance(kept, str) else kept), *sites], size=_trace.input_size)
        return model.rerun(fuller, [from_dict(edit) for edit in json.loads(edits)]) if _trace.meta["edits"] else fuller


@st.cache_resource(max_entries=3, show_spinner=False)
def _shared_reading(image: str, name_or_path: str, stamp: Stamp, layer: int, _trace: Trace) -> tuple[Reading, Proof]:
    return _read(name_or_path, stamp, layer, _trace)


@st.cache_resource(max_entries=2, scope="session", show_spinner=False)
def _session_reading(image: str, name_or_path: str, stamp: Stamp, layer: int, _trace: Trace) -> tuple[Reading, Proof]:
    return _read(name_or_path, stamp, layer, _trace)


@st.cache_resource(max_entries=100, show_spinner=False)
def _shared_outcome(image: str, name_or_path: str, stamp: Stamp, edits: tuple[Edit, ...], _trace: Trace) -> Outcome:
    return outcome(_rerun(name_or_path, stamp, edits, _trace))


@st.cache_resource(max_entries=50, scope="session", show_spinner=False)
def _session_outcome(image: str, name_or_path: str, stamp: Stamp, edits: tuple[Edit, ...], _trace: Trace) -> Outcome:
    return outcome(_rerun(name_or_path, stamp, edits, _trace))
