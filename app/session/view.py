"""What is looked at: one typed record for all pages, its two-way translation to the URL, and what may enter it.

Nothing here knows of a session. A value enters a view in two ways, and is checked here both times: `from_params` reads
it from a link, `accepted` takes it from a widget or a component of the page.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.session import images
from rtdetr_explained.weights import zoo

SCALES = ("map", "stage")
UNITS = ("px", "image")
METHODS = ("default", "one2many")
DEPTHS = ("see", "tensors", "formula", "code")
SHAPES = ("level", "head")
OF_ONE_TRACE = ("query", "compare", "point", "cell", "channel", "queries", "selection", "place", "zoom")
"""What is let go of with the image or the model it was chosen in."""
FROM_ONE = ("layer", "group")
"""What the pages count from 1, and so do links; a view counts all from 0."""
MOST_ZOOM = 40.0
OWN_WEIGHTS = re.compile(r"file-[0-9a-f]{12}")
"""What a model from a path is called; the path itself stays out of links."""


@dataclass(frozen=True)
class ViewState:
    """What is looked at. None means: what fits best (the model for the image, the best query, the last layer, …).

    `query`, `layer`, `head`, `level`, `channel` and `group` count from 0; `compare` is a second query beside the
    selected one; `point` is a sampling point, counted over heads, then levels, then points; `cell` is a token of the
    stride-32 map, row by row. `scale` tells whose range the colours of a map span, its own ("map") or that of all maps
    of the stage ("stage"); `unit` is that of positions, pixels of the photo ("px") or 0..1 of the image ("image");
    `depth` is what a page shows of its stage. `tensor` names a site of the trace, without the number of its decoder
    layer. `threshold` is a score. `queries` and `selection` are what query selection is run again with, and `place` is
    an (x, y) in 0..1 of the image that was asked about there. `group` is one of the groups of denoising queries and
    `seed` draws their noise. The rest is of the canvas of sampling points: a heat map in place of points, those of all
    queries, what their shape tells, the least weight shown, the grid of the untrained network, and `zoom`, a factor and
    the (x, y) in 0..1 that is in the middle.
    """

    image: str = images.DEFAULT
    model: str | None = None
    query: int | None = None
    compare: int | None = None
    layer: int | None = None
    head: int | None = None
    level: int | None = None
    point: int | None = None
    cell: int | None = None
    channel: int | None = None
    scale: str | None = None
    unit: str = "px"
    depth: str = "see"
    tensor: str | None = None
    threshold: float = 0.5
    queries: int | None = None
    selection: str | None = None
    place: tuple[float, float] | None = None
    group: int = 0
    seed: int = 0
    heat: bool = False
    all_queries: bool = False
    shape: str = "level"
    weight: float = 0.0
    grid: bool = True
    zoom: tuple[float, float, float] | None = None


DEFAULT = ViewState()


@dataclass(frozen=True)
class Selected(ViewState):
    """A view in which query and layer are no longer open; what a page draws."""

    query: int = 0
    layer: int = 0


@dataclass(frozen=True)
class Offered:
    """What there is to choose from in a trace.

    `counts` holds how many there are, by field: an index must be smaller. At most `most_queries` may be asked for, the
    model's own number is `counts["query"]` and its own way to select them `method`. `best` is the query shown while
    none is selected, and `tensors` are the names of all sites without their layers.
    """

    counts: Mapping[str, int]
    most_queries: int
    method: str
    best: int
    tensors: frozenset[str]


def embedded_model(image: str) -> str:
    """The model in the package that knows what is in an image: photographs, or scenes drawn by this project."""
    return "nano-photo" if images.is_photograph(image) else "nano"


def model_of(view: ViewState) -> str:
    """The model in view; where none was chosen, the one that fits the image."""
    return view.model or embedded_model(view.image)


class Unusable(ValueError):
    """A value that cannot be used; the message completes the sentence "<field> <value> ..."."""


# --- text to value ----------------------------------------------------------------------------------------------------


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise Unusable("is not a whole number from 0 upwards")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or not int(text):
        raise Unusable("is not a whole number from 1 upwards")
    return int(text)


def _number(text: str, most: float = 1.0) -> float:
    # Decimals only: float() would also take "nan", "1e3" and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text) or float(text) > most:
        raise Unusable(f"is not a number from 0 to {most:g}")
    return float(text)


def _flag(text: str) -> bool:
    return _one_of("0", "1")(text) == "1"


def _image(text: str) -> str:
    if images.kind(text) is None:
        raise Unusable("names no sample, no scene and no uploaded image")
    return text


def _model(text: str) -> str:
    if text not in zoo.ZOO and not OWN_WEIGHTS.fullmatch(text):
        raise Unusable("is not the name of a model")
    return text


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise Unusable(f"is none of {', '.join(allowed)}")
        return text

    return parse


def _tensor(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_.]{1,80}", text):
        raise Unusable("is not the name of a tensor")
    return any_layer(text)


def any_layer(site: str) -> str:
    """The name of a site without the number of its decoder layer: all layers have the same tensors."""
    return re.sub(r"^decoder\.layers\.[0-9]+\.", "", site)


def _place(text: str) -> tuple[float, ...]:
    try:
        x, y = map(_number, text.split(","))
    except ValueError:
        raise Unusable("is not a place such as 0.25,0.6, in parts of the image") from None
    return round(x, 4), round(y, 4)


def _zoom(text: str) -> tuple[float, ...]:
    factor, _, middle = text.partition(",")
    try:
        times = round(_number(factor, MOST_ZOOM), 3)
        if times <= 1:
            raise Unusable
        return times, *_place(middle)
    except Unusable:
        raise Unusable(f"is not a factor up to {MOST_ZOOM:g} and a place, such as 2.5,0.25,0.6") from None


PARSERS: dict[str, Callable[[str], Any]] = {
    "image": _image,
    "model": _model,
    "scale": _one_of(*SCALES),
    "unit": _one_of(*UNITS),
    "depth": _one_of(*DEPTHS),
    "tensor": _tensor,
    "selection": _one_of(*METHODS),
    "threshold": _number,
    "place": _place,
    "queries": _count,
    "shape": _one_of(*SHAPES),
    "weight": lambda text: _number(text, 0.5),
    "zoom": _zoom,
    **dict.fromkeys(("heat", "all_queries", "grid"), _flag),
    **dict.fromkeys(("query", "compare", "head", "level", "point", "cell", "channel", "seed"), _whole),
    **dict.fromkeys(FROM_ONE, lambda text: _count(text) - 1),
}


def _text(field: str, value: Any) -> str:
    """A value as a link has it, which its parser reads back."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ",".join(_text("", part) for part in value)
    if isinstance(value, float):  # never 1e-05, which is no decimal number to the parser
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value + 1 if field in FROM_ONE else value)


