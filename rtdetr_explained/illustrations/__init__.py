"""The eight illustrations: a trace becomes view data, and view data become a plotly and a matplotlib figure.

Every module in `ILLUSTRATIONS` (slug to module, in the order of the stages) has `view(trace, ...)` and, for what `view`
returns, `plotly_figure`, `matplotlib_figure` (each with a theme), `caption`, `alt_text` and `table`.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from rtdetr_explained.tracing.sites import STAGES

ILLUSTRATIONS: dict[str, ModuleType]
__all__ = ["ILLUSTRATIONS"]


def __getattr__(name: str) -> Any:
    # On first use, so that whoever only wants a colour does not wait for plotly and matplotlib.
    if name != "ILLUSTRATIONS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    rooms = {"query_selection", "decoder", "deformable_attention"}
    modules = {slug: f"{__name__}.{slug}.view" if slug in rooms else f"{__name__}.{slug}" for slug in STAGES}
    globals()[name] = {slug: import_module(module) for slug, module in modules.items()}
    return globals()[name]
