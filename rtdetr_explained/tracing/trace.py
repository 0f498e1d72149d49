"""The trace: a frozen record of one image's way through the network. No batch dimension anywhere."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import LEVEL_STRIDES
from rtdetr_explained.tracing.sites import SiteInfo, unknown_site

PHOTO_SIDE_PX = 1280  # longest side of the photo that a trace keeps


@dataclass(frozen=True, eq=False)
class Captured:
    """A captured tensor: its values with the names of its axes."""

    array: np.ndarray
    info: SiteInfo

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype, copy=copy)

    @property
    def name(self) -> str:
        """Site name."""
        return self.info.name

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return self.info.axes

    @property
    def unit(self) -> str:
        """What the numbers mean."""
        return self.info.unit

    @property
    def doc(self) -> str:
        """One sentence about the tensor."""
        return self.info.doc

    @property
    def stage(self) -> str:
        """Slug of the stage."""
        return self.info.stage

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the values as kept."""
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self.array.nbytes

    def __repr__(self) -> str:
        sizes = ", ".join(f"{a}={n}" for a, n in zip(self.axes, self.shape, strict=True))
        return f"Captured({self.name}: {sizes}; {self.dtype}; {self.unit})"


@dataclass(frozen=True)
class Detection:
    """One detected object; `box_px` is x0, y0, x1, y1 in pixels of the original image, not clipped."""

    query: int
    label: int
    name: str
    score: float
    box_px: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class QueryTrace:
    """One query through all layers.

    `reference_boxes` (L+1, 4) are cxcywh in 0..1: the first one, then one after each layer. `anchor` is cxcywh in 0..1
    (all ones where the anchor is not valid). `layer_scores` (L, C) are derived, see `Trace.derived`.
    """

    index: int
    token: int
    level: int
    row: int
    col: int
    anchor: np.ndarray
    reference_boxes: np.ndarray
    layer_scores: np.ndarray
    label: int
    score: float
    box: np.ndarray


class Group:
    """The sites below a name; those directly below are attributes."""

    def __init__(self, trace: "Trace", prefix: str):
        self._trace = trace
        self._prefix = prefix

    def __getattr__(self, name: str) -> "Captured | Group":
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._trace[f"{self._prefix}.{name}"]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __dir__(self) -> list[str]:
        names = [n for n in self._trace.site_infos if n.startswith(self._prefix + ".")]
        return sorted({n.removeprefix(self._prefix + ".").split(".")[0] for n in names})

    def __repr__(self) -> str:
        return f"{self._prefix}: {', '.join(dir(self))}"


