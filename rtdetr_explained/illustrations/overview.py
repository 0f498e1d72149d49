"""Overview: what the detector found, and the way of the image through all stages with sizes and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing import layout
from rtdetr_explained.drawing.colors import (
    LINE,
    MUTED,
    ON_PHOTO,
    OPERATIONS,
    PARAMETERS,
    PHOTO_HALO,
    SELECTED,
    TEXT,
    TIME,
    text_on,
)
from rtdetr_explained.drawing.marks import (
    SMALL_PX,
    Axis,
    Bars,
    Drawing,
    Lines,
    Mark,
    Panel,
    Photo,
    Picture,
    Points,
    Text,
)
from rtdetr_explained.drawing.text import shape_text
from rtdetr_explained.illustrations import stages
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.trace import Detection, StageProfile, Trace

WIDTH, HEIGHT = 900, 560
PHOTO_SHARE = 0.42  # of the width
MAX_LABELS = 20
BEST = 16  # queries in the list under the photo
ONE_OBJECT = 0.5  # IoU from which two boxes of one class are on the same object
COUNTING = (
    "An operation is one multiplication or one addition, so a multiply-add counts as two. Operations are counted in "
    "the network as it runs, with norms and the branches of training folded into convolutions; parameters in the form "
    "that is trained. Published for RT-DETRv2-S (R18) at 640×640 are 60.1 G, counted like this it has 58.4 G: boxes "
    "are predicted for the 300 chosen tokens and not for all 8,400 (−2.1 G), and the products inside attention are "
    "counted (+0.5 G)."
)
FLOW = ("backbone", "aifi", "ccff", "query_selection", "decoder")
TITLES = {slug: stage.title for slug, stage in stages.STAGES.items()}
TITLES |= {"overview": "All together", "deformable_attention": f"⊃ {TITLES['deformable_attention'].lower()}"}


@dataclass(frozen=True)
class Stage:
    """One row of the strip; `output` says what leaves it. Time is measured in this pass, None where nothing ran.

    The decoder's numbers include those of its deformable attention, which are also told alone.
    """

    slug: str
    title: str
    output: str
    time_ms: float | None
    parameters: int
    flops: int


@dataclass(frozen=True)
class OverviewView:
    """The detections, the queries, and the stages in the order of the figure.

    `detections` score above `threshold`, best first; one query may give several, with different labels. `best` are the
    `BEST` queries with the highest scores, each with its best class, and `selected` is the selected one.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    input_shape: tuple[int, int, int]
    threshold: float
    detections: tuple[Detection, ...]
    best: tuple[Detection, ...]
    num_queries: int
    selected: Detection
    stages: tuple[Stage, ...]


def view(choice: Choice) -> OverviewView:
    """What the network found above the threshold, with the selected query."""
    trace = choice.trace
    order = np.argsort(-trace.scores, kind="stable")
    times = times_ms(trace)
    costs = dict(trace.profile)
    inside, around = costs["deformable_attention"], costs["decoder"]
    costs["decoder"] = StageProfile(around.parameters + inside.parameters, around.flops + inside.flops)
    rows = (
        Stage(slug, TITLES[slug], output, times.get(slug), costs[slug].parameters, costs[slug].flops)
        for slug, output in outputs(trace).items()
    )
    return OverviewView(
        photo=trace.photo,
        image_size=trace.image_size,
        input_shape=(3, *trace.input_size),
        threshold=choice.threshold,
        detections=tuple(trace.detections(choice.threshold)),
        best=tuple(best_class(trace, int(i)) for i in order[:BEST]),
        num_queries=len(order),
        selected=best_class(trace, choice.query),
        stages=tuple(rows),
    )


def times_ms(trace: Trace) -> dict[str, float]:
    """Milliseconds of each stage that ran, the decoder's with its deformable attention, and of all together."""
    decoder = trace.times_ms["decoder"] + trace.times_ms["deformable_attention"]
    return trace.times_ms | {"decoder": decoder, "overview": sum(trace.times_ms.values())}