# --- links ------------------------------------------------------------------------------------------------------------


def from_params(params: Mapping[str, str]) -> tuple[ViewState, list[str]]:
    """The state that a URL asks for, and one sentence for each value that cannot be used; other keys are ignored."""
    values, notes = {}, []
    for field, parse in PARSERS.items():
        text = params.get(field)
        if text is None:
            continue
        try:
            values[field] = parse(text)
        except Unusable as problem:
            notes.append(f"In the link, {field}{_quoted(text)} {problem}; it was left out.")
    return ViewState(**values), notes


def to_params(view: ViewState) -> dict[str, str]:
    """The shortest URL parameters that give this state: every field that differs from its default."""
    fields = dataclasses.asdict(view).items()
    return {field: _text(field, value) for field, value in fields if value not in (None, getattr(DEFAULT, field))}


def _quoted(text: str) -> str:
    """A value from a link, to be repeated in a note: only where it is short and cannot look like a link of its own."""
    return f" {text!r}" if re.fullmatch(r"[A-Za-z0-9_+-]{1,40}(\.[0-9]{1,6})?", text) else ""


# --- what fits --------------------------------------------------------------------------------------------------------


def fit(view: ViewState, offered: Offered) -> tuple[ViewState, list[str]]:
    """Drop what the trace does not have, with one sentence each, and what says no more than the model itself does."""
    dropped: dict[str, Any] = {}
    notes = []
    for field, count in offered.counts.items():
        value = getattr(view, field)
        if value is not None and value >= count:
            first = int(field in FROM_ONE)
            last = count - 1 + first
            dropped[field] = getattr(DEFAULT, field)
            notes.append(f"There is no {field} {value + first} here, they go from {first} to {last}; it was left out.")
    if view.queries is not None and view.queries > offered.most_queries:
        dropped["queries"] = None
        notes.append(
            f"The link asks for {view.queries:,} queries; with this image and model it can be 1 to "
            f"{offered.most_queries}. It was left out."
        )
    if view.tensor is not None and view.tensor not in offered.tensors:
        dropped["tensor"] = None
        notes.append(f"There is no tensor {view.tensor} in this model; it was left out.")
    view = dataclasses.replace(view, **dropped)
    if view.compare is not None and view.compare == (offered.best if view.query is None else view.query):
        view = dataclasses.replace(view, compare=None)
        notes.append("The query to compare with is the selected one itself; it was left out.")
    own = {"queries": offered.counts["query"], "selection": offered.method}
    return dataclasses.replace(view, **{field: None for field in own if getattr(view, field) == own[field]}), notes


KINDS = {int: (int, float), float: (int, float), tuple: (tuple, list)}
"""Types that may stand for another one in what a browser sends: it knows one kind of number and no tuples."""


def accepted(said: Mapping[str, Any], offered: Offered | None) -> dict[str, Any]:
    """Of what a page says is chosen, by field, what can be chosen; the rest is left alone, for nobody is told of it.

    Values come from a browser, where a label may have changed meanwhile or a message may have been made up. `offered`
    is what the page had to offer; None where all that a link may ask for is taken.
    """
    fields = {}
    for field, value in said.items():
        if field not in PARSERS:
            continue
        if value is None and getattr(DEFAULT, field) is None:
            fields[field] = None
            continue
        plain = tuple(value) if isinstance(value, list) else value
        plain = int(value) if isinstance(value, float) and value.is_integer() else plain
        if isinstance(plain, tuple) and any(type(part) not in (int, float) for part in plain):
            continue
        try:
            parsed = PARSERS[field](_text(field, plain))
        except (TypeError, ValueError, OverflowError):
            continue
        if type(value) in KINDS.get(type(parsed), (type(parsed),)) and _is_offered(field, parsed, offered):
            fields[field] = parsed
    return fields


def _is_offered(field: str, value: Any, offered: Offered | None) -> bool:
    if offered is None:
        return True
    if field == "tensor":
        return value in offered.tensors
    if field == "queries":
        return value <= offered.most_queries
    return field not in offered.counts or value < offered.counts[field]
