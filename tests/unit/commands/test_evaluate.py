"""`rtdetr-explained evaluate`, run as a user runs it, on tiny data and a tiny model with random weights."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign_data import yolo
from PIL import Image

from rtdetr_explained import cli
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.evaluation.figure import draw
from rtdetr_explained.evaluation.shapes import evaluate_shapes
from rtdetr_explained.evaluation.summary import as_text
from rtdetr_explained.loading import load
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.saving import save_weights

SIDE = 96


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A weights file of a small model for shapes."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    config = replace(CONFIGS["nano"], width=8, hidden_dim=32, decoder_dim=32, num_queries=40, image_size=(SIDE, SIDE))
    torch.manual_seed(0)
    save_weights(path, RTDETR(config).state_dict(), config)
    return str(path)


@pytest.fixture
def coco(model, tmp_path):
    """A COCO file with three pictures, annotated with what the model finds in them.

    One more object is of a class that the model does not know, and one more picture is missing.
    """
    images, annotations, classes = [], [], CONFIGS["nano"].class_names
    detector = load(model)
    for seed in range(3):
        scene = generate_scene(seed, SceneConfig(size=(SIDE, SIDE)))
        Image.fromarray(scene.image).save(tmp_path / f"{seed}.png")
        images.append({"id": seed, "file_name": f"{seed}.png", "width": SIDE, "height": SIDE})
        for found in detector.detect(tmp_path / f"{seed}.png", threshold=0)[:3]:
            x0, y0, x1, y1 = found.box_px
            bbox = [x0, y0, x1 - x0, y1 - y0]
            annotations.append({"id": len(annotations), "image_id": seed, "category_id": 3 * found.label, "bbox": bbox})
    annotations.append({"id": len(annotations), "image_id": 0, "category_id": 100, "bbox": [0, 0, 9, 9]})
    images.append({"id": 3, "file_name": "gone.png", "width": 9, "height": 9})
    categories = [{"id": 3 * i, "name": name.upper()} for i, name in enumerate(classes)] + [{"id": 100, "name": "owl"}]
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path)


def test_scenes_as_json_and_figure(model, tmp_path, capsys):
    out, figure = tmp_path / "result.json", tmp_path / "result.svg"
    command = ["evaluate", "--model", model, "--data", "shapes", "--seed", "5", "--images", "4", "--json"]
    assert cli.main([*command, "--out", str(out), "--figure", str(figure)]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert json.loads(out.read_text()) == result
    assert "tiny on shapes, seeds 5 to 8" in figure.read_text()
    assert "/4 [" in captured.err  # the progress bar

    expected = evaluate_shapes(load(model).model, range(5, 9), (SIDE, SIDE), 1)
    rows = expected.pop("per_class")
    assert result["metrics"] == expected
    assert {"AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR"} <= set(result["metrics"])
    assert result["classes"] == [{"name": name, **row} for name, row in rows.items() if row["objects"]]
    assert (result["images"], result["objects"]) == (4, sum(row["objects"] for row in rows.values()))
    assert set(result["slices"]) == {"small_objects", "crowded_images", "long_tail"}
    assert 0 < result["latency_ms"]["median"] <= result["latency_ms"]["p95"]


def test_coco_file(model, coco, capsys):
    assert cli.main(["evaluate", "--model", model, "--data", coco, "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["images"], result["objects"]) == (3, 9)
    assert result["metrics"]["AP"] > 0.3  # not 1: a lower score in one picture can be a miss in another
    assert result["metrics"]["AR"] > 0.8
    assert {kind: problem["count"] for kind, problem in result["problems"].items()} == {
        "missing_image": 1,
        "unknown_category": 1,
        "loose_class": 12,
    }
    assert "gone.png is not in" in captured.err
    assert "'owl' is not a class of the model" in captured.err


def test_strict_stops_at_the_first_mistake(model, coco, capsys):
    assert cli.main(["evaluate", "--model", model, "--data", coco, "--strict"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "gone.png is not in" in captured.err


def test_voc_folder_as_tables(model, tmp_path, capsys):
    Image.fromarray(generate_scene(0, SceneConfig(size=(SIDE, SIDE))).image).save(tmp_path / "a.png")
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(f"<annotation><object><name>circle</name>{box}</object></annotation>")
    assert cli.main(["evaluate", "--model", model, "--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"tiny on {tmp_path.name}: 1 images, 1 objects"
    assert any(line.split()[:2] == ["circle", "1"] for line in lines)
    assert "median" in lines[-1]


def test_the_held_out_part_of_a_data_yaml(model, tmp_path, capsys):
    path = yolo(tmp_path, yaml="train: nowhere\nval: images/val\nnames: [circle]", photo="images/val/a.png")
    assert cli.main(["evaluate", "--model", model, "--data", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["objects"] == 1


def test_what_was_not_there_to_find_shows_as_a_dash(model, capsys):
    assert cli.main(["evaluate", "--model", model, "--data", "shapes", "--images", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["slices"]["crowded_images"]["AP"] is None
    (line,) = [line for line in as_text(result).splitlines() if line.startswith("crowded images (0)")]
    assert line.split()[3:] == ["–", "–", "–"]


def test_data_without_an_object_that_the_model_knows(model, coco, capsys):
    content = json.loads(Path(coco).read_text())
    content["annotations"] = content["annotations"][-1:]  # the owl
    Path(coco).write_text(json.dumps(content))
    assert cli.main(["evaluate", "--model", model, "--data", coco]) == 2
    error = capsys.readouterr().err
    assert "no object of a class that the model knows" in error
    assert "Objects of an unknown category (left out): 1\n  0.png: 'owl'" in error  # the reason


def test_figure_of_many_classes_has_even_columns(model, capsys):
    assert cli.main(["evaluate", "--model", model, "--data", "shapes", "--images", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    result["classes"] = [{"name": f"kind {i}", "objects": i, "AP": i / 100} for i in range(61)]
    panels = draw(result).axes[1:]
    assert [len(panel.get_yticks()) for panel in panels] == [21, 21, 19]
    assert panels[0].get_yticklabels()[0].get_text() == "kind 60 (60)"
    assert len({panel.get_ylim() for panel in panels}) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere.json"], "does not exist"),
        (["--data", "{coco}", "--images", "nowhere"], "give the folder of the images"),
        (["--data", "{coco}", "--seed", "1"], "--seed belongs to --data shapes"),
        (["--data", "shapes", "--images", "folder"], "give the number of scenes"),
        (["--data", "shapes", "--images", "0"], "give the number of scenes"),
        (["--data", "shapes", "--seed", "999999", "--images", "2"], "held out from training"),
        (["--data", "shapes", "--seed", "-1"], "held out from training"),
        (["--data", "shapes", "--figure", "a.jpg"], "end it in .svg, .pdf or .png"),
        (["--data", "shapes", "--out", "no/such/folder.json"], "does not exist"),
        (["--data", "shapes", "--model", "nanno"], "did you mean nano"),
    ],
)
def test_bad_input_gives_one_sentence_and_exit_code_2(arguments, words, model, coco, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [argument.replace("{coco}", coco) for argument in arguments]
    assert cli.main(["evaluate", "--model", model, *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""


def test_a_model_of_other_classes_is_refused(tmp_path, capsys):
    config = replace(CONFIGS["nano"], width=8, hidden_dim=32, decoder_dim=32, class_names=("cat", "dog"))
    save_weights(tmp_path / "pets.safetensors", RTDETR(config).state_dict(), config)
    command = ["evaluate", "--model", str(tmp_path / "pets.safetensors"), "--data", "shapes", "--images", "1"]
    assert cli.main(command) == 2
    assert "(circle, ring, ellipse, …) and the model's (cat, dog) have no name in common" in capsys.readouterr().err


def test_two_processes_find_what_one_finds(model, coco, tmp_path):
    command = ["evaluate", "--model", model, "--data", coco, "--json"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    out = tmp_path / "two.json"
    done = subprocess.run(
        [*launch, "-m", "rtdetr_explained.cli", *command, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    two = json.loads(done.stdout)  # printed once, by the first process
    assert cli.main([*command, "--out", str(tmp_path / "one.json")]) == 0
    one = json.loads((tmp_path / "one.json").read_text())
    for result in (one, two):
        result.pop("latency_ms")
    assert two == one
    assert one["metrics"]["AP"] > 0
