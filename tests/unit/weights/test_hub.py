"""Models of the Hugging Face Hub, from a server on this machine that answers as the Hub does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as serialize

import rtdetr_explained as rx
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import ModelConfig
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.hub import fetch_from_hub
from rtdetr_explained.weights.saving import to_transformers

TINY = ModelConfig(
    "custom", width=8, hidden_dim=16, encoder_ffn_dim=24, expansion=1.0, decoder_dim=32, decoder_ffn_dim=40,
    num_heads=4, num_layers=2, class_names=("a", "b", "c"), image_size=(96, 96), num_queries=20,
)  # fmt: skip
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Files by "owner/name/file"; what is not among them is not there."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body: bool) -> None:
            repo, _, rest = self.path.lstrip("/").split("?")[0].partition("/resolve/")
            data = files.get(f"{repo}/{rest.partition('/')[2]}")
            known = any(name.startswith(f"{repo}/") for name in files)
            self.send_response(404 if data is None else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            if data is None:
                self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
                data = b""
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def do_GET(self) -> None:
            self.answer(True)

        def do_HEAD(self) -> None:
            self.answer(False)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("no_proxy", "*")
    yield files
    server.shutdown()
    server.server_close()


def put_model(hub: dict[str, bytes], repo: str, kind: str = "rt_detr_v2") -> None:
    torch.manual_seed(0)
    state = to_transformers(RTDETR(TINY).state_dict())
    values = {"model_type": kind, "num_queries": 20, "id2label": {"0": "nut", "1": "bolt", "2": "ring"}}
    hub[f"{repo}/config.json"] = json.dumps(values).encode()
    hub[f"{repo}/preprocessor_config.json"] = json.dumps({"size": {"height": 96, "width": 64}}).encode()
    hub[f"{repo}/model.safetensors"] = serialize({name: tensor.contiguous() for name, tensor in state.items()})


def test_a_model_is_fetched_with_all_that_lies_beside_it_and_then_works_offline(
    hub: dict[str, bytes], tmp_path: Path
) -> None:
    put_model(hub, "somebody/nuts")
    detector = rx.load("hf:somebody/nuts", cache_dir=tmp_path)
    assert detector.class_names == ("nut", "bolt", "ring")
    assert detector.config.image_size == (96, 64)
    assert detector.name == "hf:somebody/nuts"
    hub.clear()
    again = fetch_from_hub(f"somebody/nuts@{COMMIT}", tmp_path)
    assert (again / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"somebody/bert/config.json": b'{"model_type": "bert"}'}, "is of the kind 'bert'; only RT-DETR"),
        ({"somebody/bert/README.md": b"nothing"}, "is without a config.json; only RT-DETR"),
        ({"somebody/bert/config.json": b'{"model_type": "rt_detr"}'}, "holds no weights in one file"),
        ({}, "is not there"),
    ],
)
def test_what_is_no_rt_detr_is_said_in_one_sentence(
    files: dict[str, bytes], message: str, hub: dict[str, bytes], tmp_path: Path
) -> None:
    hub.update(files)
    with pytest.raises(InputError, match=message) as caught:
        rx.load("hf:somebody/bert", cache_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_name_that_names_nothing_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="names no model of the Hub"):
        rx.load("hf:a b/c", cache_dir=tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(InputError, match="could not be fetched"):
        rx.load("hf:somebody/nuts", cache_dir=tmp_path)
