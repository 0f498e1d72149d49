"""What a layer's cross-attention read from, run again for a trace that did not keep it."""

import numpy as np
import pytest
from random_models import random_model, random_photo

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector, read_layer
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.trace import Trace

SMALL = random_photo(100, 150)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_small_trace_gives_what_a_full_one_holds(detector: Detector, trace: Trace, layer: int) -> None:
    reading = read_layer(detector, detector.trace(SMALL), layer)
    site = trace[f"decoder.layers.{layer}.cross_attn"]
    assert reading.layer == layer
    for name in ("value", "offsets", "output"):
        np.testing.assert_array_equal(getattr(reading, name), getattr(site, name).array)
        assert getattr(reading, name).dtype == np.float32


@pytest.mark.parametrize(
    "edit", [edits.set_sampling("discrete"), edits.drop_head(1, 0), edits.set_queries(12), edits.drop_query(3)]
)
def test_the_edits_of_a_trace_stay_in_force(detector: Detector, trace: Trace, edit: edits.Edit) -> None:
    edited = detector.rerun(trace, [edit])
    reading = read_layer(detector, edited, 1)
    np.testing.assert_array_equal(reading.output, edited["decoder.layers.1.cross_attn.output"].array)


def test_the_projection_is_the_layers_own(detector: Detector, trace: Trace) -> None:
    reading = read_layer(detector, trace, 2)
    own = detector.model.get_submodule("decoder.layers.2.cross_attn.output_proj")
    np.testing.assert_array_equal(reading.projection, own.get_parameter("weight").numpy())
    np.testing.assert_array_equal(reading.bias, own.get_parameter("bias").numpy())


def test_layers_and_weights_that_do_not_fit_are_refused(detector: Detector, trace: Trace) -> None:
    for layer in (-1, 3):
        with pytest.raises(InputError, match="There is no layer"):
            read_layer(detector, trace, layer)
    with pytest.raises(InputError, match="other weights"):
        read_layer(Detector(random_model(seed=1)), trace, 0)


def test_a_rerun_can_keep_other_sites(detector: Detector, trace: Trace) -> None:
    site = "decoder.layers.0.cross_attn.value"
    small = detector.trace(SMALL)
    again = detector.rerun(small, [], sites=site)
    assert site in again
    assert site not in small
    assert "decoder.layers.0.cross_attn.weights" not in again
    np.testing.assert_array_equal(again[site].array, trace[site].array)
    np.testing.assert_array_equal(again.logits, small.logits)
    assert again.meta["sites"] == site
    assert site in detector.rerun(again, [])
    with pytest.raises(KeyError, match="no site"):
        detector.rerun(small, [], sites="decoder.layers.0.cross_attn.vlaue")


def test_weights_are_copies(detector: Detector) -> None:
    name = "decoder.layers.0.cross_attn.output_proj"
    detector.weights_of(name)["bias"][:] = 7
    assert not (detector.weights_of(name)["bias"] == 7).any()