def picture(view: OverviewView) -> Picture:
    """The photo on the left, the strip of stages with its three measures on the right."""
    return Picture(drawing(view), caption(view), alt_text(view), table(view))


def repeated(detections: Sequence[Detection]) -> list[Detection]:
    """Those on whose object a better one of the same class lies already, and which nothing removes; best come first."""
    boxes = np.array([d.box_px for d in detections], float).reshape(-1, 4)
    return [
        d
        for i, d in enumerate(detections)
        if any(d.label == e.label and iou(boxes[i], boxes[j]) >= ONE_OBJECT for j, e in enumerate(detections[:i]))
    ]


def best_class(trace: Trace, query: int) -> Detection:
    """A query with its best class, whatever its score."""
    x0, y0, x1, y1 = cxcywh_to_xyxy_px(trace.boxes[query], trace.image_size).tolist()
    label = int(trace.labels[query])
    return Detection(query, label, trace.class_names[label], float(trace.scores[query]), (x0, y0, x1, y1))


def outputs(trace: Trace) -> dict[str, str]:
    """What leaves each stage, with the shapes of this trace, in the order of the figure."""
    shapes = {site.name: site.shape for site in trace.sites()}

    def three(prefix: str, names: Sequence[str]) -> str:
        return "  ·  ".join(f"{name.upper()} {shape_text(shapes[f'{prefix}.{name}'])}" for name in names)

    queries, heads, points, _ = shapes["decoder.layers.0.cross_attn.sampling_locations"]
    kept, tokens = shapes["query_selection.content"], shapes["query_selection.scores"][0]
    return {
        "backbone": three("backbone", ("s3", "s4", "s5")),
        "aifi": f"F5 {shape_text(shapes['hybrid_encoder.aifi.output'])}, one scale only",
        "ccff": three("hybrid_encoder.ccff", ("n3", "n4", "n5")),
        "query_selection": f"{kept[0]:,} of {tokens:,} tokens: content {shape_text(kept)}, boxes {kept[0]:,}×4",
        "decoder": f"after {trace.num_layers} layers: boxes {shape_text(trace.boxes.shape)}, "
        f"class scores {shape_text(trace.logits.shape)}",
        "deformable_attention": f"part of every layer: {queries:,} queries × {heads} heads × {points} points",
        "denoising": "training only: noised true boxes as extra queries",
        "overview": f"{trace.meta['model']}, input {shape_text((3, *trace.input_size))}",
    }


def drawing(view: OverviewView) -> Drawing:
    """All panels: photo, best queries, strip, and one for each measure."""
    left, top, bottom = PHOTO_SHARE + 0.025, 30, HEIGHT * (1 - 0.012)
    rows = Axis((len(view.stages) - 0.25, -0.75))
    panels = [photo_panel(view), *best_queries(view)]
    panels.append(Panel((left, top, 1, bottom), Axis((0, 1)), rows, strip(view)))
    measures = (
        ("time spent", TIME, [s.time_ms for s in view.stages], milliseconds),
        ("parameters", PARAMETERS, [s.parameters for s in view.stages], short),
        ("operations", OPERATIONS, [s.flops or None for s in view.stages], short),
    )
    width = (1 - left) * 0.187
    for i, (title, color, values, form) in enumerate(measures):
        x0 = 1 - (3 - i) * width
        marks = measure(title, values, form, view.stages, color)
        panels.append(Panel((x0, top, x0 + width - 0.012, bottom), Axis((0, 1)), rows, marks, subtitle=title))
    return Drawing(panels, WIDTH, HEIGHT)


def milliseconds(ms: float) -> str:
    """ "8.4 ms", "54 ms"."""
    return f"{ms:.1f} ms" if ms < 10 else f"{ms:,.0f} ms"


