"""Formulas with numbers: what is computed again must be what the trace holds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rtdetr_explained.errors import InputError
from rtdetr_explained.formulas import formulas
from rtdetr_explained.formulas.denoising import draw
from rtdetr_explained.formulas.formula import column, formula, logit, sigmoid64, signed, tex, words
from rtdetr_explained.illustrations.deformable_attention.view import view as sampling_view
from rtdetr_explained.illustrations.query_selection import view as query_selection
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.sites import STAGES


@pytest.fixture(scope="module")
def noised(detector, trace):
    """A denoising pass over three objects, one of them at the border."""
    boxes = np.array([[0.3, 0.4, 0.2, 0.3], [0.95, 0.5, 0.1, 0.9], [0.5, 0.5, 0.02, 0.02]], np.float32)
    return detector.trace_denoising(trace, boxes, np.array([1, 4, 0]), seed=11)


@pytest.fixture(scope="module")
def plain(detector):
    """The same kind of trace as the app's: large maps in half precision, no values of the cross-attention."""
    from random_models import random_photo

    return detector.trace(random_photo(100, 150))


def found(slug, trace, noised, **choice):
    return formulas(slug, choose(noised if slug == "denoising" else trace, **choice))


@pytest.mark.parametrize("slug", STAGES)
@pytest.mark.parametrize("query", [0, 7, 19])
@pytest.mark.parametrize("layer", [0, 2])
def test_computed_numbers_are_the_traces_own(slug, query, layer, trace, plain, noised):
    for kept in (trace, plain):
        made = found(slug, kept, noised, query=query, layer=layer)
        assert len(made) >= 2
        for one in made:
            assert one.computed.shape == one.traced.shape
            assert np.isfinite(one.computed).all()
            assert one.agrees, (one.title, one.error, one.tolerance)
            assert one.tolerance <= 2e-3 * max(1, np.abs(one.traced).max())


@pytest.mark.parametrize("head", [0, 3])
@pytest.mark.parametrize("point", [0, 10, 26, 35])
def test_any_head_and_point_agree(head, point, trace):
    for slug in ("aifi", "decoder", "deformable_attention"):
        for one in formulas(slug, choose(trace, query=4, head=head, point=point)):
            assert one.agrees, (slug, one.title, one.error)


def test_the_point_that_is_selected_is_the_one_shown(trace):
    titles = [
        one.title for one in formulas("deformable_attention", choose(trace, point=9 + 6))
    ]  # 9 points a head: 2, 4, 3
    assert titles[0] == "Where point 0 of head 1 on S5 lies"
    heaviest = trace["decoder.layers.2.cross_attn.weights"].array[3, 2].argmax()
    level = np.searchsorted([2, 6, 9], heaviest, side="right")
    first = formulas("deformable_attention", choose(trace, query=3, head=2))[0]
    assert f"head 2 on S{level + 3}" in first.title


def test_formulas_write_about_the_point_that_the_figure_shows(trace):
    chosen: tuple[dict[str, Any], ...] = (
        {"query": 3, "level": 2},
        {"query": 3, "head": 1, "level": 1},
        {"query": 3, "head": 1, "level": 1, "point": 9 + 4},
        {"query": 3, "head": 1, "level": 1, "point": 4},  # of another head
        {"query": 3, "level": 0, "point": 9 + 4},  # of another level
    )
    for choice in chosen:
        chain = sampling_view(choose(trace, **choice)).chain
        title = f"Where point {chain.point} of head {chain.head} on S{chain.level + 3} lies"
        assert formulas("deformable_attention", choose(trace, **choice))[0].title == title


def test_what_a_point_reads_needs_the_values(trace, plain):
    assert (
        len(formulas("deformable_attention", choose(trace))) == len(formulas("deformable_attention", choose(plain))) + 1
    )


def test_a_weight_lost_in_half_precision_is_not_explained(plain):
    site = "hybrid_encoder.aifi.layers.0.self_attn.weights"
    one_hot = np.zeros_like(plain[site].array)
    one_hot[..., 3] = 1
    made = formulas("aifi", choose(replace(plain, values=plain.values | {site: one_hot})))
    assert [one.agrees for one in made] == [True, True]


