"""Loading a detector by the name of an embedded or published model, or from a weights file."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from rtdetr_explained.detector import Detector
from rtdetr_explained.device import usable_device
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.download import fetch
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.zoo import EMBEDDED, ZOO, find

SUFFIXES = (".pth", ".pt", ".safetensors")


def load(
    model: str | os.PathLike = "nano",
    device: str | torch.device = "cpu",
    deploy: bool = True,
    cache_dir: str | os.PathLike | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Detector:
    """A detector ready to be asked.

    Args:
        model: "nano" (drawn shapes), "nano-photo" (20 classes in photographs), a published name such as
            "rtdetrv2_r18vd" (downloaded on first use, then offline), or the path of a .pth or .safetensors file.
        device: "cpu", "cuda", "mps", or "auto", the best that is there.
        deploy: fold norms into convolutions, which is faster; False keeps the model as it is trained.
        cache_dir: where downloads go, instead of the user's cache directory or RTDETR_EXPLAINED_CACHE.
        progress: called with (bytes done, bytes in all or None) while downloading.

    Raises InputError, one sentence, for an unknown name, an unusable file, no network, or a device that is not there.
    """
    device = usable_device(device)
    text = os.fspath(model)
    if text in ZOO or not (text.endswith(SUFFIXES) or os.sep in text):
        entry = find(text)
        path = EMBEDDED / entry.filename
        if entry.url is not None:
            path = fetch(entry.url, entry.filename, entry.sha256, entry.size, cache_dir, progress)
        name = entry.name
    else:
        path, name = Path(text), Path(text).stem
    config, state = load_weights(path)
    network = RTDETR(config)
    network.load_state_dict(state)
    return Detector(network, name, device, deploy)
