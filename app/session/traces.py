"""Traces and what is computed from them, kept and shared: every page asks here and gets the same frozen objects back.

What comes of samples and scenes is shared by all visitors; what comes of an upload belongs to its session and goes with
it. Both are bounded: a trace of R18 at 640 px takes about 25 MB.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar

import numpy as np
import streamlit as st

from app.session import images, state, weights
from app.session.targets import Targets, targets_of
from app.session.view import Offered, Selected, ViewState, any_layer, model_of
from app.session.weights import Source
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention.proof import Proof, prove
from rtdetr_explained.tracing.edits import Edit, from_dict
from rtdetr_explained.tracing.results import Outcome, Reading, outcome
from rtdetr_explained.tracing.trace import Trace

if TYPE_CHECKING:
    from rtdetr_explained.detector import Detector

P = ParamSpec("P")
T = TypeVar("T")

MOST_WAITING = 12
PATIENCE_S = 20.0
_PASS = threading.Lock()
"""One pass at a time: the passes of two visitors would only slow each other down."""
_WAITING = threading.BoundedSemaphore(MOST_WAITING)

MOST_QUERIES = 2  # times the model's own number; attention among queries grows with the square of it
OF_DENOISING = ("denoising.labels", "denoising.noised_boxes", "denoising.attention_mask")
"""Tensors of the pass that the page of denoising makes for itself."""


class Busy(InputError):
    """Too many visitors want a pass at the same time."""


@contextmanager
def one_pass() -> Iterator[None]:
    """Wait for one's turn to run the network, but not without end. Raises `Busy`."""
    busy = Busy("Busy, please wait: other visitors' images are being run. Try again in a moment.")
    if not _WAITING.acquire(blocking=False):
        raise busy
    try:
        if not _PASS.acquire(timeout=PATIENCE_S):
            raise busy
    finally:
        _WAITING.release()
    try:
        yield
    finally:
        _PASS.release()


class Kept(Generic[P, T]):
    """A function of a view, its trace and what else is asked, whose last results are kept; see `kept`."""

    def __init__(self, make: Callable[Concatenate[Detector, str, Any, P], T], shared: int, session: int):
        def cache(scope: Literal["global", "session"], most: int) -> Any:
            def compute(image: str, source: Source, asked: tuple[Any, ...], named: dict[str, Any], _trace: Any) -> T:
                model = weights.load(source)
                with one_pass():
                    return make(model, image, _trace, *asked, **named)

            compute.__qualname__ = f"{make.__qualname__}.{scope}"  # by which Streamlit tells caches apart
            return st.cache_resource(max_entries=most, scope=scope, show_spinner=False)(compute)

        self.shared, self.session = cache("global", shared), cache("session", session)

    def __call__(self, view: ViewState, trace: Any, *asked: P.args, **named: P.kwargs) -> T:
        cache = self.session if images.kind(view.image) == "upload" else self.shared
        return cache(view.image, weights.source(model_of(view), view.image), asked, named, _trace=trace)

    def clear(self) -> None:
        """Forget what all visitors share."""
        self.shared.clear()


def kept(*, shared: int, session: int) -> Callable[[Callable[Concatenate[Detector, str, Any, P], T]], Kept[P, T]]:
    """Keep the last results of a function of a model, the name of an image, its trace, and what else is asked.

    As many as `shared` are kept for all visitors; of an upload, as many as `session` for each session that has one. The
    function is then called with a view, which says image and model.
    """
    return lambda make: Kept(make, shared, session)


# --- what is kept -----------------------------------------------------------------------------------------------------


@kept(shared=6, session=1)
def _traced(model: Detector, image: str, trace: None) -> Trace:
    return model.trace(images.load(image))


@kept(shared=4, session=1)
def _denoised(model: Detector, image: str, trace: Trace, targets: Targets, seed: int) -> Trace:
    boxes, labels = np.array(targets.boxes, np.float32), np.array(targets.labels, np.int64)
    return model.trace_denoising(trace, boxes, labels, seed=seed)