def test_an_edited_number_is_noticed(trace):
    site = "decoder.layers.2.cross_attn.sampling_locations"
    changed = replace(trace, values=trace.values | {site: trace[site].array + np.float32(0.01)})
    place = formulas("deformable_attention", choose(changed))[0]
    assert not place.agrees
    assert place.error == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    ("slug", "index", "site"),
    [
        ("overview", 0, "decoder.logits"),
        ("overview", 1, "decoder.boxes"),
        ("aifi", 0, "hybrid_encoder.aifi.position"),
        ("query_selection", 0, "query_selection.anchors"),
        ("decoder", 1, "decoder.layers.2.boxes"),
    ],
)
def test_both_sides_of_a_formula_are_not_the_same_number(slug, index, site, trace):
    """Where the trace's own number is changed alone, the formula must differ from it or follow it, never both sides."""
    choice = choose(trace, query=6)
    before = formulas(slug, choice)[index]
    changed = replace(trace, values=trace.values | {site: trace[site].array * np.float32(1.25) + np.float32(0.1)})
    after = formulas(slug, choose(changed, query=6))[index]
    assert before.agrees
    assert not np.allclose(after.traced, before.traced)
    if site in ("hybrid_encoder.aifi.position", "query_selection.anchors"):  # follows from the place of the cell alone
        np.testing.assert_array_equal(after.computed, before.computed)
        assert not after.agrees


def test_a_map_twice_as_large_is_written_side_by_side(trace):
    (h4, w4), (h5, w5) = trace.map_sizes[1:]
    numbers = formulas("ccff", choose(trace))[0].numbers
    assert rf"2 \cdot {h5} \times 2 \cdot {w5} = {2 * h5} \times {2 * w5}" in numbers
    assert rf"2 \cdot {h4} \times 2 \cdot {w4} = {2 * h4} \times {2 * w4}" in numbers


def test_a_dropped_point_shows_in_the_sum_of_weights(detector, trace):
    again = detector.rerun(trace, [edits.drop_level(0)])
    share = formulas("deformable_attention", choose(again, point=8))[1]
    assert share.defined
    assert not share.agrees
    assert share.computed[0] < 1


def test_discrete_sampling_reads_one_cell(detector, trace):
    again = detector.rerun(trace, [edits.set_sampling("discrete")])
    made = formulas("deformable_attention", choose(again, query=2, point=30))
    assert [one.title for one in made][2:] == ["What the point reads, and what it hands on"]
    assert all(one.agrees for one in made)


def test_a_point_outside_the_image_reads_zero(detector, trace):
    move = edits.move_point(layer=2, query=5, head=0, level=1, point=1, dx=3.0, dy=0.0)
    again = detector.rerun(trace, [move])
    _, _, cells, read = formulas("deformable_attention", choose(again, query=5, point=3))
    assert "outside" in dict(cells.where)["b"]
    assert np.array_equal(read.computed, np.zeros_like(read.computed))
    assert read.agrees


def test_queries_chosen_as_pairs_need_no_rank(detector, trace):
    again = detector.rerun(trace, [edits.set_queries(120), edits.set_selection("one2many")])
    tokens = again.token_indices.tolist()
    assert len(set(tokens)) < len(tokens)
    for query in (3, 119):
        made = formulas("query_selection", choose(again, query=query))
        assert all(one.agrees for one in made)
        assert len(made[1].computed) == 1


def test_the_rank_is_that_of_the_figure(trace):
    rank = formulas("query_selection", choose(trace, query=6))[1]
    assert rank.computed[1] == rank.traced[1] == query_selection.view(choose(trace, query=6)).rank == 7
    assert r"\mathrm{rank} = 7" in rank.numbers


def test_an_anchor_at_the_border_is_explained(trace):
    anchors = trace["query_selection.anchors"].array.copy()
    anchors[trace.token_indices[0]] = np.inf
    changed = replace(trace, values=trace.values | {"query_selection.anchors": anchors})
    made = formulas("query_selection", choose(changed, query=0))
    assert len(made) == 2
    assert "not valid" in made[0].note
    assert made[0].agrees


