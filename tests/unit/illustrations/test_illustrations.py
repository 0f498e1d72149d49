"""The package of illustrations: one module for each stage, with the same functions; nothing heavy before its time."""

import subprocess
import sys

import rtdetr_explained.illustrations
from rtdetr_explained.illustrations import ILLUSTRATIONS, PICTURES, stages
from rtdetr_explained.tracing.sites import STAGES


def test_every_stage_has_its_illustration_in_order() -> None:
    assert tuple(ILLUSTRATIONS) == tuple(stages.STAGES) == STAGES
    assert rtdetr_explained.illustrations.ILLUSTRATIONS is ILLUSTRATIONS
    for slug, module in ILLUSTRATIONS.items():
        for name in (
            () if slug in PICTURES else ("view", "plotly_figure", "matplotlib_figure", "caption", "alt_text", "table")
        ):
            assert callable(getattr(module, name))


def test_a_colour_can_be_had_without_drawing_libraries_and_no_figure_needs_streamlit() -> None:
    code = (
        "import sys; import rtdetr_explained.drawing.colors as c; "
        "assert not {'plotly', 'matplotlib', 'torch'} & set(sys.modules); "
        "from rtdetr_explained.illustrations import ILLUSTRATIONS; "
        "assert not {'streamlit', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
