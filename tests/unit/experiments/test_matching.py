"""The instability of the matching, by hand."""

import numpy as np
import torch
from tiny_model import TINY

from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.experiments.matching import NONE, instability, matched_objects, objects_per_image
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.matcher import Prediction, match


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
