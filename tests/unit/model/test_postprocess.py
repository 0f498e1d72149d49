import torch

from rtdetr_explained.model.postprocess import postprocess


def test_boxes_are_scaled_by_width_and_height_of_the_original_image() -> None:
    outputs = {
        "pred_logits": torch.tensor([[[0.0, -5.0], [2.0, -6.0]]]),  # B Q C
        "pred_boxes": torch.tensor([[[0.5, 0.5, 0.2, 0.4], [0.1, 0.9, 0.4, 0.4]]]),
    }
    (found,) = postprocess(outputs, [(200, 50)])  # 200 wide, 50 high
    assert found["queries"].tolist() == [1, 0]
    assert found["labels"].tolist() == [0, 0]
    torch.testing.assert_close(found["scores"], torch.tensor([2.0, 0.0]).sigmoid())
    # Not clipped: the first box leaves the image on the left and at the bottom.
    torch.testing.assert_close(found["boxes_px"], torch.tensor([[-20.0, 35, 60, 55], [80.0, 15, 120, 35]]))


def test_one_query_may_give_several_labels_and_another_none() -> None:
    logits = torch.tensor([[[3.0, 1.0, 2.0], [-3.0, -2.0, 0.0]]])
    boxes = torch.tensor([[[0.5, 0.5, 0.5, 0.5], [0.2, 0.2, 0.1, 0.1]]])
    (found,) = postprocess({"pred_logits": logits, "pred_boxes": boxes}, [(10, 10)])
    assert found["queries"].tolist() == [0, 0]
    assert found["labels"].tolist() == [0, 2]
    assert torch.equal(found["boxes_px"][0], found["boxes_px"][1])


def test_number_returned_is_that_of_the_queries_unless_asked_for() -> None:
    torch.manual_seed(0)
    outputs = {"pred_logits": torch.randn(1, 4, 3), "pred_boxes": torch.rand(1, 4, 4)}
    sizes = [(10, 10)]
    counts = [len(postprocess(outputs, sizes, top)[0]["scores"]) for top in (None, 2, 12, 100)]
    assert counts == [4, 2, 12, 12]
    every = postprocess(outputs, sizes, 12)[0]
    assert (every["scores"].diff() <= 0).all()
    assert sorted((every["queries"] * 3 + every["labels"]).tolist()) == list(range(12))


def test_each_image_of_a_batch_has_its_own_size() -> None:
    outputs = {"pred_logits": torch.zeros(2, 1, 1), "pred_boxes": torch.tensor([[[0.5, 0.5, 1.0, 1.0]]] * 2)}
    first, second = postprocess(outputs, [(30, 20), (7, 5)])
    assert first["boxes_px"].tolist() == [[0, 0, 30, 20]]
    assert second["boxes_px"].tolist() == [[0, 0, 7, 5]]
