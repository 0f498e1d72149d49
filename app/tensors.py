"""The tensors of a stage: named axes, type, range, distribution and values, to be looked through and downloaded."""

from __future__ import annotations

from app import tables
from app.state import Selected
from rtdetr_explained.tracing.trace import Trace


def show(slug: str, view: Selected, trace: Trace) -> None:
    """Every tensor of the stage."""
    tables.show_tensors(slug, trace, view.layer)
