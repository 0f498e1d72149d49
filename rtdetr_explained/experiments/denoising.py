"""What denoising does for the training: one model, trained twice from the same seed, with denoising and without.

Both arms begin with the same weights and see the same images in the same order under the same schedule. They take
turns, an epoch each, so that an experiment that was stopped still has two curves of one length.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.drawing.export import to_bytes
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.errors import InputError
from rtdetr_explained.experiments.collect import collect, matching_path
from rtdetr_explained.experiments.figure import picture
from rtdetr_explained.experiments.matching import matched_objects
from rtdetr_explained.experiments.result import ARMS, name_of, read_result
from rtdetr_explained.experiments.settings import Settings
from rtdetr_explained.training.checkpoint import load_checkpoint
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.lock import locked
from rtdetr_explained.training.loop import Part, progress_bar, stop_signals, train
from rtdetr_explained.training.run import Run, check_side, checkpoint_path, model_config, restore, start_run
from rtdetr_explained.writing import unfinished


def run_experiment(settings: Settings, resume: bool) -> bool:
    """Run the experiment, or go on with it; True when it is finished, False when a signal stopped it.

    The folder holds a run of `train` for each arm with its matching after every epoch, and from the second epoch on
    `denoising.json` and `denoising.svg`, the result so far. Raises InputError for a folder that cannot be used, and
    TrainingStopped when an arm cannot go on.
    """
    configs = {arm: settings.arm(arm) for arm in ARMS}
    check_side(model_config(configs[ARMS[0]]), multi_scale=False)
    open_folder(settings, resume)
    with locked(settings.out):
        return _run(settings, configs)


def _run(settings: Settings, configs: dict[str, TrainConfig]) -> bool:
    done = {arm: images_done(config) for arm, config in configs.items()}
    with stop_signals() as stop_asked, progress_bar(2 * settings.images, sum(done.values())) as bar:
        for epoch in range(max(1, epochs_done(settings)), settings.epochs + 1):
            until = settings.epoch_end(epoch)
            for arm, config in configs.items():
                bar.set_description(name_of(arm), refresh=False)
                if not train_until(until, config, done[arm], bar, stop_asked):
                    return False
                done[arm] = max(done[arm], until)
                if stop_asked():
                    bar.write(f"Stopped after epoch {epoch} {name_of(arm)}.")
                    return False
            if epoch >= 2:
                write_result(settings, epoch)
    return True


def train_until(until: int, config: TrainConfig, done: int, bar: tqdm, stop_asked: Callable[[], bool]) -> bool:
    """Train one arm to the end of an epoch and save its matching there; False when it was stopped before."""
    path = matching_path(config.out, until)
    if path.exists():
        return True
    if done < until:
        run = train(replace(config, resume=checkpoint_path(config).exists()), Part(until, bar, stop_asked))
        if run.images < until:
            return False
    else:  # it was stopped between the checkpoint and the matching
        run = saved_run(config)
    matched = matched_objects(run.model, range(config.evaluate_images), config.batch)
    with unfinished(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, matched=matched)
    return True


def saved_run(config: TrainConfig) -> Run:
    """The run of an arm as its checkpoint has it."""
    run = start_run(replace(config, resume=True), SHAPE_CLASSES)
    restore(run, load_checkpoint(checkpoint_path(config)), config)
    return run


def images_done(config: TrainConfig) -> int:
    """Images that an arm has seen, as its checkpoint has it."""
    path = checkpoint_path(config)
    return load_checkpoint(path)["images"] if path.exists() else 0


def open_folder(settings: Settings, resume: bool) -> None:
    """Make the folder of a new experiment, or check that the one there is the same; raises InputError if not."""
    path = settings.out / "experiment.json"
    if path.exists():
        if not resume:
            raise InputError(f"{settings.out} holds an experiment already; add --resume, or choose another folder.")
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = None
        if not isinstance(there, dict):
            raise InputError(f"{path} is damaged; start again in another folder.")
        now = settings.fixed()
        other = [f"{name} {there.get(name)}, not {now[name]}" for name in now if there.get(name) != now[name]]
        if other:
            raise InputError(
                f"The experiment in {settings.out} was begun with {'; '.join(other)}; resume it with the settings it "
                "has, or choose another folder."
            )
        return
    if resume:
        raise InputError(f"There is no experiment in {settings.out} to resume; start without --resume.")
    settings.out.mkdir(parents=True, exist_ok=True)
    with unfinished(path) as part:
        part.write_text(json.dumps(settings.fixed(), indent=1), encoding="utf-8")


def epochs_done(settings: Settings) -> int:
    """Epochs after which both arms have been measured."""
    ends = [settings.epoch_end(epoch) for epoch in range(1, settings.epochs + 1)]
    return sum(all(matching_path(settings.out / arm, end).exists() for arm in ARMS) for end in ends)


def is_finished(settings: Settings) -> bool:
    """Whether the folder holds the finished result of these very settings."""
    path = settings.out / "denoising.json"
    try:
        result = read_result(path)
    except InputError:  # none, or half of one: it is made again from the runs of the arms
        return False
    return result["settings"] == settings.fixed() and result["epochs_done"] == settings.epochs


def write_result(settings: Settings, epochs: int) -> None:
    """Write denoising.json and denoising.svg: what is known after so many epochs."""
    result = collect(settings, epochs)
    with unfinished(settings.out / "denoising.json") as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    with unfinished(settings.out / "denoising.svg") as part:
        part.write_bytes(to_bytes(to_matplotlib(picture(result).drawing, "light"), "svg"))
