"""Loading a detector by the name of an embedded or published model, from the Hugging Face Hub, or from a file."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from rtdetr_explained.detector import Detector
from rtdetr_explained.device import usable_device
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.download import fetch
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.hub import HUB, fetch_from_hub
from rtdetr_explained.weights.zoo import EMBEDDED, ZOO, find

SUFFIXES = (".pth", ".pt", ".safetensors", ".bin", ".ckpt", ".tar")


def load(
    model: str | os.PathLike = "nano",
    device: str | torch.device = "cpu",
    deploy: bool = True,
    cache_dir: str | os.PathLike | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    names: str | os.PathLike | None = None,
) -> Detector:
    """A detector ready to be asked.

    Args:
        model: "nano" (drawn shapes), "nano-photo" (20 classes in photographs), a published name such as
            "rtdetrv2_r18vd" (downloaded on first use, then offline), "hf:owner/name" or "hf:owner/name@revision" for a
            model of the Hugging Face Hub, or the path of a file of weights or of a folder with one.
        device: "cpu", "cuda", "mps", or "auto", the best that is there.
        deploy: fold norms into convolutions, which is faster; False keeps the model as it is trained.
        cache_dir: where downloads go, instead of the user's cache directory or RTDETR_EXPLAINED_CACHE.
        progress: called with (bytes done, bytes in all or None) while downloading.
        names: a file with the names of the classes, for weights that hold none: one a line, or JSON.

    Raises InputError, one sentence, for an unknown name, an unusable file, no network, or a device that is not there.
    """
    device = usable_device(device)
    path, name = find_weights(os.fspath(model), cache_dir, progress)
    config, state, remarks = load_weights(path, names)
    network = RTDETR(config)
    network.load_state_dict(state)
    return Detector(network, name, device, deploy, remarks)


def find_weights(
    model: str, cache_dir: str | os.PathLike | None = None, progress: Callable[[int, int | None], None] | None = None
) -> tuple[Path, str]:
    """Where the weights of a model are, and what it is called; they are downloaded first where that is needed.

    A file of one's own never takes the name of a model that is known by name. Raises InputError.
    """
    if model in ZOO:
        entry = ZOO[model]
        if entry.url is None:
            return EMBEDDED / entry.filename, entry.name
        return fetch(entry.url, entry.filename, entry.sha256, entry.size, cache_dir, progress), entry.name
    if model.startswith(HUB):
        return fetch_from_hub(model.removeprefix(HUB), cache_dir), model
    path = Path(model).expanduser()
    if (model and path.exists()) or model.endswith(SUFFIXES) or os.sep in model:
        name = path.name.removesuffix(".tar")
        name = name.rsplit(".", 1)[0] if path.is_file() else name
        return path, f"{name} (own file)" if name in ZOO else name
    find(model)  # raises, naming those that are meant
    raise AssertionError
