"""Accuracy of `nano-photo`, or another model, on photographs, computed by faster-coco-eval from saved detections.

    python benchmarks/nano_photo.py val.json IMAGES [--model nano-photo] [--sides 256 288] [--out FOLDER]

Independent of `rtdetr-explained evaluate`: the annotation file is read by faster-coco-eval itself, and what the model
finds goes through a file in COCO's result format. Annotations are taken as they are, objects with `iscrowd`
(`difficult` in VOC) need not be found; of its categories those count whose names the model knows. The forward pass is
timed, too, fused and with one photograph at a time.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from PIL import Image

from rtdetr_explained.detector import Detector
from rtdetr_explained.loading import load

MEASURES = {"AP": 0, "AP50": 1, "AP75": 2, "small": 3, "medium": 4, "large": 5, "AR": 8}  # places in COCO's summary
WARM_UPS = 3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("annotations", type=Path)
    options.add_argument("images", type=Path)
    options.add_argument("--model", default="nano-photo")
    options.add_argument("--sides", type=int, nargs="*", help="sides of the input in pixels, default the model's own")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--out", type=Path, help="folder for the detections, kept only if given")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    detector = load(arguments.model)
    truth = known_truth(json.loads(arguments.annotations.read_text()), detector.class_names)
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        for side in arguments.sides or [detector.config.image_size[0]]:
            file = out / f"{arguments.annotations.stem}-{side}.json"
            ms = save_detections(detector, truth, arguments.images, side, file)
            print(f"\n{arguments.annotations.name}, {len(truth['images'])} photographs, input {side} x {side} px")
            print_tables(truth, file)
            load_now = f"load of the machine {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
            print(f"\nForward pass, {arguments.threads} threads: median {ms:.0f} ms {load_now}")


def known_truth(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The annotations of the classes that the model knows, in COCO's format."""
    categories = [category for category in data["categories"] if category["name"] in names]
    ids = {category["id"] for category in categories}
    annotations = [
        {"id": i + 1, "area": a["bbox"][2] * a["bbox"][3], "iscrowd": 0, **a}
        for i, a in enumerate(a for a in data["annotations"] if a["category_id"] in ids)
    ]
    return {"info": {}, "images": data["images"], "categories": categories, "annotations": annotations}


def save_detections(detector: Detector, truth: dict[str, Any], folder: Path, side: int, file: Path) -> float:
    """Write everything that the model finds, as COCO's results; returns the median time of a forward pass in ms."""
    id_of = {category["name"]: category["id"] for category in truth["categories"]}
    results, times = [], []
    for n, image in enumerate(truth["images"]):
        photo = Image.open(folder / Path(image["file_name"]).name).convert("RGB")
        pixels = detector.to_input(photo, (side, side))
        with torch.inference_mode():
            for _ in range(WARM_UPS if n == 0 else 0):
                detector.model(pixels)
            began = time.perf_counter()
            found = detector.model(pixels)
            times.append(1000 * (time.perf_counter() - began))
        scores = found["pred_logits"][0].sigmoid().flatten()  # Q C
        best = scores.topk(min(300, scores.numel()))
        cx, cy, w, h = found["pred_boxes"][0].double().numpy().T
        for score, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            query, label = divmod(place, len(detector.class_names))
            if detector.class_names[label] in id_of:
                box = np.array([cx[query] - w[query] / 2, cy[query] - h[query] / 2, w[query], h[query]])
                box *= [photo.width, photo.height] * 2
                category = id_of[detector.class_names[label]]
                results.append({"image_id": image["id"], "category_id": category, "bbox": box.tolist(), "score": score})
    file.write_text(json.dumps(results))
    return statistics.median(times)


def print_tables(truth: dict[str, Any], file: Path) -> None:
    """COCO's twelve numbers and the AP50 of every class, from the file of detections."""
    annotated = COCO(truth)
    evaluation = COCOeval_faster(
        annotated, annotated.loadRes(str(file)), iouType="bbox", print_function=lambda *a: None
    )
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    print(f"| {' | '.join(MEASURES)} |\n|{'---|' * len(MEASURES)}")
    print(f"| {' | '.join(f'{evaluation.stats[place]:.3f}' for place in MEASURES.values())} |\n")
    precision = evaluation.eval["precision"][0, :, :, 0, -1]  # recall, class: at IoU 0.5, all sizes
    names = {category["id"]: category["name"] for category in truth["categories"]}
    objects = [a["category_id"] for a in truth["annotations"] if not a["iscrowd"]]
    rows = [
        (float(precision[:, i].mean()), names[c], objects.count(c))
        for i, c in enumerate(evaluation.params.catIds)
        if objects.count(c)
    ]
    print("| class | objects | AP50 |\n|---|---|---|")
    for ap50, name, count in sorted(rows, reverse=True):
        print(f"| {name} | {count} | {ap50:.3f} |")


if __name__ == "__main__":
    main()
