import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from random_models import random_photo
from safetensors import safe_open
from safetensors.numpy import save_file

from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.storage import digest, load_trace
from rtdetr_explained.tracing.trace import Trace


@pytest.fixture(scope="module")
def saved(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "photo.safetensors"
    detector.trace(random_photo(100, 150)).save(path)
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Manifest and arrays, to be spoilt and written again."""
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["manifest"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path: Path, manifest: Any, arrays: dict[str, np.ndarray]) -> Path:
    """A file as `save` writes it, its checksum included."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    save_file(arrays, path, {"manifest": text, "sha256": digest(text, arrays)})
    return path


def refused(path: Path) -> str:
    """The message with which a file is refused: always one sentence."""
    with pytest.raises(InputError) as caught:
        Trace.load(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def same(one: Trace, other: Trace) -> bool:
    return (
        one.same_numbers(other)
        and list(one.site_infos.items()) == list(other.site_infos.items())
        and list(one.values) == list(other.values)
        and (one.shapes, one.times_ms, one.profile) == (other.shapes, other.times_ms, other.profile)
        and (one.meta, one.photo_jpeg) == (other.meta, other.photo_jpeg)
    )


def test_a_saved_and_reloaded_trace_is_identical(detector: Detector, trace: Trace, tmp_path: Path) -> None:
    figures = detector.trace(random_photo(100, 150))
    edited = detector.rerun(figures, [edits.drop_query(4), edits.move_point(0, 2, 1, 2, 1, dx=0.1, dy=0.2)])
    denoising = detector.trace_denoising(trace, np.array([[0.5, 0.5, 0.2, 0.3]]), np.array([2]), seed=5)
    for i, original in enumerate((figures, trace, edited, denoising)):
        path = tmp_path / f"{i}.safetensors"
        original.save(path)
        loaded = Trace.load(path)
        assert same(loaded, original)
        assert loaded.detections(0.3) == original.detections(0.3)
        assert not any(loaded[name].array.flags.writeable for name in loaded)
        assert not loaded.derived.layer_logits.flags.writeable


def test_a_reloaded_trace_can_be_run_again(detector: Detector, trace: Trace, tmp_path: Path) -> None:
    edited = detector.rerun(trace, [edits.drop_query(4)])
    edited.save(tmp_path / "edited.safetensors")
    loaded = Trace.load(tmp_path / "edited.safetensors")
    assert detector.rerun(loaded, []).same_numbers(edited)
    more = [edits.drop_head(1, 2)]
    assert detector.rerun(loaded, more).same_numbers(detector.rerun(edited, more))


def test_saving_leaves_the_file_alone_and_replaces_an_older_one(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "photo.safetensors"
    path.write_text("older")
    trace.save(str(path))
    assert os.listdir(tmp_path) == ["photo.safetensors"]
    assert same(Trace.load(str(path)), trace)


def test_a_trace_may_be_read_by_whoever_may_read_other_files(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "photo.safetensors")
    (tmp_path / "ordinary").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_a_place_that_cannot_be_written_to_is_refused(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for target in (tmp_path / "missing" / "photo.safetensors", tmp_path / "taken"):
        with pytest.raises(InputError, match=f"The trace could not be written to {target}: "):
            trace.save(target)
    assert os.listdir(tmp_path) == ["taken"]


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.safetensors").startswith(f"There is no file {tmp_path / 'no.safetensors'}; give the")
    assert "is not a usable trace" in refused(tmp_path)


def test_a_truncated_file_is_refused_wherever_it_ends(saved: Path, tmp_path: Path) -> None:
    data, path = saved.read_bytes(), tmp_path / "cut.safetensors"
    header = int.from_bytes(data[:8], "little")
    lengths = [0, 1, 7, 8, 9, 100, header, header + 7, header + 8, header + 9, len(data) - 1]
    lengths += np.random.default_rng(0).integers(0, len(data), 40).tolist()
    for length in lengths:
        path.write_bytes(data[:length])
        assert refused(path) == "cut.safetensors is not a usable trace: it is cut short or no safetensors file."
    path.write_bytes(data + b"x")
    assert "is not a usable trace" in refused(path)
    path.write_bytes(data)
    assert same(load_trace(path), load_trace(saved))


def test_garbage_is_refused(tmp_path: Path) -> None:
    path, random = tmp_path / "garbage.safetensors", np.random.default_rng(1)
    for data in (
        b"{}",
        b"PK\x03\x04",
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x80\x04K\x01.",
        random.bytes(10),
        random.bytes(10_000),
    ):
        path.write_bytes(data)
        assert "is not a usable trace" in refused(path)


def test_a_damaged_file_is_refused_or_loads_equal(saved: Path, tmp_path: Path) -> None:
    """Flip one byte, at many places of the header and at some of the values: never another error or other numbers."""
    data, original, path = saved.read_bytes(), load_trace(saved), tmp_path / "damaged.safetensors"
    header = 8 + int.from_bytes(data[:8], "little")
    random = np.random.default_rng(2)
    places = np.concatenate([np.arange(8), random.integers(8, header, 250), random.integers(header, len(data), 50)])
    refusals = []
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= random.integers(1, 256)
        path.write_bytes(damaged)
        try:
            assert same(Trace.load(path), original)
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 290  # what pads the header may be flipped without harm
    for message in refusals:
        assert message.startswith("damaged.safetensors is not a usable trace: ")
        assert "\n" not in message


Spoil = Callable[[dict[str, Any], dict[str, np.ndarray]], object]


def set_meta(key: str, value: Any) -> Spoil:
    return lambda manifest, arrays: manifest["meta"].update({key: value})


def set_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """Change values, and what the manifest says of them."""

    def spoil(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
        for site in manifest["sites"]:
            if site["name"] == name:
                site["shape"], site["dtype"] = list(arrays[name].shape), str(arrays[name].dtype)

    return spoil


def set_config(**facts: Any) -> Spoil:
    return lambda manifest, arrays: manifest["meta"]["config"].update(facts)


def png() -> bytes:
    """A picture that is no JPEG."""
    file = io.BytesIO()
    Image.new("RGB", (150, 100)).save(file, "PNG")
    return file.getvalue()


def without(name: str) -> Spoil:
    """Leave a site out, in the manifest as well."""

    def spoil(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        arrays.pop(name)
        manifest["sites"] = [site for site in manifest["sites"] if site["name"] != name]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda m, a: m.update(schema=1),
            "its schema is version 1, this program reads version 2; trace the image again.",
        ),
        (lambda m, a: m.update(schema="2"), "its schema is version '2', this program reads"),
        (lambda m, a: m.pop("schema"), "its manifest is missing or malformed ('schema')"),
        (lambda m, a: m.pop("meta"), "its manifest is missing or malformed"),
        (lambda m, a: m.update(meta=[]), "its manifest is missing or malformed"),
        (lambda m, a: m.update(sites={"name": "x"}), "its manifest is missing or malformed"),
        (lambda m, a: m.update(sites=[]), "it holds values that its manifest does not name, such as "),
        (lambda m, a: m.update(shapes=[1]), "its manifest is missing or malformed"),
        (lambda m, a: m.update(times_ms=None), "its manifest is missing or malformed"),
        (lambda m, a: m["times_ms"].update(lunch=3), "its times and costs are not those of the eight stages."),
        (lambda m, a: m["profile"].pop("ccff"), "its times and costs are not those of the eight stages."),
        (lambda m, a: m["profile"].update(ccff={"parameters": 1}), "its manifest is missing or malformed"),
        (lambda m, a: m["sites"][3].pop("axes"), "its manifest is missing or malformed ('axes')"),
        (lambda m, a: m["sites"][3].update(colour="red"), "its manifest is missing or malformed"),
        (lambda m, a: m["sites"][3].update(axes=["x"]), "names 1 axes for 3 dimensions."),
        (lambda m, a: a.pop("decoder.boxes"), "the values of decoder.boxes are missing or not of the stated shape"),
        (lambda m, a: a.update({"decoder.boxes": a["decoder.boxes"][:5]}), "the values of decoder.boxes are missing"),
        (
            lambda m, a: a.update({"decoder.boxes": a["decoder.boxes"].astype(np.float64)}),
            "the values of decoder.boxes are missing or not of the stated shape and type.",
        ),
        (
            lambda m, a: a.update(stranger=np.zeros(3)),
            "it holds values that its manifest does not name, such as stranger",
        ),
        (lambda m, a: a.pop("photo"), "its manifest is missing or malformed ('photo')"),
        (lambda m, a: a.update(photo=a["photo"][:200]), "is damaged or incomplete"),
        (lambda m, a: a.update(photo=np.zeros(50, np.uint8)), "is not a JPEG, PNG, WebP or BMP image"),
        (
            lambda m, a: a.update({"derived.layer_logits": a["derived.layer_logits"][:0]}),
            "its layers, queries and class",
        ),
        (lambda m, a: a.update({"derived.layer_logits": a["derived.layer_logits"][0]}), "is missing or malformed"),
        (lambda m, a: a.update({"derived.layer_logits": a["derived.layer_logits"][:, 1:]}), "its layers, queries and"),
        (
            lambda m, a: a.update({"derived.layer_logits": a["derived.layer_logits"][:, :, 1:]}),
            "its layers, queries and",
        ),
        (lambda m, a: a.pop("derived.layer_logits"), "its manifest is missing or malformed ('layer_logits')"),
        (without("decoder.logits"), "its manifest is missing or malformed ('decoder.logits')"),
        (without("decoder.layers.1.boxes"), "its manifest is missing or malformed ('decoder.layers.1.boxes')"),
        (without("query_selection.anchors"), "its manifest is missing or malformed ('query_selection.anchors')"),
        (without("query_selection.topk_indices"), "is missing or malformed ('query_selection.topk_indices')"),
        (set_array("decoder.boxes", lambda x: x[:, :3]), "decoder.boxes has the shape (20, 3), but (20, 4) would fit"),
        (set_array("decoder.layers.0.boxes", lambda x: x[1:]), "decoder.layers.0.boxes has the shape (19, 4), but"),
        (set_array("query_selection.anchors", lambda x: x[1:]), "query_selection.anchors has the shape (251, 4), but"),
        (
            set_array("query_selection.topk_indices", lambda x: x + 250),
            "its queries come from tokens that do not exist.",
        ),
        (
            set_array("query_selection.topk_indices", lambda x: x - 250),
            "its queries come from tokens that do not exist.",
        ),
        (set_config(class_names=["a", "b"]), "its layers, queries and class names do not fit together."),
        (set_meta("config", {"class_names": [1, 2, 3, 4, 5]}), "classes and sites are not all named in words."),
        (set_meta("config", {}), "its manifest is missing or malformed ('class_names')"),
        (set_meta("image", {"sha256": "0", "width": 150}), "its manifest is missing or malformed ('height')"),
        (
            set_meta("image", {"sha256": "0", "width": 150, "height": "tall"}),
            "the size of its image or of the network's input is no",
        ),
        (
            set_meta("image", {"sha256": "0", "width": 150, "height": 0}),
            "the size of its image or of the network's input is no number",
        ),
        (set_meta("input_size", [96]), "its manifest is missing or malformed"),
        (set_meta("input_size", [128, 128]), "query_selection.anchors has the shape (252, 4), but (336, 4) would fit"),
        (set_meta("sites", 3), "its manifest is missing or malformed"),
        (set_meta("sites", [3]), "classes and sites are not all named in words."),
        (set_meta("model", None), "its model, weights, classes and sites are not all named in words."),
        (set_meta("weights_hash", 5), "its model, weights, classes and sites are not all named in words."),
        (set_meta("edits", [{"kind": "Explode"}]), "There is no edit 'Explode'; the edits are DropPoint"),
        (set_meta("edits", [3]), "An edit is written as its kind and its numbers, not as 3."),
        (set_meta("edits", None), "its manifest is missing or malformed"),
        (set_meta("denoising", {"num_denoising": 6}), "its layers, queries and class names do not fit together."),
        (set_meta("denoising", {}), "its manifest is missing or malformed ('num_denoising')"),
        # valid to the checksum, and of no use to any page
        (lambda m, a: a.update(photo=np.frombuffer(png(), np.uint8)), "its photo is no JPEG of at most 1280 px."),
        (lambda m, a: m["shapes"].update(backbone=None), "a shape that is no list of sizes."),
        (lambda m, a: m["shapes"].update(backbone="123"), "a shape that is no list of sizes."),
        (lambda m, a: m["shapes"].update(backbone=[1, -1]), "a shape that is no list of sizes."),
        (lambda m, a: m["sites"][3].update(axes="chw"), "has names that are no words."),
        (lambda m, a: m["sites"][3].update(unit=3), "has names that are no words."),
        (lambda m, a: m["sites"][3].update(captured="yes"), "has names that are no words."),
        (lambda m, a: m["times_ms"].update(ccff="long"), "its times and costs are not those of the eight stages."),
        (lambda m, a: m["times_ms"].update(ccff=float("nan")), "its times and costs are not"),
        (lambda m, a: m["profile"]["ccff"].update(flops=None), "its times and costs are not"),
        (set_meta("sites", {"a": 1}), "classes and sites are not all named in words."),
        (set_meta("seed", "seven"), "its seed is no whole number."),
        (set_meta("edits", [{"kind": "DropQuery", "query": "3"}]), "has '3' for query, which does not fit."),
        (set_meta("edits", [{"kind": "SetLayers", "num_layers": True}]), "has True for num_layers, which"),
        (set_config(num_points=[4, 4]), "its configuration is that of no model"),
        (set_config(num_heads="8"), "its configuration is that of no model"),
        (set_config(colour="red"), "its configuration is that of no model; it has other fields"),
        (set_array("decoder.boxes", lambda x: x * np.nan), "its boxes or scores are not all numbers."),
        (set_array("decoder.layers.1.boxes", lambda x: x + np.inf), "its boxes or scores are not all numbers."),
        (set_array("decoder.logits", lambda x: x.view(np.int32)), "its boxes or scores are not all numbers."),
        (set_array("query_selection.topk_indices", lambda x: x * 1.0), "its queries come from tokens that"),
    ],
)
def test_what_does_not_fit_together_is_refused(saved: Path, tmp_path: Path, spoil: Spoil, reason: str) -> None:
    manifest, arrays = read(saved)
    spoil(manifest, arrays)
    path = write(tmp_path / "spoilt.safetensors", manifest, {k: np.ascontiguousarray(v) for k, v in arrays.items()})
    message = refused(path)
    assert message.startswith("spoilt.safetensors is not a usable trace: ")
    assert reason in message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '"text"', "[" * 100_000, "NaN", "1" * 5000, "\u2603"],
    ids=lambda text: text[:8],
)
def test_a_manifest_that_is_none_is_refused(saved: Path, tmp_path: Path, text: str) -> None:
    message = refused(write(tmp_path / "odd.safetensors", text, read(saved)[1]))
    assert message.startswith("odd.safetensors is not a usable trace: its manifest is missing or malformed (")


def test_weights_are_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"decoder.boxes": np.zeros((3, 4), np.float32)}, path)
    assert "its manifest is missing or malformed ('manifest')" in refused(path)


