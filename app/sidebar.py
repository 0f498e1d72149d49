"""The side bar: which image, and which model."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from app.session import images, state, weights
from app.session.view import ViewState, model_of
from app.widgets.text import plain
from rtdetr_explained.data.images import UPLOAD
from rtdetr_explained.errors import InputError
from rtdetr_explained.weights import zoo

SOURCES = {"Sample": "sample", "Scene": "scene", "Upload": "upload", "Webcam": "webcam"}
UPLOAD_TYPES = ["jpg", "jpeg", "png", "webp", "bmp"]


def show(view: ViewState) -> None:
    """Draw the side bar; every choice goes into the view state by a callback."""
    with st.sidebar:
        st.markdown("### RT-DETRv2 explained")
        _image(view)
        st.divider()
        _model(view)


def _image(view: ViewState) -> None:
    st.session_state.setdefault("source", _source_of(view.image))
    source = st.pills("Image from", list(SOURCES), required=True, key="source", persist_state="session")
    if source == "Sample":
        _samples(view)
    elif source == "Scene":
        _scene(view)
    elif source == "Upload":
        st.file_uploader(
            "A photo from your computer",
            UPLOAD_TYPES,
            key="upload",
            max_upload_size=UPLOAD.num_bytes >> 20,
            on_change=_take_file,
            args=("upload",),
            help="JPEG, PNG, WebP or BMP, up to 10 MB. It stays in this computer's memory and goes with the session.",
        )
    else:
        st.camera_input("A picture from your webcam", key="webcam", on_change=_take_file, args=("webcam",))
    if error := st.session_state.get("upload_error"):
        st.error(plain(error))
    _thumbnail(view)


def _source_of(image: str) -> str:
    if image in images.PHOTOS or image in images.SCENES:
        return "Sample"
    return "Scene" if images.kind(image) == "scene" else "Upload"


def _samples(view: ViewState) -> None:
    options = [*images.PHOTOS, *images.SCENES]
    shown = view.image if view.image in options else None
    state.put_value("sample", shown)

    def choose() -> None:
        if st.session_state.sample != shown:  # Streamlit also calls back for a list that is left before it is drawn
            _choose(st.session_state.sample)

    st.selectbox(
        "Sample",
        options,
        index=None,
        format_func=images.title,
        placeholder="Choose a sample",
        key="sample",
        on_change=choose,
    )


def _scene(view: ViewState) -> None:
    drawn = images.kind(view.image) == "scene"
    seed, mix = images.scene_settings(view.image) if drawn else images.scene_settings(images.DEFAULT_SCENE)
    state.put_value("scene_seed", seed)
    state.put_value("scene_mix", mix)

    def draw(step: int = 0) -> None:
        # Streamlit also calls back for fields that are left before they are drawn.
        if not step and (st.session_state.scene_seed, st.session_state.scene_mix) == (seed, mix) and drawn:
            return
        number = ((st.session_state.scene_seed or 0) + step) % (images.MAX_SEED + 1)
        _choose(images.scene_name(number, st.session_state.scene_mix))

    left, right = st.columns(2, gap="small")
    left.number_input("Seed", 0, images.MAX_SEED, step=1, key="scene_seed", on_change=draw)
    right.selectbox("Shapes", list(images.MIXES), key="scene_mix", on_change=draw)
    label = "Next scene" if drawn else "Draw this scene"
    st.button(label, key="scene_next", on_click=draw, args=(1 if drawn else 0,), width="stretch")


def _choose(name: str | None) -> None:
    if name is not None:
        st.session_state.upload_error = None
        state.change(image=name)


def _take_file(key: str) -> None:
    """Check what was uploaded; the image in view only changes when the file is good."""
    file = st.session_state[key]
    st.session_state.upload_error = None
    if file is None:
        return
    try:
        name = images.keep_upload(file)
        awaited = st.session_state.get("awaited")
        if awaited and awaited.image == name:  # the image of a link: now all of the link's view can be shown, once
            del st.session_state["awaited"]
            state.change(**asdict(awaited))
        else:
            state.change(image=name)
    except InputError as error:
        st.session_state.upload_error = str(error)


def _thumbnail(view: ViewState) -> None:
    jpeg, (width, height) = images.thumbnail(view.image)
    st.image(jpeg, alt=f"The image in view: {images.title(view.image)}")
    for remark in images.remarks(view.image):
        st.warning(plain(remark))
    credit = images.credit(view.image)
    st.caption(f"{images.title(view.image)}, {width} × {height} px" + (f" · {credit}" if credit else ""))


def _model(view: ViewState) -> None:
    model = model_of(view)
    st.selectbox("Model", weights.offered(model), format_func=weights.title, **state.bind("model", model))
    if not weights.is_ready(model):
        _download(model)
    elif not weights.is_own(model):
        st.caption(_model_facts(zoo.find(model)))
    if weights.may_open_files():
        with st.expander("Own weights"):
            st.text_input(
                "Path of a file or folder, or hf:owner/name",
                key="weights_file",
                placeholder="/home/me/model.pth",
                help="Official files, folders of transformers, checkpoints of a run, or a model of the Hub.",
                on_change=_take_weights,
            )
    else:
        st.caption("Own weights: start the app on your own computer. Here no files can be named.")
    # Outside of the section, which may be closed.
    if error := st.session_state.get("weights_error"):
        st.error(plain(error))


def _model_facts(entry: zoo.ZooEntry) -> str:
    precision = f", COCO AP {entry.ap}" if entry.ap else ""
    return (
        f"{entry.parameters / 1e6:.1f} M parameters, {entry.classes}{precision}{entry.limits and f'; {entry.limits}'}"
    )


def _download(name: str) -> None:
    entry = zoo.find(name)
    wanted = st.session_state.pop("get_model", None) == name
    st.caption(f"{_model_facts(entry)}. It is not on this computer yet; an embedded one is used until it is.")
    if not st.button(f"Download {entry.megabytes} MB", key="download", type="primary", width="stretch") and not wanted:
        return
    bar = st.progress(0.0, text=f"Downloading {plain(entry.title)} …")

    def progress(done: int, total: int | None) -> None:
        share = min(done / total, 1.0) if total else 0.0
        of = f" of {total / 1e6:.0f}" if total else ""
        bar.progress(share, text=f"{done / 1e6:.0f}{of} MB")

    try:
        weights.fetch(name, progress)
    except InputError as error:
        bar.empty()
        st.error(plain(error))
    else:
        st.rerun()


def get(name: str) -> None:
    """Choose a published model and fetch it at once, from a button elsewhere on the page."""
    st.session_state.get_model = name
    state.change(model=name)


def _take_weights() -> None:
    """Load the file that was named; the model in view only changes when it fits."""
    path = st.session_state.weights_file
    st.session_state.weights_error = None
    if not path.strip():
        return
    try:
        state.change(model=weights.open_file(path))
    except InputError as error:
        st.session_state.weights_error = str(error)
