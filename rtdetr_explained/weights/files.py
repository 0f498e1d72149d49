"""Weights from and to files: this project's own safetensors, official `.pth`, and the layout of transformers.

Loading is strict in both directions: every tensor of the model must be in the file, with its shape, and nothing else.
No code in a file is ever executed. Everything that can be known is read from the tensors (see `recognise.py`).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rtdetr_explained.errors import InputError
from rtdetr_explained.model.config import LEVEL_STRIDES, ModelConfig
from rtdetr_explained.model.query_selection import make_anchors
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights import keys
from rtdetr_explained.weights.recognise import SHOWN_BY_TENSORS, SIGNATURES, Layout, image_size_of_anchors, recognise

FORMAT = "rtdetr-explained"
EXPECTED = "RT-DETRv2 weights: an official .pth, or .safetensors of this project or of Hugging Face transformers"
TABLES: dict[Layout, keys.Table] = {"official": keys.OFFICIAL, "transformers": keys.TRANSFORMERS}
NUM_BATCHES = "num_batches_tracked"
VERSION_1 = "encoder.input_proj.0.0.weight"  # a name that only the official RT-DETR version 1 has


def load_weights(path: str | os.PathLike) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Read a weights file; returns its configuration and a float32 state dict that fits `RTDETR(config)` exactly.

    Raises InputError, one sentence that says what was found and what was expected, for anything else.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    layout: Layout | None = next((layout for name, layout in SIGNATURES.items() if name in tensors), None)
    if layout is None or VERSION_1 in tensors:
        raise InputError(describe_stranger(path, tensors))
    anchors = None
    if layout == "official":
        anchors = tensors.pop("decoder.anchors", None)
        tensors.pop("decoder.valid_mask", None)
    if layout == "transformers":
        tensors = keys.transformers_on_disk(tensors)
    state, unknown = keys.to_ours(tensors, TABLES[layout]) if layout in TABLES else (tensors, [])
    try:
        config = complete_from_metadata(recognise(state, layout), metadata)
        if layout == "official":
            config = complete_from_official(config, path, anchors)
        if layout == "transformers":
            config = complete_from_config_json(config, path.with_name("config.json"))
        expected = expected_tensors(config)
    except InputError as error:
        raise InputError(f"{path.name} has the {layout} layout of RT-DETRv2, but {error}.") from None
    for name, tensor in expected.items():
        if name.endswith(NUM_BATCHES) and name not in state:  # a counter; transformers and stripped files leave it out
            state[name] = torch.zeros_like(tensor, device="cpu")
    if problems := mismatches(state, expected, unknown, TABLES.get(layout)):
        raise InputError(f"{path.name} looks like {config.name} in the {layout} layout, but {problems}.")
    return config, {n: t.float() if t.is_floating_point() else t for n, t in state.items()}


def save_weights(
    path: str | os.PathLike, state: dict[str, Tensor], config: ModelConfig, dtype: torch.dtype | None = None
) -> None:
    """Write this project's safetensors, with the configuration and class names as metadata.

    With `dtype` (float16 halves the file) floating tensors are stored in it, apart from the points' scale, which must
    stay exact. Raises ValueError when a value does not fit into it.
    """
    stored = {}
    for name, tensor in state.items():
        if dtype is not None and tensor.is_floating_point() and not name.endswith("num_points_scale"):
            stored[name] = tensor.detach().cpu().to(dtype).contiguous()
            if not stored[name].isfinite().all():
                raise ValueError(f"{name} holds values that {dtype} cannot; save it in float32.")
        else:
            stored[name] = tensor.detach().cpu().contiguous()
    metadata = {"format": FORMAT, "config": json.dumps(asdict(config))}
    with unfinished(Path(path)) as part:
        part.write_bytes(serialize(stored, metadata))  # safetensors' own save_file makes files nobody else may read


def to_official(state: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Convert to the state dict that the official code loads strictly, its anchors and valid mask included."""
    h, w = config.image_size
    anchors, valid = make_anchors([(h // stride, w // stride) for stride in LEVEL_STRIDES])
    return {
        **keys.from_ours(state, keys.OFFICIAL),
        "decoder.anchors": anchors,
        "decoder.valid_mask": valid,
    }


def save_official(path: str | os.PathLike, state: dict[str, Tensor], config: ModelConfig) -> None:
    """Write a `.pth` nested like the published ones, to train here and deploy with the official code."""
    official = {name: tensor.detach().cpu() for name, tensor in to_official(state, config).items()}
    with unfinished(Path(path)) as part:
        torch.save({"ema": {"module": official}}, part)


def to_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert to the names of transformers' files; its backbone norms are always frozen and count no batches."""
    counters = {name for name in state if name.startswith("backbone.") and name.endswith(NUM_BATCHES)}
    return keys.from_ours({name: t for name, t in state.items() if name not in counters}, keys.TRANSFORMERS)


def weights_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, independent of the order and of the file they came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file and its text metadata, told apart by content: safetensors or PyTorch."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; give the path of {EXPECTED}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); give the path of {EXPECTED}.") from None
    if head[8:9] == b"{":  # after the eight bytes of its length, the header of safetensors is JSON
        try:
            with safe_open(path, "pt") as file:
                # Not a dict: it has `keys()` but cannot be looped over.
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except SafetensorError as error:
            raise InputError(f"{path.name} is a damaged or truncated safetensors file ({error}).") from None
    return unnest(load_pickle(path), path), {}


def load_pickle(path: Path) -> Any:
    """torch.load that refuses everything but plain data and tensors."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # random bytes make the reader raise nearly anything
        raise InputError(
            f"{path.name} is no readable checkpoint: it is damaged, of another kind, or holds Python objects other "
            f"than tensors, which are never executed; expected were {EXPECTED}."
        ) from None


def unnest(checkpoint: Any, path: Path) -> dict[str, Tensor]:
    """The state dict inside a checkpoint: the averaged weights, else the model's, else the file itself."""
    state = checkpoint
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("ema"), dict) and "module" in checkpoint["ema"]:
        state = checkpoint["ema"]["module"]
    elif isinstance(checkpoint, dict) and "model" in checkpoint:
        state = checkpoint["model"]
    if not isinstance(state, dict) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in state.items()):
        found = f"entries named {shorten(map(str, state))}" if isinstance(state, dict) else f"a {type(state).__name__}"
        raise InputError(f"{path.name} holds {found} instead of a state dict of tensors; expected were {EXPECTED}.")
    return dict(state)


