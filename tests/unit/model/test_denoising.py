from dataclasses import replace

import numpy as np
import pytest
import torch
from random_models import TINY, random_images, random_model, run
from torch import Tensor

from rtdetr_explained.model.denoising import Denoising, DenoisingQueries, blocked_pairs

CONFIG = replace(TINY, num_denoising=100)
Target = dict[str, Tensor]


def target(num_objects: int, seed: int = 0) -> Target:
    generator = torch.Generator().manual_seed(seed)
    center = torch.rand(num_objects, 2, generator=generator) * 0.2 + 0.4
    size = torch.rand(num_objects, 2, generator=generator) * 0.1 + 0.1
    labels = torch.randint(0, 5, (num_objects,), generator=generator)
    return {"labels": labels, "boxes": torch.cat([center, size], 1)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def denoise(config=CONFIG, *, targets: list[Target], seed: int = 0) -> tuple[DenoisingQueries, dict[str, Tensor]]:
    torch.manual_seed(0)
    module = Denoising(config)
    seen: dict[str, Tensor] = {}
    for name in ("labels", "noised_boxes"):
        module.get_submodule(name).register_forward_hook(lambda m, i, output, name=name: seen.update({name: output}))
    with torch.no_grad():
        return module(targets, 20, seeded(seed)), seen


def test_groups_of_the_example_in_the_reference() -> None:
    queries, _ = denoise(targets=[target(3), target(1)])
    assert queries.meta["dn_num_group"] == 33
    assert queries.meta["dn_num_split"] == [198, 20]
    first, second = queries.meta["dn_positive_idx"]
    assert first.tolist() == [6 * group + i for group in range(33) for i in range(3)]
    assert first[:6].tolist() == [0, 1, 2, 6, 7, 8]
    assert second.tolist() == [6 * group for group in range(33)]
    assert queries.content.shape == (2, 198, 24)
    assert queries.reference_boxes.shape == (2, 198, 4)
    groups = torch.block_diag(*[torch.ones(6, 6)] * 33).bool()  # three positives and three negatives see each other
    assert torch.equal(queries.blocked[:198, :198], ~groups)
    assert queries.blocked.shape == (218, 218)


@pytest.mark.parametrize(("objects", "groups"), [(1, 100), (50, 2), (100, 1), (130, 1)])
def test_number_of_groups(objects: int, groups: int) -> None:
    queries, _ = denoise(targets=[target(objects)])
    assert queries.meta["dn_num_group"] == groups
    assert queries.content.shape[1] == 2 * objects * groups


@pytest.mark.parametrize("targets", [[target(0)], [target(0), target(0)]])
def test_without_any_object_one_dummy_pair_keeps_the_shapes(targets: list[Target]) -> None:
    queries, seen = denoise(targets=targets)
    assert queries.meta["dn_num_split"] == [2, 20]
    assert queries.meta["dn_num_group"] == 1
    assert [len(index) for index in queries.meta["dn_positive_idx"]] == [0] * len(targets)
    assert not queries.content.any()  # the padding row of the embedding
    assert (seen["labels"] == 5).all()
    assert queries.reference_boxes.isfinite().all()


def test_an_image_without_objects_beside_one_with() -> None:
    queries, seen = denoise(targets=[target(2), target(0)])
    assert len(queries.meta["dn_positive_idx"][1]) == 0
    assert not queries.content[1].any()
    assert (seen["labels"][1] == 5).all()
    assert (seen["labels"][0] < 5).all()


def test_a_quarter_of_the_labels_changes_and_padding_never_does() -> None:
    config = replace(CONFIG, num_denoising=4000, class_names=tuple(map(str, range(1000))))
    queries, seen = denoise(config, targets=[target(2), target(1)])
    given = target(2)["labels"].repeat(4000)
    changed = (seen["labels"][0] != given).float().mean()
    assert 0.23 < changed < 0.27
    slot = torch.arange(8000) % 2
    assert (seen["labels"][1, slot == 1] == 1000).all()
    assert queries.content[1, slot == 1].eq(0).all()
    _, seen = denoise(replace(config, label_noise_ratio=0.0), targets=[target(2)])
    assert torch.equal(seen["labels"][0], given)


def test_positives_stay_near_and_negatives_go_further() -> None:
    objects = target(1)
    _, seen = denoise(replace(CONFIG, num_denoising=500), targets=[objects])
    center, size = objects["boxes"][0].split(2)
    corners = torch.cat([center - size / 2, center + size / 2])
    noised = seen["noised_boxes"][0]
    moved_corners = torch.cat([noised[:, :2] - noised[:, 2:] / 2, noised[:, :2] + noised[:, 2:] / 2], 1)
    moved = (moved_corners - corners).abs() / (size / 2).repeat(2)  # in half widths and heights
    positive, negative = moved[0::2], moved[1::2]
    assert positive.max() <= 1 + 1e-4
    assert negative.min() >= 1 - 1e-4
    assert negative.max() <= 2 + 1e-4
    for part in (positive, negative - 1):
        assert part.min() < 0.05
        assert part.max() > 0.95
        assert (moved_corners > corners).float().mean(0).sub(0.5).abs().max() < 0.06  # both directions
    _, seen = denoise(replace(CONFIG, box_noise_scale=0.0), targets=[objects])
    assert torch.equal(seen["noised_boxes"][0, 0], objects["boxes"][0])


def test_noised_boxes_stay_inside_the_image_and_references_off_its_ends() -> None:
    edge = {"labels": torch.tensor([0]), "boxes": torch.tensor([[0.05, 0.95, 0.1, 0.1]])}
    queries, seen = denoise(targets=[edge])
    box = seen["noised_boxes"][0]
    corners = torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1)
    assert corners.min() >= -1e-6
    assert corners.max() <= 1 + 1e-6
    assert (box[:, 2:] < 0).any()  # crossed corners of a negative: kept, and then counted as nearly no size
    assert queries.reference_boxes.min() >= 0.9e-5
    torch.testing.assert_close(queries.reference_boxes[0], box.clamp(1e-5, 1 - 1e-5), atol=1e-5, rtol=0)


