"""`rtdetr-explained train`: settings, recipes, training on photographs, other classes, and what a run leaves behind."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import TINY

from rtdetr_explained import cli
from rtdetr_explained.commands import train as command
from rtdetr_explained.data.report import PROBLEMS
from rtdetr_explained.device import best_device
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.checkpoint import load_checkpoint
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.log import read_log
from rtdetr_explained.training.recipe import recipe_of
from rtdetr_explained.weights.files import load_weights
from rtdetr_explained.weights.saving import save_weights

COMMON = ["--threads", "1", "--workers", "0", "--evaluate-every", "0", "--evaluate-images", "2"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Six pictures with a red and a blue rectangle each, one picture damaged."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for i in range(6):
        pixels = np.full((60, 80, 3), 40 * i, np.uint8)
        pixels[10:30, 5:45], pixels[30:55, 50:75] = (255, 0, 0), (0, 0, 255)
        path = tmp_path / "images" / f"{i}.png"
        Image.fromarray(pixels).save(path)
        images.append({"id": i, "file_name": path.name, "width": 80, "height": 60})
        for category, box in ((3, [5, 10, 40, 20]), (7, [50, 30, 25, 25])):
            annotations.append({"id": len(annotations) + 1, "image_id": i, "category_id": category, "bbox": box})
    (tmp_path / "images" / "5.png").write_bytes(b"not a picture")
    categories = [{"id": 3, "name": "red"}, {"id": 7, "name": "blue"}]
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def settings(*arguments: str) -> TrainConfig:
    return command.settings(cli.parser().parse_args(["train", *arguments]))


def test_options_go_over_the_file_and_the_file_over_the_recipe(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text('model = "rtdetrv2_r18vd"\nepochs = 5\nlr = 1\nmulti_scale = true\nout = "here"\n')
    config = settings("--config", str(file), "--no-multi-scale", "--steps", "7")
    assert (config.model, config.epochs, config.steps, config.lr) == ("rtdetrv2_r18vd", 0, 7, 1.0)
    assert (config.multi_scale, config.out, config.batch) == (False, Path("here"), 16)
    assert (config.clip, config.warmup) == (0.1, 2000)  # of the recipe of the model that the file names
    assert settings("--config", str(file)).epochs == 5


def test_images_is_the_length_of_a_run_or_a_folder(tmp_path: Path):
    config = settings("-o", "run", "--images", "5000")
    assert (config.images, config.folder) == (5000, "")
    config = settings("-o", "run", "--images", str(tmp_path), "--epochs", "3")
    assert (config.images, config.epochs, config.folder) == (0, 3, str(tmp_path))


def test_without_a_file_the_recipe_of_the_model_counts():
    assert settings("-o", "run", "--model", "rtdetrv2_r50vd").backbone_lr_factor == 0.1
    assert settings("-o", "run").images == recipe_of("nano")["images"]
    assert settings("-o", "run", "--config", "r34").model == "rtdetrv2_r34vd"


def test_a_recipe_for_gpus_runs_without_one_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "mine.toml"
    file.write_text('model = "tiny"\ndevice = "auto"\namp = "fp16"\nworkers = 0\n')
    out = ["--out", str(tmp_path / "run"), "--batch", "2", "--steps", "1"]
    assert cli.main(["train", "--config", str(file), *out, *COMMON]) == 0
    if best_device() != "cuda":
        assert f"the run is on {best_device()}, and amp is off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one with --out"),
        (["--epochs", "1"], "no epochs"),
        (["--epochs", "1", "--steps", "1"], "epochs and steps are given"),
        (["--steps", "2", "--data", "nowhere.json"], "nowhere.json does not exist"),
        (["--steps", "2", "--model", "tiny", "--weights", "nothing"], "no model named 'nothing'"),
        (["--steps", "2", "--resume"], "no checkpoint"),
        (["--steps", "2", "--out", __file__], "cannot be made (File exists)"),
        (["--steps", "2", "--out", f"{__file__}/run"], "cannot be made (Not a directory)"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
):
    out = ["--out", str(tmp_path / "run")] if arguments else []
    assert cli.main(["train", *out, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_fine_tuning_on_photographs_with_other_classes(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture):
    save_weights(tmp_path / "shapes.safetensors", RTDETR(TINY).state_dict(), TINY)
    out = tmp_path / "run"
    arguments = ["train", "--model", "tiny", "--data", str(coco), "--val", str(coco), "--out", str(out), "--batch", "2"]
    weights = ["--weights", str(tmp_path / "shapes.safetensors")]
    assert cli.main([*arguments, *weights, "--epochs", "2", "--weak-epochs", "1", "--multi-scale", *COMMON]) == 0
    error = capsys.readouterr().err
    assert (
        "Of the 2 classes the weights know 0; the rows of the others in the heads begin at random: 'red', 'blue'."
        in error
    )
    assert "Images that cannot be used (left out): 1\n" in error  # once, though both epochs met it
    assert "5.png" in error
    config, _, _ = load_weights(out / "run.safetensors")
    assert config.class_names == ("red", "blue")
    steps = read_log(out / "log.csv")
    assert [row["images"] for row in steps] == [2, 4, 6, 8, 10, 12]
    assert len(read_log(out / "evaluation.csv")) == 1
    assert (out / "summary.svg").read_text().startswith("<?xml")
    assert cli.main([*arguments, "--epochs", "3", "--resume", *COMMON]) == 0
    assert len(read_log(out / "log.csv")) == 9


def test_problems_of_the_data_are_said_before_the_first_step(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    data = json.loads(coco.read_text())
    data["annotations"][0]["bbox"] = [-20, 10, 40, 20]
    data["annotations"][1]["category_id"] = 99
    coco.write_text(json.dumps(data))
    said: list[str] = []

    def first_step(*arguments: object) -> None:
        said.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr("rtdetr_explained.training.loop.train_step", first_step)
    out = ["--out", str(tmp_path / "run"), "--batch", "2", "--steps", "1", "--model", "tiny"]
    assert cli.main(["train", "--data", str(coco), *out, *COMMON]) == 130
    for kind in ("box_outside", "unknown_category"):
        assert f"{PROBLEMS[kind]}: 1" in said[0]
        assert PROBLEMS[kind] not in capsys.readouterr().err  # once is enough


def test_a_disk_too_full_for_the_log_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def no_room(path: Path, *arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("rtdetr_explained.training.loop.append_row", no_room)
    out = tmp_path / "run"
    assert cli.main(["train", "--model", "tiny", "--steps", "2", "--batch", "2", "--out", str(out), *COMMON]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"{out / 'log.csv'} could not be written (No space left on device); after mending that, add --resume."
    )
    assert load_checkpoint(out / "checkpoint.pt")["step"] == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_pictures_that_all_cannot_be_read_end_the_run_with_a_sentence(
    tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture, workers: str
):
    for picture in (tmp_path / "images").iterdir():
        picture.write_bytes(b"not a picture")
    out = ["--out", str(tmp_path / "run"), "--batch", "2", "--steps", "6", "--model", "tiny", *COMMON]
    assert cli.main(["train", "--data", str(coco), *out, "--workers", workers]) == 2
    error = capsys.readouterr().err
    assert "20 pictures in a row cannot be read. The last: " in error.splitlines()[-1]
    assert "Traceback" not in error


def test_a_complete_run_whose_weights_could_not_be_written_is_finished_by_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def no_room(path: Path, *arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    out = tmp_path / "run"
    arguments = ["train", "--model", "tiny", "--steps", "2", "--batch", "2", "--out", str(out), *COMMON]
    with monkeypatch.context() as full:
        full.setattr("rtdetr_explained.training.loop.save_weights", no_room)
        assert cli.main(arguments) == 1
    assert "add --resume" in capsys.readouterr().err
    assert cli.main([*arguments, "--resume"]) == 0
    load_weights(out / "run.safetensors")
    assert len(read_log(out / "log.csv")) == 2
    assert cli.main([*arguments, "--resume"]) == 2
    assert "has seen all its 4 images" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["--no-denoising", "--decay-biases"])
def test_a_run_keeps_what_its_optimiser_was_made_for(tmp_path: Path, capsys: pytest.CaptureFixture, other: str):
    arguments = ["train", "--model", "tiny", "--batch", "2", "--out", str(tmp_path / "run"), *COMMON]
    assert cli.main([*arguments, "--steps", "1"]) == 0
    assert cli.main([*arguments, "--steps", "2", "--resume", other]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "resume it so" in error
    assert other.removeprefix("--no-").removeprefix("--").replace("-", "_") in error


def test_a_run_that_is_all_last_epochs_says_so(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture):
    out = ["--out", str(tmp_path / "run"), "--batch", "2", "--steps", "1", "--model", "tiny", "--weak-epochs", "3"]
    assert cli.main(["train", "--data", str(coco), *out, *COMMON]) == 0
    assert "within its last 3 epochs: no augmentation" in capsys.readouterr().err


def test_strict_stops_at_a_picture_that_cannot_be_read(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture):
    out = ["--out", str(tmp_path / "run"), "--batch", "2", "--steps", "6", "--model", "tiny"]
    assert cli.main(["train", "--data", str(coco), *out, "--strict", *COMMON]) == 2
    assert "5.png" in capsys.readouterr().err


def test_where_nothing_can_be_used_the_reasons_are_said(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    arguments = ["train", "--model", "tiny", "--data", str(coco), "--out", str(tmp_path / "run"), "--batch", "2"]
    assert cli.main([*arguments, "--epochs", "1", *COMMON]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Images without a file (left out): 6"
    assert [line.split()[0] for line in lines[1:4]] == ["0.png", "1.png", "2.png"]
    assert lines[4].startswith("None of the 6 images of data.json is in")


def test_what_had_to_be_mended_to_read_a_picture_is_said_once(
    tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture
):
    picture = tmp_path / "images" / "5.png"
    Image.effect_noise((80, 60), 40).convert("RGB").save(picture, "JPEG")
    picture.write_bytes(picture.read_bytes()[:-200])
    arguments = ["train", "--model", "tiny", "--data", str(coco), "--out", str(tmp_path / "run"), "--batch", "2"]
    assert cli.main([*arguments, "--epochs", "2", *COMMON]) == 0
    assert "Images whose file is cut off (read as far as it goes): 1\n  5.png is cut off" in capsys.readouterr().err
