"""What the view state selects in a trace, as the illustrations take it."""

from __future__ import annotations

from typing import Any

from app.session.view import Selected
from rtdetr_explained.tracing.choice import Choice, choose
from rtdetr_explained.tracing.trace import Trace

FIELDS = "query compare layer head level point cell channel threshold unit scale".split()


def choice_of(view: Selected, trace: Trace, **fields: Any) -> Choice:
    """The choice of a page; `fields` are those that its controls settle themselves, such as a channel that exists.

    Groups are those of the denoising page; a trace without denoising queries has none to choose from.
    """
    group = view.group if "denoising" in trace.meta else 0
    return choose(trace, group=group, **{name: getattr(view, name) for name in FIELDS} | fields)
