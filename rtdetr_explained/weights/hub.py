"""Models of the Hugging Face Hub: fetched by its own library, which caches them, knows revisions and works offline."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rtdetr_explained.errors import InputError

HUB = "hf:"
FAMILIES = ("rt_detr", "rt_detr_v2")


def fetch_from_hub(name: str, cache_dir: str | os.PathLike | None = None) -> Path:
    """The folder with the weights of "owner/name" or "owner/name@revision"; what is cached is not fetched again.

    `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` hold as everywhere. Raises InputError, one sentence, when
    there is no such model, no network, or when it is no RT-DETR.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    cache = None if cache_dir is None else Path(cache_dir)

    def get(file: str) -> Path:
        endpoint = os.environ.get("HF_ENDPOINT")
        return Path(hf_hub_download(repo, file, revision=revision or None, cache_dir=cache, endpoint=endpoint))

    def get_if_there(file: str) -> Path | None:
        try:
            return get(file)
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):
                raise
            return None

    try:
        config = get_if_there("config.json")
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type") if config else None
        if kind not in FAMILIES:
            what = f"of the kind {kind!r}" if kind else "without a config.json"
            raise InputError(f"{repo} is {what}; only RT-DETR (rt_detr, rt_detr_v2) can be read.")
        get_if_there("preprocessor_config.json")
        weights = get_if_there("model.safetensors") or get("pytorch_model.bin")
        return weights.parent
    except InputError:
        raise
    except HFValidationError:
        raise InputError(f"{repo!r} names no model of the Hub; give hf:owner/name.") from None
    except LocalEntryNotFoundError:
        raise InputError(
            f"{repo} could not be fetched and is not in the cache; connect and try again, the embedded models work "
            "offline."
        ) from None
    except EntryNotFoundError:
        raise InputError(f"{repo} holds no weights in one file, model.safetensors or pytorch_model.bin.") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = {401: "is not there or not public", 403: "may not be read", 404: "is not there"}.get(status)
        raise InputError(
            f"{repo} {reason or f'could not be fetched (the Hub answered {status})'}; check its name."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{repo} could not be fetched ({type(error).__name__}); check the connection.") from None
