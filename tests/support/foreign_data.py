"""Small data sets as other tools write them: COCO files, VOC folders and YOLO labels of one picture, 200 × 100 px."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rtdetr_explained.data.annotations import Annotations

WIDTH, HEIGHT = 200, 100
BOX = (20.0, 10.0, 60.0, 70.0)
"""Of the one object, x0 y0 x1 y1 in pixels."""


def picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A picture with nothing to see."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, "PNG")
    return path


def coco(path: Path, name: str = "a.png", image: dict | None = None, thing: dict | None = None, **content: Any) -> Path:
    """A COCO file with the one object, an owl; `image` and `thing` change its entries, `content` the whole."""
    x0, y0, x1, y1 = BOX
    entry = {"id": 7, "file_name": name, "width": WIDTH, "height": HEIGHT} | (image or {})
    owl = {"id": 1, "image_id": 7, "category_id": 4, "bbox": [x0, y0, x1 - x0, y1 - y0]} | (thing or {})
    whole = {"images": [entry], "annotations": [owl], "categories": [{"id": 4, "name": "owl"}]} | content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def voc_text(filename: str = "a.png", box: str = "", name: str = "owl", more: str = "", difficult: str = "0") -> str:
    """The XML of the one object, counted from 1 as VOC does."""
    box = box or "<bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>70</ymax></bndbox>"
    return (
        f"<annotation><filename>{filename}</filename><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        f"<object><name>{name}</name><difficult>{difficult}</difficult>{box}</object>{more}</annotation>"
    )


def voc(folder: Path, stem: str = "a", text: str | bytes = "", suffix: str = ".xml", photo: str = "") -> Path:
    """A VOC folder with one XML file and its picture."""
    picture(folder / "JPEGImages" / (photo or f"{stem}.png"))
    data = text if isinstance(text, bytes) else (text or voc_text(f"{stem}.png")).encode()
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "Annotations" / (stem + suffix)).write_bytes(data)
    return folder


def yolo(folder: Path, label: str = "0 0.2 0.4 0.2 0.6", yaml: str = "", photo: str = "images/train/a.png") -> Path:
    """A `data.yaml`, the one picture and its label."""
    path = picture(folder / photo)
    labels = Path(str(path).replace("images", "labels")).with_suffix(".txt")
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text(label)
    (folder / "data.yaml").write_text(yaml or "train: images/train\nval: images/val\nnames: [owl]\n", encoding="utf-8")
    return folder / "data.yaml"


def objects(data: Annotations) -> list[tuple[str, tuple[float, ...]]]:
    """Class and box x0 y0 x1 y1 in pixels of every object to be found, rounded to hundredths."""
    found = []
    for image in data.images:
        centre, half = image.boxes[:, :2], image.boxes[:, 2:] / 2
        corners = np.concatenate([centre - half, centre + half], 1) * np.tile([image.width, image.height], 2)
        rows = zip(image.labels.tolist(), corners.tolist(), strict=True)
        found += [(data.class_names[label], tuple(round(value, 2) for value in box)) for label, box in rows]
    return found
