"""The figure of duplicates: their boxes on the photo, their scores and the attention they give the winner, by layer."""

from __future__ import annotations

from html import escape

import numpy as np

from rtdetr_explained.drawing.colors import BACKGROUND, COMPARED, GREY, MUTED, ON_PHOTO, PHOTO_HALO, SELECTED, TEXT
from rtdetr_explained.drawing.layout import outline, photo_panel, photo_part, region_around
from rtdetr_explained.drawing.marks import Axis, Drawing, Lines, Mark, Panel, Photo, Picture, Points, Text
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.illustrations.decoder.duplicates import LEAST_IOU, Duplicates

HEIGHT = 340
TOP, FOOT = 46, 44  # pixels above and below the panels
MOST_NAMED = 6  # lines that get a name at their end
MOST_LISTED = 4  # queries that a sentence names


def picture(view: Duplicates) -> Picture:
    """Three panels, side by side."""
    alt_text = (
        "The part of the photo with the boxes of all queries that end there; their scores by layer; the share of "
        "self-attention that each gives to the winner by layer. " + caption(view)
    )
    panels = [boxes(view), scores(view), attention(view)]
    return Picture(Drawing(panels, height=HEIGHT), caption(view), alt_text, table(view))


def boxes(view: Duplicates) -> Panel:
    """The part of the photo where they end, with links to the winner as heavy as the attention it gets."""
    final = view.boxes_px[-1]
    region = region_around(final, view.image_size, room=0.35, least=0.15)
    part = photo_part(view.photo, view.image_size, region)
    marks: list[Mark] = [Photo(soft_photo(part.image), part.extent)]
    start = view.boxes_px[view.layer]  # what they hold when the layer begins
    points = (start[:, :2] + start[:, 2:]) / 2
    strongest = max(float(view.to_winner[view.layer, 1:].max(initial=0)), 1e-9)
    for i in range(len(view.members) - 1, 0, -1):
        share = float(view.to_winner[view.layer, i])
        x, y = points[[0, i]].T
        strength = share / strongest
        marks.append(Lines(x, y, ON_PHOTO, 0.8 + 3 * strength, alpha=0.35 + 0.6 * strength, name=f"link {i}"))
    for i in range(len(view.members) - 1, -1, -1):
        width = 2.5 if i == 0 or color_of(view, i) else 1.2
        marks.append(
            outline(
                final[i], color_of(view, i) or ON_PHOTO, width, "solid" if i == 0 else "dash", 1 if width > 2 else 0.75,
                halo=width > 2, hover=words_of(view, i), name=f"box of {view.members[i]}",
            )
        )  # fmt: skip
    hover = [words_of(view, i) for i in range(len(view.members))]
    size = np.where(np.arange(len(view.members)) == 0, 11.0, 7.0)
    x, y = points.T
    marks.append(Points(x, y, ON_PHOTO, size, edge=PHOTO_HALO, hover=hover, ids=view.members, name="reference points"))
    return photo_panel(
        (0.005, TOP, 0.30, HEIGHT - 8),
        region,
        marks,
        title="Where they end",
        subtitle=f"solid: the winner; links: layer {view.layer + 1}",
    )


def scores(view: Duplicates) -> Panel:
    """The score of the class after each step, a line for each query."""
    last = len(view.scores) - 1
    hollow = [step for step in range(last + 1) if view.derived[step]]
    marks = curves(view, view.scores, np.arange(last + 1), hollow, "score", first=0)
    marks.append(
        Lines(
            np.array([-0.2, last + 0.2]), np.repeat(view.threshold, 2), MUTED, 1, "dot", name="threshold"
        )
    )  # fmt: skip
    labels = ["first", *(str(step) for step in range(1, last)), f"{last}"]
    return Panel(
        (0.355, TOP, 0.65, HEIGHT - FOOT),
        Axis((-0.2, last + 0.55), "after decoder layer", list(range(last + 1)), labels),
        Axis((-0.02, 1.04), "", (0, 0.5, 1), grid=True),
        marks,
        title=f"Score of “{view.name}”",
        subtitle="hollow: derived; dotted: threshold",
    )


def attention(view: Duplicates) -> Panel:
    """The share of self-attention each duplicate gives the winner in each layer."""
    layers = len(view.to_winner)
    marks = curves(view, view.to_winner, np.arange(1, layers + 1), [], "attention", first=1)
    ends = np.array([0.75, layers + 0.3])
    marks.append(Lines(ends, np.repeat(view.even, 2), MUTED, 1, "dot", name="even share"))
    subtitle = "dotted: an even share" if view.head is None else f"head {view.head}; dotted: an even share"
    return Panel(
        (0.715, TOP, 0.995, HEIGHT - FOOT),
        Axis((0.75, layers + 0.5), "decoder layer", list(range(1, layers + 1))),
        Axis((0, attention_top(view)), "", None, grid=True),
        marks,
        title=f"Attention given to query {view.winner}",
        subtitle=subtitle,
    )


