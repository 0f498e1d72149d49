"""The summary of a run as one picture: losses by part, and average precision."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from rtdetr_explained.drawing.colors import LEVEL_COLORS, LIGHT, NEGATIVE
from rtdetr_explained.drawing.export import to_bytes
from rtdetr_explained.training.log import read_log
from rtdetr_explained.writing import unfinished

PARTS = {"last": "last layer", "aux": "layers before", "enc": "encoder", "dn": "denoising"}
COLORS = (*LEVEL_COLORS, NEGATIVE)
STYLES = ("-", "--", "-.", ":")


def save_summary(folder: Path) -> None:
    """Write summary.svg and summary.png from the logs in the folder; nothing when not one step was made."""
    steps, evaluations = read_log(folder / "log.csv"), read_log(folder / "evaluation.csv")
    if steps:
        figure = summary(steps, evaluations)
        for kind in ("svg", "png"):
            with unfinished(folder / f"summary.{kind}") as part:
                part.write_bytes(to_bytes(figure, kind))


def summary(steps: list[dict[str, float | None]], evaluations: list[dict[str, float | None]]) -> Figure:
    """Losses over images, smoothed and as measured, and AP beside them when there was an evaluation."""
    figure = Figure(figsize=(9 if evaluations else 5.5, 3.6), layout="constrained", facecolor=LIGHT.background)
    axes = figure.subplots(1, 2 if evaluations else 1, squeeze=False)[0]
    images = column(steps, "images")
    window = max(1, len(steps) // 50)
    axes[0].plot(images, column(steps, "loss"), color=LIGHT.line, linewidth=0.8)
    axes[0].plot(*smoothed(images, column(steps, "loss"), window), color=LIGHT.text, label="all")
    for (part, text), color, style in zip(PARTS.items(), COLORS, STYLES, strict=True):
        axes[0].plot(*smoothed(images, column(steps, part), window), color=color, linestyle=style, label=text)
    axes[0].set(xlabel="images", ylabel="loss" if window == 1 else f"loss, mean of {window} steps", title="Losses")
    if evaluations:
        for name, color, marker in zip(("AP", "AP50", "AP_small"), LEVEL_COLORS, "os^", strict=True):
            axes[1].plot(
                column(evaluations, "images"),
                column(evaluations, name),
                marker,
                ls="-",
                c=color,
                label=name,
                clip_on=False,
            )
        axes[1].set(xlabel="images", xlim=axes[0].get_xlim(), ylim=(0, 1), title="Average precision")
    for ax in axes:
        ax.grid(color=LIGHT.line, linewidth=0.5)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.legend(frameon=False, fontsize="small")
    return figure


def smoothed(x: np.ndarray, y: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of `window` neighbouring values, and the x of the last of each."""
    return x[window - 1 :], np.convolve(y, np.full(window, 1 / window), "valid")


def column(rows: list[dict[str, float | None]], name: str) -> np.ndarray:
    """One column; what is unknown becomes NaN and leaves a gap."""
    return np.array([row[name] for row in rows], dtype=np.float64)