@dataclass(frozen=True, eq=False)
class Trace:
    """Everything recorded of one pass; made by `Detector.trace`, `Detector.rerun` or `Trace.load`.

    `trace["name"]` gives a captured site, or a group of sites; `values` holds the raw arrays. `derived` holds what was
    computed after the pass and is no part of it.
    """

    values: dict[str, np.ndarray]
    site_infos: dict[str, SiteInfo]
    derived_values: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    times_ms: dict[str, float]
    profile: dict[str, "StageProfile"]
    photo_jpeg: bytes
    meta: dict[str, Any] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        if name in self.values:
            return Captured(self.values[name], self.site_infos[name])
        if name in self.site_infos:
            raise KeyError(f"The values of {name!r} were not kept; trace again with sites={name!r} or sites='all'.")
        if any(site.startswith(name + ".") for site in self.site_infos):
            return Group(self, name)
        raise unknown_site(name, self.site_infos)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def sites(self, pattern: str = "*") -> list[SiteInfo]:
        """All sites that fit the glob, in the order of the forward pass, captured or not."""
        return [info for name, info in self.site_infos.items() if fnmatchcase(name, pattern)]

    @property
    def nbytes(self) -> int:
        """Bytes of memory held by all arrays and the photo."""
        arrays = [*self.values.values(), *self.derived_values.values()]
        return sum(array.nbytes for array in arrays) + len(self.photo_jpeg)

    @cached_property
    def derived(self) -> SimpleNamespace:
        """Values computed after the pass: `layer_logits` and `layer_scores`, each (L, Q, C).

        At inference only the last layer's class head runs; here every layer's own head is applied to its output.
        """
        logits = self.derived_values["layer_logits"]
        return SimpleNamespace(layer_logits=logits, layer_scores=sigmoid(logits))

    @cached_property
    def photo(self) -> Image.Image:
        """The image, upright, RGB, at its own aspect; longest side at most PHOTO_SIDE_PX. Copy it to change it."""
        return Image.open(io.BytesIO(self.photo_jpeg), formats=("JPEG",)).convert("RGB")

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the original image in pixels."""
        return self.meta["image"]["width"], self.meta["image"]["height"]

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of what the network saw."""
        h, w = self.meta["input_size"]
        return h, w

    @property
    def map_sizes(self) -> list[tuple[int, int]]:
        """(h, w) of the maps at strides 8, 16 and 32."""
        h, w = self.input_size
        return [(h // s, w // s) for s in LEVEL_STRIDES]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return tuple(self.meta["config"]["class_names"])

    @property
    def num_layers(self) -> int:
        """Number of decoder layers that ran."""
        return len(self.derived_values["layer_logits"])

    @property
    def logits(self) -> np.ndarray:
        """Final class logits (Q, C)."""
        return self.values["decoder.logits"]

    @property
    def boxes(self) -> np.ndarray:
        """Final boxes (Q, 4), cxcywh in 0..1."""
        return self.values["decoder.boxes"]

    @property
    def token_indices(self) -> np.ndarray:
        """The token each query was chosen from (Q,)."""
        return self.values["query_selection.topk_indices"]

    @cached_property
    def scores(self) -> np.ndarray:
        """Best class score of each query (Q,), trained towards the IoU of its box: no probability of the class."""
        return sigmoid(self.logits).max(-1)

    @cached_property
    def labels(self) -> np.ndarray:
        """Best class of each query (Q,)."""
        return self.logits.argmax(-1)

    def detections(self, threshold: float = 0.5) -> list[Detection]:
        """All (query, class) pairs that score above the threshold, best first, at most as many as there are queries.

        As in the reference, one query may give several detections with different labels; nothing is suppressed.
        """
        scores = sigmoid(self.logits)
        queries, labels = np.nonzero(scores > threshold)
        order = np.argsort(-scores[queries, labels], kind="stable")[: len(scores)]
        corners = cxcywh_to_xyxy_px(self.boxes, self.image_size)
        return [
            Detection(int(q), int(c), self.class_names[c], float(scores[q, c]), tuple(corners[q].tolist()))
            for q, c in zip(queries[order], labels[order], strict=True)
        ]

    def query(self, index: int) -> QueryTrace:
        """One matching query through all layers; raises InputError when there is no such query."""
        if not 0 <= index < len(self.logits):
            raise InputError(f"There is no query {index}; this trace has queries 0 to {len(self.logits) - 1}.")
        token = int(self.token_indices[index])
        level, row, col = token_place(token, self.map_sizes)
        row_in_layers = index - len(self.logits)  # from the end: denoising queries come before the matching ones
        layers = [self.values[f"decoder.layers.{i}.boxes"][row_in_layers] for i in range(self.num_layers)]
        return QueryTrace(
            index=index,
            token=token,
            level=level,
            row=row,
            col=col,
            anchor=sigmoid(self.values["query_selection.anchors"][token]),
            reference_boxes=np.stack([self.values["query_selection.reference_boxes"][index], *layers]),
            layer_scores=self.derived.layer_scores[:, row_in_layers],
            label=int(self.labels[index]),
            score=float(self.scores[index]),
            box=self.boxes[index],
        )

    def same_numbers(self, other: "Trace") -> bool:
        """Whether both traces hold the same sites with the same values, bit for bit."""
        mine, theirs = self.values | self.derived_values, other.values | other.derived_values
        return mine.keys() == theirs.keys() and all(
            mine[name].dtype == theirs[name].dtype and np.array_equal(mine[name], theirs[name]) for name in mine
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file with a JSON manifest."""
        from rtdetr_explained.tracing.storage import save_trace

        save_trace(self, path)

    @staticmethod
    def load(path: str | os.PathLike) -> "Trace":
        """Read a saved trace; raises InputError, one sentence, for anything malformed. Nothing is executed."""
        from rtdetr_explained.tracing.storage import load_trace

        return load_trace(path)


@dataclass(frozen=True)
class StageProfile:
    """Size and cost of one stage: parameters, and floating-point operations for this input (2 per multiply-add)."""

    parameters: int
    flops: int


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), in float32, without overflow."""
    x = np.asarray(x, dtype=np.float32)
    return (0.5 * (np.tanh(0.5 * x) + 1)).astype(np.float32)


def token_place(token: int, map_sizes: list[tuple[int, int]]) -> tuple[int, int, int]:
    """Level, row and column of a token: the maps lie one after the other, each row by row."""
    for level, (h, w) in enumerate(map_sizes):
        if token < h * w:
            return level, token // w, token % w
        token -= h * w
    raise InputError("There is no such token; its index is beyond the last map.")