def test_the_layers_scores_say_which_are_derived(trace):
    assert "derived" in formulas("decoder", choose(trace, layer=0))[-1].note
    assert formulas("decoder", choose(trace, layer=2))[-1].note == ""


def test_the_noise_is_drawn_as_torch_draws_it():
    generator = torch.Generator().manual_seed(123456)
    chance = torch.rand(40, generator=generator)
    label = torch.randint(0, 7, (40,), generator=generator)
    sign = torch.randint(0, 2, (40, 4), generator=generator) * 2 - 1
    amount = torch.rand(40, 4, generator=generator)
    drawn = draw(123456, 40, 7)
    for mine, theirs in zip(drawn, (chance, label, sign, amount), strict=True):
        assert np.array_equal(mine, theirs.numpy())


@pytest.mark.parametrize("group", [0, 1])
def test_each_group_of_denoising_has_its_own_noise(group, noised):
    made = formulas("denoising", choose(noised, group=group))
    assert all(one.agrees for one in made)
    assert f"query {6 * group}" in made[0].source
    assert f"query {6 * group + 3}" in made[1].source


@pytest.mark.parametrize(
    ("slug", "choice", "words"),
    [
        ("neck", {}, "no stage 'neck'"),
        ("decoder", {"query": 20}, "no query 20"),
        ("decoder", {"layer": 3}, "no layer 3"),
        ("aifi", {"head": 4}, "no head 4"),
        ("aifi", {"cell": 12}, "no cell 12"),
        ("deformable_attention", {"point": 36}, "no point 36"),
        ("denoising", {}, "no denoising queries"),
    ],
)
def test_what_does_not_exist_is_said(slug, choice, words, trace):
    with pytest.raises(InputError, match=words):
        formulas(slug, choose(trace, **choice))


@pytest.mark.parametrize("slug", STAGES)
def test_latex_is_well_formed(slug, trace, noised):
    for one in found(slug, trace, noised, query=1):
        for latex in (one.latex, one.numbers, *(symbol for symbol, _ in one.where)):
            assert latex.count("{") == latex.count("}")
            assert latex.count(r"\left") == latex.count(r"\right")
            assert latex.count(r"\begin") == latex.count(r"\end")
            assert not set("$%#&\n") & set(latex.replace(" &= ", " ").replace(" & ", " "))
            assert "nan" not in latex
            assert "undefined" not in latex


def test_a_class_name_cannot_break_a_formula(trace):
    config = trace.meta["config"] | {"class_names": [r"\evil{$1_2", "a", "b", "c", "d"]}
    named = replace(trace, meta=trace.meta | {"config": config})
    query = int(np.flatnonzero(named.labels == 0)[0]) if (named.labels == 0).any() else 0
    for one in formulas("overview", choose(named, query=query)):
        assert "\\evil" not in one.numbers
        assert "$" not in one.numbers


def test_numbers_are_written_for_reading():
    assert tex(0.5) == "0.5000"
    assert tex(12345) == r"12\,345"
    assert tex(-3.14159, 3) == "-3.14"
    assert tex(0) == "0"
    assert tex(1.5e-7) == r"1.500 \cdot 10^{-7}"
    assert tex(np.inf) == r"\infty"
    assert tex(-np.inf) == r"-\infty"
    assert signed(-2) == "- 2"
    assert signed(2) == "+ 2"
    assert column([1.0, r"x"]) == r"\begin{pmatrix} 1 \\ x \end{pmatrix}"
    assert words("stop sign_{x}$") == r"\text{stop sign  x  }"


def test_logit_and_sigmoid_undo_each_other():
    p = np.array([0.0001, 0.2, 0.5, 0.9])
    assert np.allclose(sigmoid64(logit(p)), p, rtol=1e-9)
    assert np.isfinite(logit([0.0, 1.0])).all()


def test_a_difference_beyond_the_tolerance_is_told():
    one = formula("t", "a", "b", {}, [1.0, 2.0], [1.0, 2.5], "site", 1e-3)
    assert one.error == 0.5
    assert one.tolerance == pytest.approx(2.5e-3)
    assert not one.agrees
