"""The payload of the sampling canvas: read back as a browser does, it must give the trace's own numbers."""

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from payloads import unpack
from PIL import Image

from app.components.payload import read_header
from app.components.sampling_canvas.payload import pack
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.colors import LEVEL_COLORS
from rtdetr_explained.illustrations.deformable_attention.points import by_weight
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


def read(payload: bytes) -> tuple[dict, bytes, dict[str, np.ndarray]]:
    """Header, photo and arrays, by the words of the module's docstring."""
    header, sections = unpack(payload)
    stream = zlib.decompress(sections["arrays"])
    arrays = {}
    for name, place in header["arrays"].items():
        count = int(np.prod(place["shape"]))
        part = stream[place["start"] :]
        if place["type"] == "f4":
            values = np.frombuffer(part[: 4 * count], "<f4")
        else:  # two planes of bytes
            planes = np.frombuffer(part[: 2 * count], np.uint8).reshape(2, count)
            values = np.frombuffer(planes.T.tobytes(), "<" + place["type"])
        arrays[name] = values.reshape(place["shape"])
    return header, sections["photo"], arrays


def places(header: dict, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Locations in 0..1 and weights, computed as the browser does."""
    boxes = arrays["reference_boxes"][:, :, None, None]
    scale = np.repeat(1 / np.array(header["num_points"]), header["num_points"])[:, None]
    offsets = arrays["offsets"] * header["offset_step"]
    locations = boxes[..., :2] + offsets * scale * boxes[..., 2:] * header["offset_scale"]
    return locations, arrays["weights"] * header["weight_step"]


def stacked(trace: Trace, site: str) -> np.ndarray:
    """A site of all layers."""
    return np.stack([trace[f"decoder.layers.{i}.{site}"].array for i in range(trace.num_layers)])


def test_points_weights_and_boxes_come_back_as_the_model_had_them(trace: Trace):
    header, _, arrays = read(pack(trace))
    locations, weights = places(header, arrays)

    error_px = np.abs(locations - stacked(trace, "cross_attn.sampling_locations")) * 640
    assert error_px.max() < 0.1
    assert np.abs(weights - stacked(trace, "cross_attn.weights")).max() <= 0.51e-4
    raw = stacked(trace, "cross_attn.offsets").astype(np.float32)
    assert np.abs(arrays["offsets"] * header["offset_step"] - raw).max() < 0.005
    np.testing.assert_array_equal(arrays["reference_boxes"], stacked(trace, "reference_boxes"))
    np.testing.assert_array_equal(arrays["boxes"], trace.boxes)
    np.testing.assert_array_equal(arrays["scores"], trace.scores)
    np.testing.assert_array_equal(arrays["labels"], trace.labels)


def test_the_browser_finds_the_order_by_weight_that_the_page_tells(trace: Trace):
    site = "decoder.layers.1.cross_attn.weights"
    near = trace[site].array.copy()
    near[:10] = 1 / 9 + np.random.default_rng(0).normal(0, 1e-7, near[:10].shape)  # as good as equal, as if untrained
    near[0, 2, :3] = [0.2, 0.2001, 0.20013]
    alike = replace(trace, values=trace.values | {site: near.astype(np.float32)})
    _, _, arrays = read(pack(alike))
    for query in range(20):
        steps = arrays["weights"][1, query].ravel().astype(int).tolist()
        order = sorted(range(len(steps)), key=lambda i: (-steps[i], i))
        assert by_weight(choose(alike, query=query, layer=1)).tolist() == order
    assert by_weight(choose(alike, query=0, layer=1))[:3].tolist() == [19, 20, 18]


def test_header_says_what_the_numbers_are_about(trace: Trace):
    header, photo, arrays = read(pack(trace))
    assert header["image_size"] == list(trace.image_size)
    assert header["class_names"] == list(trace.class_names)
    assert header["num_points"] == [2, 4, 3]
    assert [(level["rows"], level["columns"]) for level in header["levels"]] == trace.map_sizes
    assert [level["color"] for level in header["levels"]] == list(LEVEL_COLORS)
    assert len({level["marker"] for level in header["levels"]}) == 3
    assert header["discrete"] is False
    assert arrays["weights"].shape == (trace.num_layers, 20, 4, 9)
    assert Image.open(io.BytesIO(photo), formats=("JPEG",)).size == trace.photo.size


def test_a_moved_point_is_packed_where_it_lies(detector: Detector, trace: Trace):
    moved = detector.rerun(trace, [edits.move_point(layer=1, query=3, head=2, level=1, point=1, dx=0.25, dy=-0.125)])
    header, _, arrays = read(pack(moved))
    locations, _ = places(header, arrays)
    before = trace["decoder.layers.1.cross_attn.sampling_locations"].array[3, 2, 3]
    np.testing.assert_allclose(locations[1, 3, 2, 3], before + [0.25, -0.125], atol=2e-4)


def test_a_dropped_point_has_no_weight_and_discrete_sampling_is_known(detector: Detector, trace: Trace):
    changes = [edits.drop_point(layer=0, query=5, head=1, level=0, point=0), edits.set_sampling("discrete")]
    header, _, arrays = read(pack(detector.rerun(trace, changes)))
    assert header["discrete"] is True
    assert arrays["weights"][0, 5, 1, 0] == 0


def test_offsets_beyond_the_range_of_fine_steps_get_coarser_ones(trace: Trace):
    site = "decoder.layers.0.cross_attn.sampling_locations"
    far = trace.values[site].copy()
    far[2, 0, 0] += 100 * trace["decoder.layers.0.reference_boxes"].array[2, 2:]
    header, _, arrays = read(pack(replace(trace, values=trace.values | {site: far})))
    locations, _ = places(header, arrays)
    assert header["offset_step"] > 1 / 512
    np.testing.assert_allclose(locations[0, 2, 0, 0], far[2, 0, 0], rtol=1e-3)


@pytest.mark.parametrize("layers", [3, 6])
def test_all_layers_of_the_largest_models_fit_into_a_megabyte(trace: Trace, layers: int):
    random = np.random.default_rng(0)
    values, shape = dict(trace.values), (300, 8, 12)
    offsets = random.normal(0, 2.5, (layers, *shape, 2)).astype(np.float32)
    boxes = random.uniform(0.1, 0.6, (layers, 300, 4)).astype(np.float32)
    reach = boxes[:, :, None, None, 2:] / 4 * 0.5
    logits = random.normal(0, 1.5, (layers, *shape))
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    infos = dict(trace.site_infos)
    for i in range(layers):
        site, known = f"decoder.layers.{i}.", "decoder.layers.0."
        values[site + "reference_boxes"] = boxes[i]
        values[site + "cross_attn.offsets"] = offsets[i].astype(np.float16)
        values[site + "cross_attn.sampling_locations"] = boxes[i, :, None, None, :2] + offsets[i] * reach[i]
        values[site + "cross_attn.weights"] = weights[i].astype(np.float32)
        infos.update({name.replace(known, site): info for name, info in trace.site_infos.items() if known in name})
    values |= {"decoder.boxes": boxes[-1], "decoder.logits": np.zeros((300, 80), np.float32)}
    noise = Image.fromarray(random.integers(0, 256, (300, 400, 3), dtype=np.uint8)).resize((1280, 960))
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=95)
    meta = trace.meta | {"config": trace.meta["config"] | {"num_points": [4, 4, 4], "num_heads": 8}}
    big = replace(
        trace,
        values=values,
        site_infos=infos,
        derived_values={"layer_logits": np.zeros((layers, 300, 80), np.float32)},
        photo_jpeg=buffer.getvalue(),
        meta=meta,
    )
    assert len(pack(big)) < 1_000_000


def test_the_same_trace_gives_the_same_id_and_an_edited_one_another(detector: Detector, trace: Trace):
    again = detector.rerun(trace, [])
    other = detector.rerun(trace, [edits.drop_head(0)])
    assert read_header(pack(trace))["id"] == read_header(pack(again))["id"] != read_header(pack(other))["id"]
