"""Every picture: drawn with both libraries in both themes, and told in words; nothing heavy before its time."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.colors import to_hex
from random_models import TINY, random_model, random_photo

from rtdetr_explained.detector import Detector, read_layer
from rtdetr_explained.drawing.colors import Theme, palette
from rtdetr_explained.drawing.marks import Picture
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations import picture, stages
from rtdetr_explained.illustrations.decoder import duplicates, duplicates_figure, updates
from rtdetr_explained.illustrations.deformable_attention import cells, discrete, effect, points, spread, weights
from rtdetr_explained.illustrations.query_selection import view as selection
from rtdetr_explained.illustrations.query_selection.figure import picture_without_maps
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.edits import set_sampling
from rtdetr_explained.tracing.results import outcome
from rtdetr_explained.tracing.sites import STAGES
from rtdetr_explained.tracing.trace import Trace


def test_every_stage_is_told_about_in_order() -> None:
    assert tuple(stages.STAGES) == STAGES


def test_a_colour_can_be_had_without_drawing_libraries_and_no_figure_needs_streamlit() -> None:
    code = (
        "import sys; import rtdetr_explained.drawing.colors as c; "
        "assert not {'plotly', 'matplotlib', 'torch'} & set(sys.modules); "
        f"from rtdetr_explained.illustrations import {', '.join(STAGES)}; "
        "from rtdetr_explained.illustrations.decoder import figure; "
        "assert not {'streamlit', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_stage_that_does_not_exist_is_said(trace: Trace) -> None:
    with pytest.raises(InputError, match="There is no stage 'neck'; choose one of overview, backbone"):
        picture("neck", choose(trace))


@pytest.fixture(scope="module")
def pictures(detector: Detector, trace: Trace, noised: Trace) -> dict[str, Picture]:
    """Every picture by name, of the same photo."""
    chosen = choose(trace, query=3, layer=1, compare=8, head=2, level=1)
    every_point, noised_choice = choose(trace, query=3, layer=1), choose(noised, group=1)
    other = outcome(detector.rerun(trace, [set_sampling("discrete")]))
    sets = effect.sets_of_points(chosen, 2)
    return {
        **{slug: picture(slug, noised_choice if slug == "denoising" else every_point) for slug in STAGES},
        "query_selection_page": picture_without_maps(selection.view(every_point)),
        "updates": updates.picture(updates.view(chosen)),
        "duplicates": duplicates_figure.picture(duplicates.view(chosen)),
        "deformable_attention_part": picture("deformable_attention", chosen),
        "weights": weights.picture(weights.view(chosen)),
        "spread": spread.picture(spread.view(chosen)),
        "cells": cells.picture(points.point_read(chosen, read_layer(detector, trace, 1))),
        "discrete": discrete.picture(discrete.view(chosen, other)),
        "effect_points": effect.picture(
            effect.effect_of_points(chosen, "renormalise", sets, dict.fromkeys(sets, other))
        ),
        "effect_parts": effect.picture(
            effect.effect_of_parts(chosen, dict.fromkeys(effect.parts(chosen), other)),
        ),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_picture_can_be_drawn_and_read_aloud(pictures: dict[str, Picture], theme: Theme) -> None:
    for name, made in pictures.items():
        interactive: Any = to_plotly(made.drawing, theme)
        exported = to_matplotlib(made.drawing, theme)
        assert len(interactive.to_json()) < 1_000_000, name
        assert all(len(image.source) < 250_000 for image in interactive.layout.images), name
        assert interactive.layout.height == made.drawing.height, name
        assert interactive.layout.paper_bgcolor == palette(theme).background
        assert to_hex(exported.get_facecolor()).upper() == palette(theme).background
        assert made.caption.endswith("."), name
        assert len(made.alt_text) > 60, name
        assert len({len(column) for column in made.table.values()}) == 1, name


def test_no_name_of_a_class_is_read_as_markup() -> None:
    """What hovering shows is HTML to plotly; names in it are not."""
    names = tuple(f"<i>{i}</i>" for i in range(5))
    detector = Detector(random_model(replace(TINY, class_names=names)))
    trace = detector.trace(random_photo(100, 150))
    denoising = detector.trace_denoising(trace, trace.boxes[:3], trace.labels[:3])
    for slug in STAGES:
        choice = choose(denoising) if slug == "denoising" else choose(trace, query=3)
        shown = str(to_plotly(picture(slug, choice).drawing, "light").to_plotly_json())
        assert "<i>" not in shown, slug
