"""The result of the denoising experiment: instability by hand, captions for every outcome, figures, the real run."""

import copy
from pathlib import Path

import pytest

from rtdetr_explained.errors import InputError
from rtdetr_explained.experiments.result import ARMS, Result, ap_sentence, caption, epoch_losses, read_result, table


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
