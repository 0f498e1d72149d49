"""`rtdetr-explained trace`."""

from rtdetr_explained import cli
from rtdetr_explained.tracing.trace import Trace


def test_trace_writes_what_was_asked_for(photo, tmp_path, capsys):
    out = tmp_path / "scene.safetensors"
    assert cli.main(["trace", str(photo), "-o", str(out), "--sites", "backbone.*"]) == 0
    trace = Trace.load(out)
    assert "backbone.stem_map" in trace
    assert "hybrid_encoder.p3" not in trace
    assert "sites with values" in capsys.readouterr().out
