"""The result of the denoising experiment: reading it, and saying in words what it shows."""

import json
from pathlib import Path
from typing import Any

from rtdetr_explained.errors import InputError

SCHEMA = 1
ARMS = ("with_denoising", "without_denoising")
COMMITTED = Path(__file__).with_name("denoising.json")  # of the real run that benchmarks/denoising.md describes

Result = dict[str, Any]  # as `collect` makes it


def name_of(arm: str) -> str:
    """An arm as it is called in text: "with denoising"."""
    return arm.replace("_", " ")


def read_result(path: Path = COMMITTED) -> Result:
    """Read a result. Raises InputError for a file that is not one."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a result ({error}); run the experiment again.") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA or set(result.get("arms", ())) != set(ARMS):
        raise InputError(f"{path} is no result of the denoising experiment of this version; run the experiment again.")
    return result


def caption(result: Result) -> str:
    """What was measured and what came out, from the numbers alone, whichever arm is ahead."""
    settings, arms = result["settings"], [result["arms"][arm] for arm in ARMS]
    images = arms[0]["evaluations"]["images"][-1]
    planned = f" (of {settings['images']:,} planned)" if images < settings["images"] else ""
    changes = [mean(arm["instability"]["changes"]) for arm in arms]
    losses = [last_epoch_loss(result, arm) for arm in ARMS]
    ms = [arm["ms_per_image"] for arm in arms]
    most = 2 * result["objects_per_image"]
    share = [100 * change / most for change in changes]
    return " ".join(
        (
            f"{settings['model']} at {settings['side']} px, trained twice from the same weights (seed "
            f"{settings['seed']}) on the same {images:,} generated scenes{planned} in the same order, with denoising "
            "queries and without.",
            ap_sentence(result),
            f"In the last epoch the loss of the matching queries and of the encoder is {losses[0]:.2f} with and "
            f"{losses[1]:.2f} without; the denoising queries' own loss is not in it.",
            f"From one epoch ({settings['images'] // settings['epochs']:,} images) to the next, {changes[0]:.2f} "
            f"tokens per image with and {changes[1]:.2f} without denoising changed the object that they are matched "
            f"to, {share[0]:.0f}% and {share[1]:.0f}% of the {most:.1f} possible (DN-DETR's instability, mean of all "
            "epochs from the second on).",
            f"A training step took {ms[0]:.0f} ms per image with and {ms[1]:.0f} ms without (medians).",
            "One seed, so chance has a part in every difference.",
        )
    )


def ap_sentence(result: Result) -> str:
    """Who ends with the higher AP, and after how many images it had reached the other's."""
    curves = [result["arms"][arm]["evaluations"] for arm in ARMS]
    ends = [round(curve["AP"][-1] or 0.0, 3) for curve in curves]
    scenes = f"on {result['settings']['evaluate_images']} held-out scenes"
    if ends[0] == ends[1]:
        return f"Both end at AP {ends[0]:.3f} {scenes}."
    ahead = int(ends[1] > ends[0])
    text = f"AP {scenes} ends at {ends[0]:.3f} with and {ends[1]:.3f} without denoising"
    reached = next(
        images
        for images, ap in zip(curves[ahead]["images"], curves[ahead]["AP"], strict=True)
        if round(ap or 0.0, 3) >= ends[1 - ahead]
    )
    if reached < curves[ahead]["images"][-1]:
        text += f"; the arm that ends higher had reached the other's end after {reached:,} images"
    return text + "."


def alt_text(result: Result) -> str:
    """The figure in words."""
    return (
        "Three charts over the training images, each with one curve with and one without denoising: the loss, the "
        "average precision, and the instability of the matching. " + caption(result)
    )


def table(result: Result) -> dict[str, list]:
    """The curves as columns, a row for each epoch: with denoising and without."""
    arms = {arm.split("_")[0]: result["arms"][arm] for arm in ARMS}  # with, without
    losses = {arm.split("_")[0]: epoch_losses(result, arm) for arm in ARMS}
    return {
        "images": result["arms"][ARMS[0]]["evaluations"]["images"],
        **{f"AP {name}": arm["evaluations"]["AP"] for name, arm in arms.items()},
        **{f"AP50 {name}": arm["evaluations"]["AP50"] for name, arm in arms.items()},
        **{f"loss {name}": [round(loss, 3) for loss in losses[name]] for name in arms},
        **{f"instability {name}": [None, *arm["instability"]["changes"]] for name, arm in arms.items()},
    }


def epoch_losses(result: Result, arm: str) -> list[float]:
    """Mean loss of each epoch."""
    curves = result["arms"][arm]
    ends = curves["evaluations"]["images"]
    points = list(zip(curves["loss"]["images"], curves["loss"]["loss"], strict=True))
    return [
        mean([loss for images, loss in points if first < images <= end])
        for first, end in zip([0, *ends], ends, strict=False)
    ]


def last_epoch_loss(result: Result, arm: str) -> float:
    """Mean loss of the last epoch."""
    return epoch_losses(result, arm)[-1]


def mean(values: list[float]) -> float:
    """The mean of at least one number."""
    return sum(values) / len(values)
