"""The result of an evaluation: one dictionary for JSON, a text to read, and the figure's source."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtdetr_explained.errors import InputError
from rtdetr_explained.evaluation.coco import coco_metrics, to_find
from rtdetr_explained.evaluation.finding import Finding
from rtdetr_explained.evaluation.slices import slice_metrics

COLUMNS = ("AP", "AP50", "AP75", "AR")


def summarise(findings: Sequence[Finding], class_names: Sequence[str]) -> dict[str, Any]:
    """Everything that follows from the findings.

    Returns `images` and `objects` (how many), `metrics` (AP, AP50, AP75, AP_small, …), `classes` (the per-class table:
    one row for each class with objects, in the model's order), `slices` (see `slice_metrics`) and `latency_ms` (median
    and 95th percentile over images, measured as `find` says). Raises InputError when there was nothing to find.
    """
    found, targets = [f.found for f in findings], [f.target for f in findings]
    metrics = coco_metrics(found, targets, class_names)
    objects = int(sum(to_find(target).sum() for target in targets))
    if not objects:
        raise InputError("The images hold no object of a class that the model knows; choose other data.")
    slices = slice_metrics(found, targets, class_names, metrics)
    rows = metrics.pop("per_class")
    median, p95 = np.percentile([f.ms for f in findings], [50, 95]).tolist()
    return {
        "images": len(findings),
        "objects": objects,
        "metrics": metrics,
        "classes": [{"name": name, **row} for name, row in rows.items() if row["objects"]],
        "slices": slices,
        "latency_ms": {"median": median, "p95": p95},
    }


def as_text(result: dict[str, Any]) -> str:
    """The result as tables for a terminal."""
    metrics, slices, latency = result["metrics"], result["slices"], result["latency_ms"]
    crowded, tail = slices["crowded_images"], slices["long_tail"]
    parts = [
        ("all objects", metrics),
        ("small objects", slices["small_objects"]),
        ("medium objects", {"AP": metrics["AP_medium"], "AR": metrics["AR_medium"]}),
        ("large objects", {"AP": metrics["AP_large"], "AR": metrics["AR_large"]}),
        (f"crowded images ({crowded['images']})", crowded),
        (f"long tail ({len(tail['classes'])} classes)", tail),
    ]
    width = max(len(name) for name in [name for name, _ in parts] + [row["name"] for row in result["classes"]])
    lines = [f"{result['model']} on {result['data']}: {result['images']} images, {result['objects']} objects", ""]
    lines.append(" " * width + "".join(f"{column:>8}" for column in COLUMNS))
    for name, row in parts:
        lines.append(f"{name:<{width}}" + "".join(f"{number(row[c]) if c in row else '':>8}" for c in COLUMNS))
    lines += ["", f"{'class':<{width}}{'objects':>8}{'AP':>8}{'AP50':>8}{'AR':>8}"]
    for row in result["classes"]:
        cells = "".join(f"{number(row[c]):>8}" for c in ("AP", "AP50", "AR"))
        lines.append(f"{row['name']:<{width}}{row['objects']:>8}{cells}")
    lines += ["", f"per image on {result['device']}: median {latency['median']:.1f} ms, p95 {latency['p95']:.1f} ms"]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """A measure with three decimals, or a dash where there was nothing to measure."""
    return "–" if value is None else f"{value:.3f}"
