"""The charts of the denoising experiment: whose curve is whose."""

import numpy as np
import pytest

from rtdetr_explained.drawing.colors import POSITIVE
from rtdetr_explained.drawing.marks import Lines
from rtdetr_explained.experiments import figure
from rtdetr_explained.experiments.result import ARMS, Result


def test_every_curve_is_that_of_the_arm_it_names(result: Result):
    """The arm with denoising ends at AP 0.5, loss 4 and 2 changes, the other one at 0.3, 7 and 5."""
    loss, precision, instability = (
        {mark.name: mark.y[-1] for mark in panel.marks if isinstance(mark, Lines)}
        for panel in figure.picture(result).drawing.panels[:3]
    )
    assert loss == {"with denoising": 4, "without denoising": 7}
    assert instability == {"with denoising": 2.0, "without denoising": 5.0}
    assert precision == pytest.approx(
        {
            "AP with denoising": 0.5,
            "AP without denoising": 0.3,
            "AP50 with denoising": 0.6,
            "AP50 without denoising": 0.4,
        }
    )


def test_the_arm_with_denoising_is_solid_green_and_named_so(result: Result):
    lines = figure.picture(result).drawing.of(Lines)
    assert len(lines) == 2 + 4 + 2 + 2  # the last two are the legend's
    for line in lines[:-2]:
        solid = " with denoising" in f" {line.name}"
        assert (line.color == POSITIVE) == (line.dash == "solid") == solid
    assert (lines[-2].color, lines[-2].dash) == (POSITIVE, "solid")
    assert lines[-1].dash == "dash"


def test_what_is_unknown_leaves_a_gap(result: Result):
    result["arms"][ARMS[1]]["evaluations"]["AP"][0] = None
    line = figure.picture(result).drawing.named("AP without denoising")
    assert np.isnan(line.y[0])
    assert np.isfinite(line.y[1:]).all()


def test_axes_begin_at_zero_and_reach_what_is_possible(result: Result):
    for arm in ARMS:
        result["arms"][arm]["evaluations"] |= {"AP": [0.0] * 3, "AP50": [0.0] * 3}
    _, precision, instability, _ = figure.picture(result).drawing.panels
    assert precision.y.range == (0, 1)  # also where all are zeros
    assert instability.y.range == (0, 10.0)  # twice the objects of an image


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (12_800, [0, 5000, 10_000]),
        (38.1, [0, 10, 20, 30]),
        (0.7, [0, 0.2, 0.4, 0.6]),
    ],
)
def test_ticks_are_round(top: float, expected: list[float]):
    assert figure.ticks(top) == pytest.approx(expected)
