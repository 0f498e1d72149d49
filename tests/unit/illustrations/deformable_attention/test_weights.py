"""The words on where a query's weight lies: layers and queries as readers count them."""

import pytest
from drawn import numbers

from rtdetr_explained.illustrations.deformable_attention import weights
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("compare", [None, 8])
def test_the_caption_counts_layers_from_one_and_names_the_queries(
    trace: Trace, layer: int, compare: int | None
) -> None:
    view = weights.view(choose(trace, query=3, layer=layer, compare=compare))
    written = numbers(weights.caption(view))
    shares = [f"{100 * share.max():.0f}%" for share in view.by_level]
    queries = [3] if compare is None else [3, 8]
    expected = [str(layer + 1)]
    for query, share in zip(queries, shares, strict=True):
        expected += [str(query), share]
    assert written == expected
