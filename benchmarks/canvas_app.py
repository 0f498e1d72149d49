"""The sampling canvas alone, with 300 queries of 96 points in three layers: what benchmarks/canvas.py points at."""

import sys
from pathlib import Path

import streamlit as st
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `app` is found

from app.components import sampling_canvas
from app.session import state
from app.session.view import Selected
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.detector import Detector
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.tracing.trace import Trace


@st.cache_resource
def made_trace() -> Trace:
    """R18 at 640 x 640 with random weights, which look at random places; what is drawn costs the same as if trained."""
    torch.manual_seed(0)
    model = RTDETR(CONFIGS["rtdetrv2_r18vd"])
    for name, parameter in model.named_parameters():
        if name.endswith(("sampling_offsets.weight", "attention_weights.weight")):
            torch.nn.init.normal_(parameter, std=0.05)
    return Detector(model).trace(generate_scene(1, SceneConfig(size=(640, 640))).image)


st.set_page_config(layout="wide")
view = state.begin()
sampling_canvas.show(Selected(query=view.query or 0, layer=2, compare=view.compare, point=view.point), made_trace())
state.write_url()