def short(count: float) -> str:
    """2,802,672 as "2.80 M"."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= limit:
            scaled = count / limit
            return f"{scaled:,.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{unit}"
    return f"{count:,.0f}"


def shown_queries(view: OverviewView) -> list[Detection]:
    """The selected query, then the others that gave a detection, best first, each once with its best class."""
    firsts = {d.query: d for d in reversed(view.detections)}
    others = sorted((d for q, d in firsts.items() if q != view.selected.query), key=lambda d: -d.score)
    return [view.selected, *others]


def photo_height(view: OverviewView) -> float:
    """Height in pixels at which the photo is drawn in a figure of nominal width."""
    width, height = view.image_size
    return min(PHOTO_SHARE * WIDTH * height / width, HEIGHT - 48)


def photo_panel(view: OverviewView) -> Panel:
    """The photo with the boxes found; the selected query in vermilion on top, drawn even below the threshold."""
    width, height = view.image_size
    shown = shown_queries(view)
    boxes = np.array([d.box_px for d in shown])
    marks: list[Mark] = [Photo(view.photo, (0, 0, width, height))]
    for group, color, line, name in ((boxes[1:], ON_PHOTO, 1.6, "found"), (boxes[:1], SELECTED, 2.6, "selected query")):
        if len(group):
            marks.append(layout.outline(group, color, line, name=name))
    scale = photo_height(view) / height  # screen pixels per photo pixel
    labelled = shown[:MAX_LABELS]
    texts = [f"{d.name} {d.score:.2f}" for d in labelled]
    sizes = [((6.8 * len(text) + 8) / scale, 18 / scale) for text in texts]
    corners = layout.place_labels(boxes[:MAX_LABELS], sizes, view.image_size)
    for d, text, corner, (_, h) in zip(labelled, texts, corners, sizes, strict=True):
        if corner is not None:
            fill, chosen = (SELECTED, True) if d is view.selected else (PHOTO_HALO, False)
            x, y = corner
            marks.append(Text(x, y + h / 2, text, text_on(fill), SMALL_PX, dx=3, box=fill, bold=chosen))
    hover = [f"<b>{escape(d.name)}</b> {d.score:.2f}<br>query {d.query}" for d in shown]
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    ids = np.array([d.query for d in shown], np.int32)
    marks.append(Points(x, y, ON_PHOTO, 6, "circle", PHOTO_HALO, hover=hover, ids=ids, name="queries"))
    count = len(view.detections)
    return layout.photo_panel(
        (0.0, 42, PHOTO_SHARE, HEIGHT * (1 - 0.012)),
        view.image_size,
        marks,
        title=f"{count} {'detection' if count == 1 else 'detections'}, score > {view.threshold:.2f}",
        subtitle=f"selected: query {view.selected.query}, {view.selected.name} {view.selected.score:.2f}",
    )


def best_queries(view: OverviewView) -> list[Panel]:
    """Where the photo leaves room below it: the scores of the best queries, with the threshold."""
    top = 42 + photo_height(view) + 30
    rows = min(int((HEIGHT - 8 - top) / 17), len(view.best))
    if rows < 4:
        return []
    best = view.best[:rows]
    y = np.arange(rows, dtype=np.float32)
    scores = np.array([d.score for d in best], np.float32)
    marks: list[Mark] = []
    for part, color, name in (
        (scores > view.threshold, PARAMETERS, "above"), (scores <= view.threshold, LINE, "below"),
    ):  # fmt: skip
        if part.any():
            marks.append(Bars(y[part], scores[part], color, 0.0, 0.55, name=f"{name} the threshold"))
    cut = np.array([view.threshold, view.threshold])
    marks.append(Lines(cut, np.array([-0.6, rows - 0.4]), MUTED, 1, "dot", name="threshold"))
    for i, d in enumerate(best):
        color, bold = (SELECTED, True) if d.query == view.selected.query else (TEXT, False)
        marks.append(Text(0.0, i, f"{d.name} ({d.query})", color, SMALL_PX, "right", dx=-6, bold=bold))
        marks.append(Text(1.0, i, f"{d.score:.2f}", TEXT, SMALL_PX, dx=6))
    area = (0.0, top, PHOTO_SHARE, top + 17 * rows)
    title = f"The best {rows} of {view.num_queries:,} queries"
    return [
        Panel(area, Axis((-0.86, 1.2)), Axis((rows - 0.4, -0.6)), marks, subtitle=f"{title}; dotted: the threshold")
    ]


def strip(view: OverviewView) -> list[Mark]:
    """Names of the stages from top to bottom, and between them the shapes of what flows on."""
    marks: list[Mark] = [Text(0.0, -0.5, "↓", MUTED, SMALL_PX)]
    marks.append(Text(0.035, -0.5, f"image {shape_text(view.input_shape)}", MUTED, SMALL_PX))
    for i, stage in enumerate(view.stages):
        color = MUTED if stage.slug == "denoising" else TEXT
        inside = stage.slug == "deformable_attention"
        size = SMALL_PX if inside else 12
        marks.append(Text(0.02 if inside else 0.0, i, stage.title, color, size, bold=not inside))
        marks.append(Text(0.035, i + 0.4, stage.output, MUTED, SMALL_PX))
        if stage.slug in FLOW:
            marks.append(Text(0.0, i + 0.4, "↓", MUTED, SMALL_PX))
    rule = len(view.stages) - 1 - 0.4
    marks.append(Lines(np.array([0.0, 1.0]), np.array([rule, rule]), LINE, 1))
    return marks


def measure(
    title: str,
    values: Sequence[float | None],
    form: Callable[[float], str],
    stages: Sequence[Stage],
    color: str,
) -> list[Mark]:
    """Numbers of one measure with bars below them; the last row is the total and has a number only."""
    parts = [value or 0.0 for value in values[:-1]]
    longest = max(parts) or 1.0
    y = np.arange(len(parts), dtype=np.float32) + 0.19
    width = np.array(parts, np.float32) / longest * 0.94
    hover = [
        f"{stage.title}<br>{title}: <b>{form(value or 0.0)}</b> ({(value or 0.0) / (values[-1] or 1.0):.0%})"
        for stage, value in zip(stages[:-1], values[:-1], strict=True)
    ]
    marks: list[Mark] = [Bars(y, width, color, 0.0, 0.12, hover, title)]
    for i, value in enumerate(values):
        if value is not None:
            last = i == len(values) - 1
            marks.append(Text(0.0, i, form(value), TEXT, SMALL_PX, bold=last))
    return marks


def caption(view: OverviewView) -> str:
    """What is seen and what it took."""
    total, count, again = view.stages[-1], len(view.detections), len(repeated(view.detections))
    double = ""
    if again:
        double = f", {again} of them {'lies' if again == 1 else 'lie'} on an object that a better one of that class has"
    return (
        f"{count} {'detection scores' if count == 1 else 'detections score'} above {view.threshold:.2f}{double}. This "
        f"pass took {milliseconds(total.time_ms or 0.0)}, measured once, on the computer that ran it, with "
        f"{short(total.parameters)} parameters and {short(total.flops)} floating-point operations."
    )


def alt_text(view: OverviewView) -> str:
    """The figure in words."""
    found = ", ".join(f"{d.name} {d.score:.2f}" for d in view.detections[:MAX_LABELS]) or "nothing"
    way = "; ".join(f"{stage.title}: {stage.output}" for stage in view.stages)
    return (
        f"The photo with boxes around what was found ({found}); query {view.selected.query} is selected. Beside it the "
        f"stages from top to bottom with bars of time, parameters and operations. {way}."
    )


def table(view: OverviewView) -> dict[str, list]:
    """The stages with their measures; see `COUNTING`."""
    return {
        "stage": [stage.title for stage in view.stages],
        "output": [stage.output for stage in view.stages],
        "time (ms)": [stage.time_ms for stage in view.stages],
        "parameters": [stage.parameters for stage in view.stages],
        "FLOPs": [stage.flops for stage in view.stages],
    }
