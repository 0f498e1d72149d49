"""A page with nothing but the sampling canvas, for tests: nano on a scene, with a class name that must not become HTML.

`?sampling=discrete` shows the trace run again with discrete sampling.
"""

import dataclasses
import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `app` is found

from app.components import sampling_canvas
from app.session import state, traces
from app.session.view import Selected, ViewState
from rtdetr_explained.tracing import edits
from rtdetr_explained.tracing.trace import Trace

HOSTILE = '<img src=x onerror="window.harmed=1">'
IMAGE = "scene-3"


@st.cache_resource
def shown(sampling: str) -> Trace:
    view = ViewState(image=IMAGE)
    trace = traces.rerun_of(view, traces.trace_of(view), (edits.set_sampling(sampling),))
    config = trace.meta["config"]
    names = [HOSTILE if name == "star" else name for name in config["class_names"]]
    return dataclasses.replace(trace, meta=trace.meta | {"config": config | {"class_names": names}})


st.set_page_config(layout="wide")
sampling = st.session_state.setdefault("sampling", st.query_params.get("sampling", "default"))
state.begin()
trace = shown(sampling)
view = state.settle(traces.offered(state.current(), trace))
fields = dataclasses.asdict(view)
fields["query"] = int(trace.scores.argmax()) if view.query is None else view.query
fields["layer"] = trace.num_layers - 1 if view.layer is None else view.layer
sampling_canvas.show(Selected(**fields), trace)
st.number_input("Selected query", 0, len(trace.logits) - 1, **state.bind("query", fields["query"]))
state.write_url()