@kept(shared=6, session=2)
def rerun_of(model: Detector, image: str, trace: Trace, edits: tuple[Edit, ...]) -> Trace:
    """The view's trace run again with these edits, from the earliest stage they touch. Raises `InputError`."""
    return model.rerun(trace, edits)


@kept(shared=100, session=50)
def outcome_of(model: Detector, image: str, trace: Trace, edits: tuple[Edit, ...]) -> Outcome:
    """Only the end of a re-run, so that those of many edits can be kept. Raises `InputError`."""
    return outcome(model.rerun(trace, edits))


@kept(shared=3, session=1)
def reading_of(model: Detector, image: str, trace: Trace, layer: int) -> tuple[Reading, Proof]:
    """What one layer's cross-attention read, and whether the drawn points give its output. Raises `InputError`."""
    from rtdetr_explained.detector import read_layer  # brings torch in

    reading = read_layer(model, trace, layer)
    return reading, prove(trace, reading)


@kept(shared=2, session=1)
def _fuller(model: Detector, image: str, trace: Trace, sites: tuple[str, ...], edits: str) -> Trace:
    known = trace.meta["sites"]
    wanted = [*([known] if isinstance(known, str) else known), *sites]
    fuller = model.trace(images.load(image), wanted, size=trace.input_size)
    return model.rerun(fuller, [from_dict(edit) for edit in json.loads(edits)]) if trace.meta["edits"] else fuller


# --- what pages ask ---------------------------------------------------------------------------------------------------


def trace_of(view: ViewState) -> Trace:
    """The trace of the image in view by the model in view. Raises `InputError`."""
    return _traced(view, None)


def current() -> tuple[Selected, Trace]:
    """The view with nothing left open, and its trace: what a page draws. Raises `InputError`."""
    view = state.current()
    trace = trace_of(view)
    fields: dict[str, Any] = asdict(view) | {
        "query": int(trace.scores.argmax()) if view.query is None else view.query,
        "layer": trace.num_layers - 1 if view.layer is None else view.layer,
    }
    return Selected(**fields), trace


def denoising_of(view: ViewState, trace: Trace) -> tuple[Trace, Targets]:
    """The denoising pass of the view's image and seed, and the targets it starts from. Raises `InputError`."""
    targets = targets_of(view, trace)
    return _denoised(view, trace, targets, view.seed), targets


def with_sites(view: ViewState, trace: Trace, sites: tuple[str, ...]) -> Trace:
    """The trace with the values of further sites, kept in full; its image runs through the network once more for them.

    Raises InputError.
    """
    if all(site in trace for site in sites):
        return trace
    return _fuller(view, trace, sites, json.dumps(trace.meta["edits"]))


def offered(view: ViewState, trace: Trace) -> Offered:
    """What there is to choose from in a trace."""
    config, shapes = trace.meta["config"], {site.name: site.shape for site in trace.sites()}
    h, w = trace.map_sizes[-1]
    num_queries = len(trace.logits)
    counts = {
        "query": num_queries,
        "compare": num_queries,
        "layer": trace.num_layers,
        "head": config["num_heads"],
        "level": len(trace.map_sizes),
        "point": config["num_heads"] * sum(config["num_points"]),
        "cell": h * w,
        "channel": max(shapes["backbone.s3"][0], shapes["hybrid_encoder.ccff.n3"][0]),
        "group": max(config["num_denoising"] // len(targets_of(view, trace).labels), 1),
    }
    return Offered(
        counts=counts,
        most_queries=min(MOST_QUERIES * num_queries, shapes["query_selection.scores"][0]),
        method="one2many" if config["query_select_method"] == "one2many" else "default",
        best=int(trace.scores.argmax()),
        tensors=frozenset(map(any_layer, [*shapes, *OF_DENOISING])),
    )
