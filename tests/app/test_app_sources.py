"""Where the image and the model come from: samples, scenes, uploads, downloads and files."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import http.server
import io
import shutil
import threading
from types import SimpleNamespace
from weakref import WeakSet

import numpy as np
import pytest
import torch
from page_text import text_of
from PIL import Image
from turned_photos import save_turned

from app.session import images, traces, weights
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.class_names import VOC_CLASSES
from rtdetr_explained.weights import zoo
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.saving import to_official

SLUGS = ("overview", "denoising")


@pytest.fixture
def photo() -> bytes:
    """A photograph of 64 × 48 pixels, as a JPEG file."""
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local server in place of the publisher of `rtdetr_r18vd`; what lies in its folder can be downloaded."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("RTDETR_EXPLAINED_CACHE", str(tmp_path / "cache"))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, format, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_port}/weights.safetensors"
        entry = dataclasses.replace(zoo.find("rtdetrv2_r18vd"), url=url, sha256=None, size=None)
        monkeypatch.setitem(zoo.ZOO, "rtdetrv2_r18vd", entry)
        yield folder
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("name", [*images.SCENES, *images.PHOTOS])
def test_a_sample_is_chosen_by_name(open_app, name):
    at = open_app("overview", query=5)
    at.selectbox(key="sample").set_value(name).run()
    assert not at.exception
    assert not at.error
    view = at.session_state["view"]
    assert view.image == name
    if name != images.DEFAULT:
        assert view.query is None  # it was selected in another image
    assert images.title(name) in text_of(at)
    assert not at.warning
    assert images.credit(name) in text_of(at)
    fits = "nano-photo" if name in images.PHOTOS else "nano"
    assert at.selectbox(key="control_model").value == fits
    assert traces.trace_of(view).meta["model"] == fits
    assert "model" not in at.query_params


def test_a_model_that_was_chosen_stays_with_another_image(open_app):
    at = open_app("overview", image="scene-8")
    at.selectbox(key="control_model").set_value("nano-photo").run()
    assert at.query_params == {"image": "scene-8", "model": "nano-photo"}
    assert "does not know shapes" in at.info[0].value
    at.selectbox(key="sample").set_value("scene-3-few").run()
    assert at.session_state["view"].model == "nano-photo"
    at = open_app("overview", image="sample-chelsea", model="nano")
    assert "generated shapes only" in at.warning[0].value


def test_an_upload_with_little_in_it_tells_what_the_model_knows(open_app, photo, server):
    at = open_app("overview")
    assert not [button for button in at.button if button.key == "get_larger"]
    at.get_by_key("source").set_value("Upload").run()
    at.file_uploader[0].upload("holiday.jpg", photo).run()
    assert not at.exception
    text = text_of(at)
    assert all(name in text for name in VOC_CLASSES)
    shutil.copy(zoo.EMBEDDED / "nano.safetensors", server / "weights.safetensors")
    at.button(key="get_larger").click().run()
    assert not at.exception
    assert not at.error
    assert at.session_state["view"].model == "rtdetrv2_r18vd"
    assert weights.is_ready("rtdetrv2_r18vd")


def test_a_generated_scene_by_seed_and_mix(open_app):
    at = open_app("overview")
    at.get_by_key("source").set_value("Scene").run()
    at.number_input(key="scene_seed").set_value(41).run()
    assert at.session_state["view"].image == "scene-41"
    at.selectbox(key="scene_mix").set_value("few").run()
    assert at.session_state["view"].image == "scene-41-few"
    at.button(key="scene_next").click().run()
    assert at.session_state["view"].image == "scene-42-few"
    assert at.query_params == {"image": "scene-42-few"}
    assert at.number_input(key="scene_seed").value == 42
    assert not at.exception


@pytest.mark.parametrize("slug", SLUGS)
def test_an_uploaded_photo_is_traced(open_app, photo, slug):
    at = open_app(slug)
    at.get_by_key("source").set_value("Upload").run()
    at.file_uploader[0].upload("holiday.jpg", photo).run()
    assert not at.exception
    assert not at.error
    assert images.kind(at.session_state["view"].image) == "upload"
    assert "64 × 48 px" in text_of(at)
    at.button(key="go_previous" if slug == "denoising" else "go_next").click().run()
    assert "64 × 48 px" in text_of(at)
    assert not at.exception


def test_a_link_to_an_upload_asks_for_it_and_then_shows_all_of_its_view(open_app, photo):
    name = f"upload-{hashlib.sha256(photo).hexdigest()[:12]}"
    at = open_app("ccff", image=name, query=7, layer=2, threshold=0.25, place="0.5,0.25")
    assert "Upload the same file" in at.warning[0].value
    assert at.get_by_key("source").value == "Upload"
    shown = at.session_state["view"]
    assert (shown.image, shown.query, shown.place, shown.layer) == (images.DEFAULT, None, None, 1)
    other = io.BytesIO()
    Image.new("RGB", (30, 20)).save(other, "PNG")
    at.file_uploader[0].upload("another.png", other.getvalue()).run()
    assert at.session_state["view"].query is None
    at.file_uploader[0].upload("holiday.jpg", photo).run()
    assert not at.exception
    assert not [note for note in at.warning if "link" in note.value]
    wanted = {"image": name, "query": "7", "layer": "2", "threshold": "0.25", "place": "0.5,0.25"}
    assert at.query_params == wanted


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jpg", b"", "empty"),
        ("notes.png", b"this is no image", "not a JPEG, PNG, WebP or BMP"),
        ("big.jpg", b"\xff\xd8" + bytes(11 << 20), "more than 10 MB"),
        ("[a](http://b.c).png", b"nothing", "not a JPEG"),
    ],
)
def test_a_bad_upload_is_refused_and_the_image_kept(open_app, name, content, words):
    at = open_app("overview", image="sample-coffee")
    at.get_by_key("source").set_value("Upload").run()
    at.file_uploader[0].upload(name, content).run()
    assert not at.exception
    assert len(at.error) == 1
    assert words in at.error[0].value.replace("\\", "")
    assert "](" not in at.error[0].value
    assert at.session_state["view"].image == "sample-coffee"
    assert len(at.get("plotly_chart")) == 1


def test_a_cut_off_upload_is_shown_and_said_and_one_without_pixels_refused(open_app, photo):
    at = open_app("overview")
    at.get_by_key("source").set_value("Upload").run()
    at.file_uploader[0].upload("head.jpg", photo[:100]).run()
    assert "damaged" in at.error[0].value
    at.file_uploader[0].upload("half.jpg", photo[: len(photo) // 2]).run()
    assert not at.error
    assert [note.value for note in at.sidebar.warning if "half\\.jpg is cut off" in note.value]
    at.file_uploader[0].upload("whole.jpg", photo).run()
    assert not at.error
    assert not at.sidebar.warning


def test_a_photo_that_lies_on_its_side_is_upright_everywhere(open_app, tmp_path, monkeypatch):
    picture = Image.new("RGB", (64, 48), "red")
    picture.paste((0, 0, 255), (0, 0, 32, 24))
    traces, trace = [], Detector.trace
    monkeypatch.setattr(Detector, "trace", lambda *args: traces.append(trace(*args)) or traces[-1])
    at = open_app("overview")
    at.get_by_key("source").set_value("Upload").run()
    for orientation in range(1, 9):
        save_turned(picture, tmp_path / "phone.png", orientation)
        at.file_uploader[0].upload(f"{orientation}.png", (tmp_path / "phone.png").read_bytes()).run()
        assert not at.exception
        jpeg, size = at.session_state["uploads"][at.session_state["view"].image].small
        for shown in (Image.open(io.BytesIO(jpeg)), traces[-1].photo):
            assert shown.size == size == (64, 48)
            np.testing.assert_allclose(np.asarray(shown)[4, 4].astype(int), (0, 0, 255), atol=9)
            np.testing.assert_allclose(np.asarray(shown)[44, 60].astype(int), (255, 0, 0), atol=9)
    assert len(traces) == 8


def test_the_webcam_is_only_asked_for_when_it_is_chosen(open_app, photo):
    at = open_app("overview")
    assert not at.get("camera_input")
    at.get_by_key("source").set_value("Webcam").run()
    at.camera_input[0].upload("picture.jpg", photo).run()
    assert not at.exception
    assert images.kind(at.session_state["view"].image) == "upload"


def test_only_so_many_uploads_are_kept(open_app):
    at = open_app("overview")
    at.get_by_key("source").set_value("Upload").run()
    names = []
    for shade in range(images.MAX_UPLOADS + 1):
        file = io.BytesIO()
        Image.new("RGB", (40, 40), (shade * 50, 0, 0)).save(file, "PNG")
        at.file_uploader[0].set_value(None).run() if shade else None
        at.file_uploader[0].upload(f"{shade}.png", file.getvalue()).run()
        names.append(at.session_state["view"].image)
    assert len(set(names)) == images.MAX_UPLOADS + 1
    assert list(at.session_state["uploads"]) == names[1:]


def test_only_so_many_visitors_hold_uploads(open_app, photo, monkeypatch):
    monkeypatch.setattr(images, "MAX_VISITORS", 1)
    monkeypatch.setattr(images, "_HELD", WeakSet())
    first, second = open_app("overview"), open_app("overview")
    for at in (first, second):
        at.get_by_key("source").set_value("Upload").run()
        at.file_uploader[0].upload("holiday.jpg", photo).run()
        assert not at.exception
    assert images.kind(first.session_state["view"].image) == "upload"
    assert "Busy, please wait" in second.error[0].value
    assert second.session_state["view"].image == images.DEFAULT
    first.file_uploader[0].upload("again.jpg", photo + bytes(9)).run()  # who has a place keeps it
    assert not first.error
    del first.session_state["uploads"]
    gc.collect()
    second.file_uploader[0].upload("other.jpg", photo + bytes(7)).run()
    assert not second.error
    assert images.kind(second.session_state["view"].image) == "upload"


def test_targets_of_denoising(open_app):
    assert "true boxes" in text_of(open_app("denoising", image="scene-8"))
    text = text_of(open_app("denoising", image="sample-chelsea", threshold=1))
    assert "three best queries" in text
    text = text_of(open_app("denoising", image="sample-chelsea", threshold=0.01))
    assert "best detections above 0.01" in text


def test_the_threshold_stands_beside_targets_that_depend_on_it(open_app):
    at = open_app("denoising", image="sample-chelsea", threshold=0.01)
    at.slider(key="control_threshold").set_value(1.0).run()
    assert "three best queries" in text_of(at)
    at = open_app("denoising", image="scene-8")
    assert not [slider for slider in at.slider if slider.key == "control_threshold"]


def test_a_published_model_is_downloaded_on_a_button(open_app, server):
    shutil.copy(zoo.EMBEDDED / "nano.safetensors", server / "weights.safetensors")
    at = open_app("overview")
    at.selectbox(key="control_model").set_value("rtdetrv2_r18vd").run()
    assert "not on this computer yet" in at.info[0].value
    assert len(at.get("plotly_chart")) == 1  # of nano
    button = at.button(key="download")
    assert button.label == f"Download {zoo.find('rtdetrv2_r18vd').megabytes} MB"
    button.click().run()
    assert not at.exception
    assert not at.error
    assert not [element for element in at.info if "not on this computer" in element.value]
    assert at.query_params == {"model": "rtdetrv2_r18vd"}


def test_a_failed_download_names_nano(open_app, server):
    at = open_app("overview", model="rtdetrv2_r18vd")
    at.button(key="download").click().run()
    assert not at.exception
    assert len(at.error) == 1
    assert "404" in at.error[0].value
    assert "nano" in at.error[0].value
    assert len(at.get("plotly_chart")) == 1


@pytest.fixture
def at_home(monkeypatch):
    """The app as `rtdetr-explained app` starts it for the owner of the computer alone."""
    monkeypatch.setenv("RTDETR_EXPLAINED_OPEN_FILES", "1")


@pytest.mark.parametrize("value", [None, "0", "", "yes"])
@pytest.mark.parametrize("address", [None, "127.0.0.1", "192.168.0.7"])
def test_without_the_owners_word_no_visitor_opens_a_file(monkeypatch, value, address):
    if value is None:
        monkeypatch.delenv("RTDETR_EXPLAINED_OPEN_FILES", raising=False)
    else:
        monkeypatch.setenv("RTDETR_EXPLAINED_OPEN_FILES", value)
    monkeypatch.setattr(weights.st, "context", SimpleNamespace(ip_address=address))
    assert not weights.may_open_files()
    with pytest.raises(InputError, match="cannot be opened here"):
        weights.open_file(str(zoo.EMBEDDED / "nano.safetensors"))


def test_the_page_says_that_no_files_can_be_named(open_app):
    at = open_app("overview", image="scene-3-few")
    assert not at.exception
    assert "weights_file" not in [field.key for field in at.text_input]
    assert any("no files can be named" in caption.value for caption in at.sidebar.caption)


@pytest.mark.usefixtures("at_home")
def test_own_weights_by_path(open_app, tmp_path):
    path = tmp_path / "mine.safetensors"
    shutil.copy(zoo.EMBEDDED / "nano.safetensors", path)
    at = open_app("overview", image="scene-3-few")
    at.text_input(key="weights_file").set_value(str(path)).run()
    assert not at.exception
    assert not at.error
    name = at.session_state["view"].model
    assert weights.is_own(name)
    assert at.query_params == {"image": "scene-3-few", "model": name}
    assert str(tmp_path) not in str(at.query_params)


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("content", "words"), [(None, "no file"), (b"nonsense", "no readable checkpoint"), ("folder", "no weights in")]
)
def test_a_bad_weights_file_is_refused_and_the_model_kept(open_app, tmp_path, content, words):
    path = tmp_path / "bad.pth"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    at = open_app("overview")
    at.text_input(key="weights_file").set_value(str(path)).run()
    assert not at.exception
    assert len(at.error) == 1
    assert words in at.error[0].value.replace("\\", "")
    assert at.session_state["view"].model is None


def test_a_link_to_somebodys_weights_is_noted(open_app):
    at = open_app("overview", model="file-0123456789ab")
    assert not at.exception
    assert "weights file" in at.warning[0].value
    assert at.session_state["view"].model is None


@pytest.mark.usefixtures("at_home")
def test_a_model_that_vanished_is_a_sentence(open_app, tmp_path):
    path = tmp_path / "mine.safetensors"
    shutil.copy(zoo.EMBEDDED / "nano.safetensors", path)
    at = open_app("overview")
    at.text_input(key="weights_file").set_value(str(path)).run()
    path.unlink()
    at.run()
    assert not at.exception
    assert "cannot be read any more" in at.error[0].value


@pytest.mark.usefixtures("at_home")
def test_what_must_be_known_about_weights_stands_on_every_page(open_app, tmp_path):
    nano = load_weights(zoo.EMBEDDED / "nano.safetensors")
    official = to_official(nano.state, nano.config)
    old = {name: tensor for name, tensor in official.items() if not name.endswith("num_points_scale")}  # version 1
    torch.save(old, tmp_path / "old.pth")
    at = open_app("overview", image="scene-8")
    at.text_input(key="weights_file").set_value(str(tmp_path / "old.pth")).run()
    assert not at.exception
    assert not at.error
    for _ in range(3):
        assert "RT-DETR version 1" in text_of(at).replace("\\", "")
        at.button(key="go_next").click().run()
