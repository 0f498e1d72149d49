"""The formulas of the decoder: which layer, head and partner they name."""

import numpy as np
import pytest
from drawn import numbers

from rtdetr_explained.formulas import formulas
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


@pytest.mark.parametrize("layer", [0, 2])
def test_titles_count_layers_from_one(trace: Trace, layer: int) -> None:
    made = formulas("decoder", choose(trace, query=4, layer=layer))
    assert [numbers(one.title) for one in made] == [[str(layer + 1)]] * 3


def test_the_partner_is_the_other_query_with_the_greatest_weight(trace: Trace) -> None:
    row = trace["decoder.layers.1.self_attn.weights"].array[2, 4].astype(float)
    row[4] = -1
    attention = formulas("decoder", choose(trace, query=4, layer=1, head=2))[0]
    assert numbers(dict(attention.where)["q, j"]) == ["4", str(row.argmax())]
    assert attention.source.endswith("layers.1.self_attn.weights, head 2")


def test_a_layers_own_score_is_told(trace: Trace) -> None:
    label = trace.labels[4]
    for layer in range(3):
        score = formulas("decoder", choose(trace, query=4, layer=layer))[-1]
        np.testing.assert_allclose(score.computed, trace.derived.layer_scores[layer, 4, label], rtol=1e-5)
