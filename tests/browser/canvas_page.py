"""A page with nothing but the sampling canvas, for tests: nano on a scene, with a class name that must not become HTML.

`?sampling=discrete` shows the trace run again with discrete sampling.
"""

import dataclasses
import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `app` is found

from app.components import sampling_canvas
from app.session import models, state
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.trace import Trace

HOSTILE = '<img src=x onerror="window.harmed=1">'
IMAGE = "scene-3"


@st.cache_resource
def shown(sampling: str) -> Trace:
    view = state.ViewState(image=IMAGE)
    trace = models.rerun_of(view, models.trace_of(view), (edits.set_sampling(sampling),))
    config = trace.meta["config"]
    names = [HOSTILE if name == "star" else name for name in config["class_names"]]
    return dataclasses.replace(trace, meta=trace.meta | {"config": config | {"class_names": names}})


st.set_page_config(layout="wide")
sampling = st.session_state.setdefault("sampling", st.query_params.get("sampling", "default"))
view = state.begin()
trace = shown(sampling)
fields = dataclasses.asdict(view)
fields["query"] = int(trace.scores.argmax()) if view.query is None else view.query
fields["layer"] = trace.num_layers - 1 if view.layer is None else view.layer
sampling_canvas.show(state.Selected(**fields), trace)
st.number_input("Selected query", 0, len(trace.logits) - 1, **state.bind("query", fields["query"]))
state.write_url()