def complete_from_metadata(config: ModelConfig, metadata: dict[str, str]) -> ModelConfig:
    """Add what `save_weights` wrote and no tensor shows, such as class names; what tensors do show stays."""
    if metadata.get("format") != FORMAT or "config" not in metadata:
        return config
    try:
        written = json.loads(metadata["config"]).items()
        # Each value takes the type it has in the configuration, which also turns JSON's lists into tuples.
        values: dict[str, Any] = {k: type(getattr(config, k))(v) for k, v in written if k not in SHOWN_BY_TENSORS}
        return replace(config, **values)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the configuration in its metadata cannot be used ({error})") from None


def complete_from_official(config: ModelConfig, path: Path, anchors: Tensor | None) -> ModelConfig:
    """Add what an official file shows only indirectly: input size in the anchors, discrete sampling in the name."""
    size = image_size_of_anchors(anchors) if anchors is not None else None
    discrete = "_dsp" in path.stem  # the tensors of discrete-sampling models are those of the base models
    return replace(
        config,
        image_size=size or config.image_size,
        cross_attn_method="discrete" if discrete else config.cross_attn_method,
    )


def complete_from_config_json(config: ModelConfig, path: Path) -> ModelConfig:
    """Add what transformers keeps beside the weights: class names, number of queries, sampling method."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return config
    except (OSError, ValueError) as error:
        raise InputError(f"the {path.name} beside it cannot be read ({error})") from None
    if not isinstance(values, dict) or values.get("model_type") != "rt_detr_v2":
        return config
    try:
        config = replace(
            config,
            num_queries=int(values.get("num_queries", config.num_queries)),
            cross_attn_method=values.get("decoder_method", config.cross_attn_method),
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"the {path.name} beside it cannot be used ({error})") from None
    names = values.get("id2label")
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(config.num_classes)}:
        return config
    in_order = tuple(str(names[str(i)]) for i in range(config.num_classes))
    unnamed = in_order == tuple(f"LABEL_{i}" for i in range(config.num_classes))  # what transformers writes by itself
    return config if unnamed else replace(config, class_names=in_order)


class OnlyShapes(TorchFunctionMode):
    """Where tensors are made without memory and never filled.

    `torch.device("meta")` would also work out what the initial values do, and for that import torch's compiler, which
    takes longer than all the rest of loading.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones):
            return func(*args, **{**kwargs, "device": "meta"})
        if func.__name__.endswith("_") and not func.__name__.endswith("__"):  # works in place
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def expected_tensors(config: ModelConfig) -> dict[str, Tensor]:
    """Names, shapes and types of the tensors of a model, without its memory."""
    try:
        with OnlyShapes():
            return RTDETR(config).state_dict()
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise InputError(f"no model can be built from its configuration ({error})") from None


def mismatches(
    state: dict[str, Tensor], expected: dict[str, Tensor], unknown: list[str], table: keys.Table | None
) -> str:
    """What is missing, unexpected or of another shape, in words and with the file's own names; "" when all fits."""

    def name_in_file(name: str) -> str:
        return (keys.translate(name, table) if table else None) or name

    missing = [name_in_file(name) for name in expected if name not in state]
    unexpected = unknown + [name_in_file(name) for name in state if name not in expected]
    shapes = [
        f"{name_in_file(name)} {list(tensor.shape)} instead of {list(expected[name].shape)}"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    parts = [
        f"{len(names)} tensor{'s'[: len(names) > 1]} {what} ({shorten(names)})"
        for names, what in ((missing, "missing"), (unexpected, "not expected"), (shapes, "of another shape"))
        if names
    ]
    return "it has " + ", ".join(parts) if parts else ""


def describe_stranger(path: Path, tensors: dict[str, Tensor]) -> str:
    """One sentence about a file in which no RT-DETRv2 was found."""
    if VERSION_1 in tensors:
        return f"{path.name} looks like RT-DETR version 1 in the official layout; expected were {EXPECTED}."
    found = f"{len(tensors)} tensors ({shorten(tensors)})" if tensors else "no tensors"
    return f"{path.name} holds {found}; expected were {EXPECTED}."


def shorten(names: Iterable[str], limit: int = 3) -> str:
    """The first few names, comma-separated."""
    names = list(names)
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name to write to that becomes `path` only when everything is written, so that no half file is ever left."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
