"""Formulas of denoising: how a true box and its class are spoilt, with the random numbers that were drawn for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtdetr_explained.formulas.formula import Formula, column, formula, lines, signed, tex
from rtdetr_explained.illustrations.denoising import DenoisingView, view
from rtdetr_explained.tracing.choice import Choice


class Draws(NamedTuple):
    """The random numbers behind a denoising pass, for M slots: of the labels (M,) and of the boxes (M, 4)."""

    chance: np.ndarray
    label: np.ndarray
    sign: np.ndarray
    amount: np.ndarray


def draw(seed: int, slots: int, num_classes: int) -> Draws:
    """The numbers that torch's generator gives on a CPU: a Mersenne twister, 24 bits of each word for a fraction."""
    twister = np.random.RandomState(seed)

    def word(*shape: int) -> np.ndarray:
        return twister.randint(0, 2**32, shape, dtype=np.uint32)

    def fraction(*shape: int) -> np.ndarray:
        return (word(*shape) & (2**24 - 1)) * 2.0**-24

    chance, label = fraction(slots), word(slots) % num_classes
    return Draws(chance, label, (word(slots, 4) % 2) * 2.0 - 1, fraction(slots, 4))


def formulas(choice: Choice) -> list[Formula]:
    """One object of the chosen group; DN-DETR (2203.01305), DINO (2203.03605), section 3.3. Raises InputError."""
    trace, config = choice.trace, choice.config
    data = view(choice)
    drawn = draw(trace.meta["seed"], data.num_denoising, len(trace.class_names))
    G = len(data.names)
    positive = 2 * G * choice.group
    target = np.array(data.targets[0], np.float64)
    lam = config["box_noise_scale"]
    return [
        _box("positive", target, drawn, positive, lam, choice),
        _box("negative", target, drawn, positive + G, lam, choice),
        _label(drawn, positive, choice),
        _overlap(data, target),
    ]


def _box(kind: str, target: np.ndarray, drawn: Draws, slot: int, scale: float, choice: Choice) -> Formula:
    """The noised corners of the first object, as a positive or as a negative query."""
    negative = float(kind == "negative")
    half = np.tile(target[2:], 2) / 2
    corners = np.tile(target[:2], 2) + half * [-1, -1, 1, 1]
    shift = drawn.sign[slot] * (drawn.amount[slot] + negative)
    moved = np.clip(corners + shift * half * scale, 0, 1)
    box = np.concatenate([(moved[:2] + moved[2:]) / 2, moved[2:] - moved[:2]])
    reach = "half to one whole side" if negative else "at most half a side"
    sign = column([f"{int(s):+d}" for s in drawn.sign[slot]])
    amounts = column(drawn.amount[slot] + negative)
    return formula(
        f"A {kind} query: each corner moves by {reach}",
        lines(
            rf"k' = \mathrm{{clip}}_{{[0, 1]}} \big( k + \lambda\, s\, {'(1 + u)' if negative else 'u'} \cdot \tfrac12 "
            r"(w, h, w, h) \big)",
            r"u \in [0, 1), \qquad s \in \{-1, 1\}",
        ),
        lines(
            rf"k' = \mathrm{{clip}} \left( {column(corners)} + {tex(scale)} \cdot {sign} \odot {amounts} \odot "
            rf"{column(half)} \right)",
            rf"= {column(moved)}",
        ),
        {
            "k": "corners of the first object's true box: " + r"left, top, right, bottom in parts of the image",
            "w, h": f"its width and height, {target[2]:.4f} and {target[3]:.4f}",
            r"\lambda": f"box noise scale of the training recipe: {scale:g}",
            "s, u": f"signs and amounts, drawn with seed {choice.trace.meta['seed']} for noised query {slot}",
        },
        box,
        choice.values("denoising.noised_boxes")[slot],
        f"denoising.noised_boxes, query {slot}, as centre and size",
        note="The draws are repeated from the seed, as a CPU makes them; a pass on a GPU draws others.",
    )


def _label(drawn: Draws, slot: int, choice: Choice) -> Formula:
    """The class the first object's positive query is given: its own, or with some probability a random one."""
    trace = choice.trace
    facts = trace.meta["denoising"]
    true = facts["targets"]["labels"][0]
    limit = choice.config["label_noise_ratio"] / 2
    chance = float(drawn.chance[slot])
    given = int(drawn.label[slot]) if chance < limit else true
    truth = np.tile(np.array(facts["targets"]["labels"]), 2 * facts["num_groups"])
    wrong = int((trace["denoising.labels"].array != truth).sum())
    relation, outcome = ("<", "a random class") if chance < limit else (r"\geq", "its own class")
    return formula(
        "The class it is given",
        r"c' = \begin{cases} \text{a random class} & u < \tfrac12 \rho \\ c & \text{otherwise} \end{cases}",
        lines(
            rf"u = {tex(chance)} {relation} {tex(limit)} = \tfrac12 \cdot {tex(2 * limit)}",
            rf"\Rightarrow \quad c' = \text{{{outcome}}} = {given}",
        ),
        {
            "c": f"true class of the first object: {true}, {trace.class_names[true]}",
            "c'": f"class its positive query is given: {given}, {trace.class_names[given]}",
            r"\rho": f"label noise ratio: {2 * limit:g}, so that a quarter of all labels is drawn anew if it is 0.5",
            "u": f"a number in [0, 1) for each query; of {len(truth)} labels {wrong} are wrong in this pass",
        },
        given,
        int(trace["denoising.labels"].array[slot]),
        f"denoising.labels, query {slot}",
    )


def _overlap(data: DenoisingView, target: np.ndarray) -> Formula:
    """How well the decoder repaired the first object's positive query."""
    repaired = data.repaired[0].astype(np.float64)
    corners = [np.concatenate([b[:2] - b[2:] / 2, b[:2] + b[2:] / 2]) for b in (repaired, target)]
    sides = np.minimum(corners[0][2:], corners[1][2:]) - np.maximum(corners[0][:2], corners[1][:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    areas = [float(b[2] * b[3]) for b in (repaired, target)]
    result = shared / max(sum(areas) - shared, 1e-12)
    return formula(
        "How well it is repaired: intersection over union",
        r"\mathrm{IoU}(b, t) = \frac{|b \cap t|}{|b| + |t| - |b \cap t|}",
        rf"\mathrm{{IoU}} = \frac{{{tex(shared)}}}{{{tex(areas[0])} {signed(areas[1])} {signed(-shared)}}} = "
        rf"{tex(result)}",
        {
            "b": "box of the first object's positive query after the last layer",
            "t": "its true box",
            "|b|": f"area in parts of the image; before the repair the IoU was {data.iou_before[0]:.3f}",
        },
        result,
        data.iou_after[0],
        "the overlap in the figure",
    )
