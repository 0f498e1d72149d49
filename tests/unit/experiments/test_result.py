"""The result of the denoising experiment: instability by hand, captions for every outcome, figures, the real run."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_model import TINY

from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.errors import InputError
from rtdetr_explained.experiments import figure
from rtdetr_explained.experiments.matching import NONE, instability, matched_objects, objects_per_image
from rtdetr_explained.experiments.result import ARMS, Result, ap_sentence, caption, epoch_losses, read_result, table
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.matcher import Prediction, match


@pytest.fixture
def result() -> Result:
    """Three epochs of 800 images."""

    def arm(ap: list[float], changes: list[float], loss: list[float], ms: float) -> dict:
        ends = [800, 1600, 2400]
        return {
            "seconds": 2400 * ms / 1000,
            "ms_per_image": ms,
            "loss": {"images": [400, 800, 1200, 1600, 2000, 2400], "loss": loss},
            "evaluations": {"images": ends, "AP": ap, "AP50": [value + 0.1 for value in ap]},
            "instability": {"images": ends[1:], "changes": changes},
        }

    return {
        "schema": 1,
        "settings": {"model": "nano", "side": 192, "images": 2400, "epochs": 3, "seed": 4, "evaluate_images": 50},
        "objects_per_image": 5.0,
        "arms": {
            ARMS[0]: arm([0.1, 0.3, 0.5], [4.0, 2.0], [9, 8, 7, 6, 5, 4], 150),
            ARMS[1]: arm([0.1, 0.2, 0.3], [6.0, 5.0], [9, 9, 8, 8, 7, 7], 100),
        },
    }


def test_instability_counts_tokens_whose_object_changed():
    before = np.full((2, 6), NONE)
    before[0, [1, 4]] = [0, 1]
    before[1, 2] = 0
    after = before.copy()
    assert instability(before, after) == 0
    after[0, [1, 4]] = [1, 0]  # two queries exchange their objects: two changes
    assert instability(before, after) == 1.0
    after[1, [2, 5]] = [NONE, 0]  # an object moves to another query: two changes
    assert instability(before, after) == 2.0
    assert objects_per_image(before) == 1.5


def test_every_object_is_matched_once_to_the_token_of_its_query():
    torch.manual_seed(0)
    model = RTDETR(TINY).train()
    seeds = [3, 4, 5]
    matched = matched_objects(model, seeds, batch=2)
    assert matched.shape == (3, 8 * 8 + 4 * 4 + 2 * 2)
    for row, seed in zip(matched, seeds, strict=True):
        scene = generate_scene(seed, SceneConfig(size=(64, 64)))
        assert sorted(row[row != NONE]) == list(range(len(scene.labels)))
        image = torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            selection = model.query_selection(model.encode(image))
            out = model(image)
            target = {"labels": torch.from_numpy(scene.labels), "boxes": torch.from_numpy(scene.boxes)}
            pairs = match([Prediction("last", out["pred_logits"], out["pred_boxes"])], [target])[0]
            # The token of a query is the one whose features, normalised and projected, are the query's content.
            tokens = model.query_selection.enc_output(selection.memory)[0]
        for query, wanted in zip(pairs.query.tolist(), pairs.target.tolist(), strict=True):
            token = int((tokens - selection.content[0, query]).abs().sum(1).argmin())
            assert row[token] == wanted
    assert not model.query_selection.topk_indices._forward_hooks


def test_the_caption_says_what_was_measured(result: Result):
    text = caption(result)
    assert "nano at 192 px, trained twice from the same weights (seed 4) on the same 2,400 generated scenes" in text
    assert "AP on 50 held-out scenes ends at 0.500 with and 0.300 without denoising" in text
    assert "had reached the other's end after 1,600 images" in text
    assert "is 4.50 with and 7.00 without" in text
    assert "3.00 tokens per image with and 5.50 without" in text
    assert "30% and 55% of the 10.0 possible" in text
    assert "150 ms per image with and 100 ms without" in text


def test_the_caption_says_when_the_run_is_not_finished(result: Result):
    result["settings"]["images"] = 4800
    assert "on the same 2,400 generated scenes (of 4,800 planned) in the same order" in caption(result)


def test_the_caption_is_right_when_denoising_does_not_help(result: Result):
    arms = result["arms"]
    arms[ARMS[0]], arms[ARMS[1]] = arms[ARMS[1]], arms[ARMS[0]]
    assert ap_sentence(result) == (
        "AP on 50 held-out scenes ends at 0.300 with and 0.500 without denoising; the arm that ends higher had "
        "reached the other's end after 1,600 images."
    )
    arms[ARMS[1]]["evaluations"]["AP"] = [0.1, 0.2, 0.301]  # ahead, but only at the end
    assert ap_sentence(result) == "AP on 50 held-out scenes ends at 0.300 with and 0.301 without denoising."
    arms[ARMS[1]] = copy.deepcopy(arms[ARMS[0]])
    assert ap_sentence(result) == "Both end at AP 0.300 on 50 held-out scenes."
    arms[ARMS[0]]["evaluations"]["AP"][-1] = arms[ARMS[1]]["evaluations"]["AP"][-1] = None
    assert ap_sentence(result) == "Both end at AP 0.000 on 50 held-out scenes."


def test_the_table_has_a_row_for_each_epoch(result: Result):
    rows = table(result)
    assert rows["images"] == [800, 1600, 2400]
    assert rows["AP without"] == [0.1, 0.2, 0.3]
    assert rows["loss with"] == epoch_losses(result, ARMS[0]) == [8.5, 6.5, 4.5]
    assert rows["instability with"] == [None, 4.0, 2.0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_renderers_draw_the_same_curves(result: Result, theme: str):
    result["arms"][ARMS[1]]["evaluations"]["AP"][0] = None
    drawn = figure.matplotlib_figure(result, theme)
    interactive = figure.plotly_figures(result, theme)
    for chart, axes, other in zip(figure.charts(result), drawn.axes, interactive, strict=True):
        lines = axes.get_lines()
        traces: Any = other.data
        layout: Any = other.layout
        assert len(lines) == len(traces) == len(chart.curves)
        for curve, line, trace in zip(chart.curves, lines, traces, strict=True):
            assert list(np.asarray(line.get_xdata())) == list(trace.x) == curve.x
            wanted = [np.nan if value is None else value for value in curve.y]
            np.testing.assert_array_equal(np.asarray(line.get_ydata(), float), wanted)
            assert line.get_color() == trace.line.color
        styles = {(line.get_linestyle(), line.get_marker()) for line in lines}
        assert len(styles) >= 2  # the arms differ by more than the colour
        assert axes.get_xlabel() == layout.xaxis.title.text == "training images"
        assert axes.get_ylabel() == layout.yaxis.title.text == chart.unit
        assert axes.get_ylim()[1] == pytest.approx(layout.yaxis.range[1])
    assert drawn.axes[2].get_ylim()[1] == 10.0  # twice the objects of an image


def test_a_chart_of_nothing_but_zeros_has_an_axis(result: Result):
    for arm in ARMS:
        result["arms"][arm]["evaluations"] |= {"AP": [0.0] * 3, "AP50": [0.0] * 3}
    assert figure.matplotlib_figure(result).axes[1].get_ylim() == (0, 1)


def test_a_file_that_is_no_result_is_refused(tmp_path: Path):
    path = tmp_path / "denoising.json"
    with pytest.raises(InputError, match="cannot be read as a result"):
        read_result(path)
    path.write_text('{"schema": 0}')
    with pytest.raises(InputError, match="is no result of the denoising experiment"):
        read_result(path)


def test_the_committed_result_is_of_a_run_as_long_as_promised():
    result = read_result()
    assert result["epochs_done"] == result["settings"]["epochs"]
    for arm in result["arms"].values():
        assert arm["seconds"] >= 20 * 60
        assert len(arm["evaluations"]["AP"]) == len(arm["instability"]["changes"]) + 1 == result["epochs_done"]
    assert caption(result).startswith("nano at 192 px")