def test_an_enormous_photo_is_refused_before_it_is_decoded(saved: Path, tmp_path: Path) -> None:
    manifest, arrays = read(saved)
    jpeg = bytearray(arrays["photo"].tobytes())
    frame = jpeg.index(b"\xff\xc0")  # its height and width follow five bytes later
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    arrays["photo"] = np.frombuffer(jpeg, np.uint8)
    assert "pixels" in refused(write(tmp_path / "bomb.safetensors", manifest, arrays))


def test_the_checksum_covers_names_values_and_manifest(trace: Trace) -> None:
    arrays = {"a": np.zeros((2, 3), np.float32), "b": np.array([True, False])}
    known = digest("text", arrays)
    assert known == digest("text", dict(reversed(arrays.items())))
    assert known != digest("texT", arrays)
    assert known != digest("text", {"a": arrays["a"], "c": arrays["b"]})
    assert known != digest("text", arrays | {"b": np.array([True, True])})
    assert known != digest("text", arrays | {"a": arrays["a"].view(np.int32)})
    assert known != digest("text", arrays | {"a": arrays["a"].reshape(3, 2)})
    assert known != digest("text", arrays | {"b": arrays["b"].view(np.uint8)})


def test_a_tensor_read_as_another_type_is_refused(saved: Path, tmp_path: Path) -> None:
    """The type stands in the header of the file alone: F32 and I32 differ in one letter."""
    data, path = saved.read_bytes(), tmp_path / "retyped.safetensors"
    place = data.index(b'"derived.layer_logits":{"dtype":"F32"') + len(b'"derived.layer_logits":{"dtype":"')
    path.write_bytes(data[:place] + b"I32" + data[place + 3 :])
    assert "its checksum is another" in refused(path)


def test_names_in_a_file_are_made_printable(saved: Path, tmp_path: Path) -> None:
    manifest, arrays = read(saved)
    manifest["meta"]["model"] = "a\x1b[31m\u202e"
    manifest["meta"]["config"]["class_names"][0] = "half \ud800"
    loaded = load_trace(write(tmp_path / "named.safetensors", manifest, arrays))
    assert loaded.meta["model"] == "a\\x1b[31m\\u202e"
    assert loaded.class_names[0] == "half \\ud800"


@given(st.data())
def test_bits_may_flip_anywhere(saved: Path, data: st.DataObject) -> None:
    """In the header, the manifest and the values: a sentence, or the same trace."""
    whole = bytearray(saved.read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    bits = st.integers(0, 8 * header - 1) | st.integers(8 * header, 8 * len(whole) - 1)
    for bit in data.draw(st.lists(bits, min_size=1, max_size=4, unique=True)):
        whole[bit // 8] ^= 1 << bit % 8
    path = saved.with_name("flipped.safetensors")
    path.write_bytes(whole)
    try:
        loaded = load_trace(path)
    except InputError:
        assert refused(path).startswith("flipped.safetensors is not a usable trace: ")
    else:
        assert same(loaded, load_trace(saved))