def test_content_is_the_embedding_of_the_noised_label() -> None:
    torch.manual_seed(0)
    embedding = Denoising(CONFIG).class_embed.weight
    queries, seen = denoise(targets=[target(3)])
    assert torch.equal(queries.content, embedding[seen["labels"]])
    assert not embedding[5].any()


def test_the_same_generator_gives_the_same_noise() -> None:
    (first, _), (again, _), (other, _) = (denoise(targets=[target(3)], seed=seed) for seed in (7, 7, 8))
    assert torch.equal(first.reference_boxes, again.reference_boxes)
    assert torch.equal(first.content, again.content)
    assert not torch.equal(first.reference_boxes, other.reference_boxes)


def test_random_numbers_are_drawn_in_the_order_of_the_reference() -> None:
    objects, generator = target(2), seeded(3)
    _, seen = denoise(targets=[objects], seed=3)
    M = 200
    chosen = torch.rand(1, M, generator=generator) < 0.25
    random_labels = torch.randint(0, 5, (1, M), generator=generator)
    sign = torch.randint(0, 2, (1, M, 4), generator=generator) * 2 - 1
    amount = torch.rand(1, M, 4, generator=generator)
    amount[:, torch.arange(M) // 2 % 2 == 1] += 1
    labels = torch.where(chosen, random_labels, objects["labels"].repeat(100))
    assert torch.equal(seen["labels"], labels)
    center, size = objects["boxes"].repeat(100, 1).split(2, 1)
    corners = torch.cat([center - size / 2, center + size / 2], 1)
    corners = (corners + sign[0] * amount[0] * torch.cat([size, size], 1) / 2).clamp(0, 1)
    expected = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    torch.testing.assert_close(seen["noised_boxes"][0], expected, atol=1e-6, rtol=0)


def test_who_may_look_at_whom() -> None:
    blocked = blocked_pairs(torch.tensor([0, 0, 1, 1]), 2).int().tolist()
    assert blocked == [
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
    ]


def test_nothing_leaks_out_of_a_denoising_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change content and boxes of group 1 alone: neither the matching queries nor another group may notice."""
    model = random_model(replace(TINY, num_denoising=12)).train()
    images, targets = random_images(2, 96, 128), [target(3), target(2, seed=1)]
    for module in model.modules():  # statistics of a batch would carry nothing, but keep the runs identical
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    original = Denoising.forward

    def outputs(disturb: slice) -> dict:
        def forward(self: Denoising, *arguments: object) -> DenoisingQueries:
            queries = original(self, targets, 20, seeded())
            content, boxes = queries.content.clone(), queries.reference_boxes.clone()
            content[:, disturb] += 3
            boxes[:, disturb] = 1 - boxes[:, disturb]
            return queries._replace(content=content, reference_boxes=boxes)

        monkeypatch.setattr(Denoising, "forward", forward)
        return run(model, images, targets=targets)

    calm, disturbed = outputs(slice(0, 0)), outputs(slice(6, 12))  # groups of six
    assert calm["dn_meta"]["dn_num_group"] == 4
    for before, after in zip([calm, *calm["aux_outputs"]], [disturbed, *disturbed["aux_outputs"]], strict=True):
        assert torch.equal(before["pred_logits"], after["pred_logits"])
        assert torch.equal(before["pred_boxes"], after["pred_boxes"])
    others = np.r_[0:6, 12:24]
    for before, after in zip(calm["dn_aux_outputs"], disturbed["dn_aux_outputs"], strict=True):
        assert torch.equal(before["pred_logits"][:, others], after["pred_logits"][:, others])
        assert torch.equal(before["pred_boxes"][:, others], after["pred_boxes"][:, others])
        assert (before["pred_logits"][:, 6:12] != after["pred_logits"][:, 6:12]).any(-1).all()


def test_denoising_queries_do_not_change_what_the_matching_ones_find() -> None:
    model = random_model()
    images = random_images(2, 96, 128)
    alone, along = run(model, images), run(model, images, targets=[target(3), target(1)])
    torch.testing.assert_close(along["pred_logits"], alone["pred_logits"], atol=1e-4, rtol=0)
    torch.testing.assert_close(along["pred_boxes"], alone["pred_boxes"], atol=1e-5, rtol=0)