def curves(view: Duplicates, values: np.ndarray, x: np.ndarray, hollow: list[int], what: str, first: int) -> list[Mark]:
    """A line for each query from number `first` on, the winner on top, and the names of the uppermost at their ends."""
    marks: list[Mark] = []
    for i in range(len(view.members) - 1, first - 1, -1):
        color = color_of(view, i) or (TEXT if i == 0 else GREY)
        width = 2.5 if i == 0 or color_of(view, i) else 1.2
        name = f"{what} of {view.members[i]}"
        marks.append(Lines(x, values[:, i], color, width, "solid" if i == 0 else "dash", name=name))
        solid = np.array([step not in hollow for step in range(len(x))])
        for shown, fill, kind in ((solid, color, "traced"), (~solid, BACKGROUND, "derived")):
            hover = [f"{words_of(view, i)}<br>{what} <b>{value:.3f}</b>" for value in values[shown, i]]
            if shown.any():
                look = {"edge": color, "hover": hover, "ids": np.repeat(view.members[i], shown.sum())}
                marks.append(Points(x[shown], values[shown, i], fill, 7, name=f"{name}, {kind}", **look))
    room = 0.06 * (1.06 if what == "score" else attention_top(view))
    named: list[float] = []
    by_value = (first + np.argsort(-values[-1, first:], kind="stable")).tolist()
    for i in sorted(by_value, key=lambda i: color_of(view, i) is None and i != 0):  # the ones that stand out first
        y = float(values[-1, i])
        if len(named) < MOST_NAMED and all(abs(y - other) > room for other in named):
            named.append(y)
            color = color_of(view, i) or TEXT
            marks.append(Text(float(x[-1]), y, f"{view.members[i]}", color, dx=7, bold=i == 0))
    return marks


def attention_top(view: Duplicates) -> float:
    """The upper end of the axis of attention."""
    return max(float(view.to_winner[:, 1:].max(initial=0)), 2 * view.even) * 1.15


def color_of(view: Duplicates, i: int) -> str | None:
    """The colour of the selected or compared query, None for the others."""
    return {view.query: SELECTED, view.compare: COMPARED}.get(int(view.members[i]))


def words_of(view: Duplicates, i: int) -> str:
    """What a query says under the pointer."""
    return f"query {view.members[i]}{' (winner)' if i == 0 else ''} · {escape(view.name)} {view.scores[-1, i]:.2f}"


def caption(view: Duplicates) -> str:
    """Sentences that say what is seen."""
    if len(view.members) == 1:
        alone = (
            f"No other query ends as “{view.name}” in a box that overlaps that of query {view.query} by an IoU of at "
            f"least {LEAST_IOU}."
        )
        return alone + elsewise(view)
    count, given = len(view.members) - 1, np.median(view.to_winner[:, 1:], axis=1)
    who = "one other query ends" if count == 1 else f"{count} other queries end"
    paid = ", ".join(f"{share:.1%}" for share in given)
    heads = "mean of all heads" if view.head is None else f"head {view.head}"
    return (
        f"Query {view.winner} ends as “{view.name}” with {view.scores[-1, 0]:.2f}; {who} on the same object. "
        f"{verdict(view)}{elsewise(view)} Layer by layer, the others give the winner {paid} of their "
        f"self-attention (median; {heads}); an even share would be {view.even:.1%}."
    )


def verdict(view: Duplicates) -> str:
    """How often the object is detected, and by which queries."""
    more = [
        f"query {q} ({score:.2f})" for q, score in zip(view.members, view.scores[-1], strict=True) if q in view.above
    ]
    if len(more) < 2:
        return f"{'None' if not more else 'Only the winner'} is above {view.threshold:.2f}."
    return f"It is detected {len(more)} times above {view.threshold:.2f}: by {listed(more)}."


def elsewise(view: Duplicates) -> str:
    """A sentence on the queries that end there as another class, or nothing."""
    there = [f"query {q} (“{name}” {score:.2f})" for q, name, score in view.rivals]
    return f" There, as another class and above {view.threshold:.2f}, ends {listed(there)}." if there else ""


def listed(names: list[str]) -> str:
    """Names in a row, of many only the first."""
    if len(names) > MOST_LISTED:
        names = [*names[: MOST_LISTED - 1], f"{len(names) - MOST_LISTED + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def table(view: Duplicates) -> dict[str, list]:
    """A row for each query: overlap, scores by layer, and the attention between it and the winner by layer."""
    columns: dict[str, list] = {
        "query": view.members.tolist(),
        "IoU": [round(float(value), 2) for value in view.iou],
    }
    last = len(view.scores) - 1
    for step, scores in enumerate(view.scores):
        name = "first score" if step == 0 else f"score after {step}" + (" (derived)" if step < last else "")
        columns[name] = [round(float(score), 3) for score in scores]
    for layer, (to, back) in enumerate(zip(view.to_winner, view.from_winner, strict=True), start=1):
        columns[f"gives winner, layer {layer}"] = [round(float(share), 4) for share in to]
        columns[f"winner gives, layer {layer}"] = [round(float(share), 4) for share in back]
    return columns
