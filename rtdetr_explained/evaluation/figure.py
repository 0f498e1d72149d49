"""The result of an evaluation as a figure: accuracy over all, by size and by slice, and for each class."""

from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtdetr_explained.drawing.colors import palette
from rtdetr_explained.drawing.to_matplotlib import use_fonts
from rtdetr_explained.evaluation.summary import number

ROWS = 27  # classes in a column, at most
COLORS = palette("light")

Bars = list[tuple[str, float | None]]


def draw(result: dict[str, Any]) -> Figure:
    """A matplotlib figure of a result; classes are sorted by AP."""
    metrics, slices, latency = result["metrics"], result["slices"], result["latency_ms"]
    overall: Bars = [("AP", metrics["AP"]), ("AP50", metrics["AP50"]), ("AP75", metrics["AP75"]), ("AR", metrics["AR"])]
    parts: Bars = [(f"{size} objects", metrics[f"AP_{size}"]) for size in ("small", "medium", "large")]
    parts.append((f"crowded images ({slices['crowded_images']['images']})", slices["crowded_images"]["AP"]))
    parts.append((f"long tail ({len(slices['long_tail']['classes'])} classes)", slices["long_tail"]["AP"]))
    ordered = sorted(result["classes"], key=lambda row: -row["AP"])
    classes: Bars = [(f"{row['name']} ({row['objects']})", row["AP"]) for row in ordered]
    rows = ceil(len(classes) / ceil(len(classes) / ROWS))
    columns = [classes[i : i + rows] for i in range(0, len(classes), rows)]

    figure = Figure((3.4 * (1 + len(columns)), 0.22 * max(rows, 12) + 1.4), layout="constrained")
    figure.set_facecolor(COLORS.background)
    axes = figure.subplots(1, 1 + len(columns), squeeze=False)[0]
    bars(axes[0], [*overall, *parts], "all objects; AP of parts", COLORS.time, len(overall), rows)
    for i, column in enumerate(columns):
        part = f", part {i + 1} of {len(columns)}" if len(columns) > 1 else ""
        bars(axes[1 + i], column, f"AP by class (objects){part}", COLORS.parameters, rows=rows)
    figure.suptitle(
        f"{result['model']} on {result['data']}: {result['images']} images, {result['objects']} objects\n"
        f"median {latency['median']:.0f} ms, p95 {latency['p95']:.0f} ms per image",
        color=COLORS.text,
        fontsize=10,
    )
    use_fonts(figure)
    return figure


def bars(axes: Axes, values: Bars, title: str, color: str, gap_after: int = 0, rows: int = 0) -> None:
    """Horizontal bars from 0 to 1 with their numbers; a gap parts the first `gap_after` from the others."""
    places = [i + (0.6 if gap_after and i >= gap_after else 0) for i in range(len(values))]
    axes.barh(places, [value or 0 for _, value in values], color=color, height=0.7)
    behind = {"facecolor": COLORS.background, "edgecolor": "none", "pad": 0.8}  # no grid line through the number
    for place, (_, value) in zip(places, values, strict=True):
        axes.text((value or 0) + 0.02, place, number(value), va="center", fontsize=7, color=COLORS.muted, bbox=behind)
    axes.set_yticks(places, [name for name, _ in values], fontsize=8, color=COLORS.text)
    axes.set_ylim(max(rows, len(values)) + (0.1 if gap_after else -0.5), -0.5)
    axes.set_xlim(0, 1.14)
    axes.set_xticks([0, 0.5, 1])
    axes.tick_params(length=0, labelsize=8, labelcolor=COLORS.text)
    axes.grid(axis="x", color=COLORS.line, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=9, color=COLORS.text, loc="left")
