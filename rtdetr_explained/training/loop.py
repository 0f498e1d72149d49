"""The training loop: images in, a trained detector out, and no way to lose more than a few minutes of it."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.augment import ZOOM_SIDE
from rtdetr_explained.data.class_matching import with_classes
from rtdetr_explained.data.reading import read_annotations
from rtdetr_explained.data.report import Report
from rtdetr_explained.errors import InputError
from rtdetr_explained.evaluation.photos import evaluate_photos
from rtdetr_explained.evaluation.shapes import evaluate_shapes
from rtdetr_explained.model.class_names import SHAPE_CLASSES
from rtdetr_explained.training.checkpoint import load_checkpoint
from rtdetr_explained.training.config import TrainConfig
from rtdetr_explained.training.data import PhotoDataset, ShapesDataset, batches
from rtdetr_explained.training.distributed import Processes, is_lost_process, joined, mean_over_processes
from rtdetr_explained.training.lock import locked
from rtdetr_explained.training.log import append_row, open_tensorboard, start_log, write_scalars
from rtdetr_explained.training.plot import save_summary
from rtdetr_explained.training.run import Run, TrainingStopped, checkpoint_path, restore, save, settled, start_run
from rtdetr_explained.training.step import KINDS, PARTS, train_step
from rtdetr_explained.weights.saving import save_weights
from rtdetr_explained.weights.zoo import ZOO

LOG_COLUMNS = ("step", "images", "seconds", "lr", "loss", *KINDS, *PARTS, "grad_norm")
METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR")
EVALUATION_COLUMNS = ("step", "images", "seconds", *METRICS)


@dataclass(frozen=True)
class Material:
    """What a run learns from: classes, annotations (None: generated shapes), and its length in images.

    `held_out` are the photographs to evaluate on, if any. From image `weak_from` on there is neither strong
    augmentation nor multi-scale.
    """

    class_names: tuple[str, ...]
    annotations: Annotations | None
    held_out: Annotations | None
    epoch_images: int
    total_images: int
    weak_from: int

    def dataset(self, size: tuple[int, int], seed: int, augment: bool, zoom_side: float = ZOOM_SIDE) -> Dataset:
        """The training images at size (height, width)."""
        if self.annotations is None:
            return ShapesDataset(size)
        weak_from = self.weak_from if augment else 0
        return PhotoDataset(self.annotations, size, seed, self.epoch_images, weak_from, zoom_side)


@dataclass(frozen=True)
class Part:
    """A part of a run that somebody else paces: it ends at `until` images and is evaluated and saved there.

    The schedule stays that of the whole run. `bar` counts images, and `stop_asked` replaces the signals.
    """

    until: int
    bar: tqdm
    stop_asked: Callable[[], bool]


def train(config: TrainConfig, part: Part | None = None) -> Run:
    """Train as configured, writing checkpoint.pt, log.csv, evaluation.csv and summary.svg into `config.out`.

    A finished run also leaves its averaged weights in float16, named after its folder, for `rtdetr_explained.load`.
    Ctrl-C and SIGTERM end the run after the current step with a checkpoint. A resumed run goes on exactly as if it
    had not been interrupted, and may be given more images; a `part` ends the call early. Started by `torchrun`, all
    processes share every batch and the first one writes; the folder must then be one that all machines see. Raises
    TrainingStopped when the loss or a gradient becomes NaN or infinite or another process ends, and InputError for
    unusable input.
    """
    with joined(config.device) as processes:
        try:
            return _train(config, processes, part)
        except RuntimeError as error:
            if isinstance(error, TrainingStopped) or not is_lost_process(error):
                raise
            raise TrainingStopped(
                "Training stopped because another process of this run has ended or cannot be reached. The last "
                "checkpoint is kept; start the same command again with --resume."
            ) from error


def _train(config: TrainConfig, processes: Processes, part: Part | None) -> Run:
    if config.batch % processes.size:
        raise InputError(f"A batch of {config.batch} cannot be shared by {processes.size} processes; give a multiple.")
    torch.set_num_threads(config.threads)
    config, remarks = settled(config)
    say(remarks, processes)
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {config.out} cannot be made ({error.strerror}); choose another --out.") from None
    check_name(config)
    with locked(config.out) if processes.first else nullcontext():
        return _train_in(config, processes, part)


def _train_in(config: TrainConfig, processes: Processes, part: Part | None) -> Run:
    """The run in its folder, which is there and nobody else's."""
    path = checkpoint_path(config)
    if path.exists() and not config.resume:
        raise InputError(f"{path} exists already; add --resume to continue that run, or choose another folder.")
    processes.wait()  # until all have looked
    report = Report(strict=config.strict)
    try:
        material = read_material(config, report)
    finally:  # where nothing can be used, the problems are the reasons
        say(report.lines(), processes)
    run = start_run(config, material.class_names, processes)
    if config.resume:
        restore(run, load_checkpoint(path), config)
    elif processes.first:
        save(run, config)  # a folder that cannot be written shows now, not after the first minutes of work
    steps_left = max(0, material.total_images - run.images) // config.batch
    if not steps_left and weights_path(config).exists():
        raise InputError(f"The run in {config.out} has seen all its {run.images} images; make it longer to go on.")
    total_steps = run.step + steps_left
    if config.weak_epochs and not material.weak_from:
        say([f"All of this run is within its last {config.weak_epochs} epochs: no augmentation."], processes)
    report = Report(strict=config.strict)  # of the pictures, which are read as the run goes on
    try:
        if steps_left:
            with nullcontext(part.stop_asked) if part else stop_signals() as stop_asked:
                _steps(run, config, material, report, total_steps, processes, stop_asked, part)
    finally:
        say(report.lines(), processes)
    run.complete = run.step == total_steps
    if processes.first:
        if run.complete or not part:
            save_summary(config.out)
        if run.complete:
            average = run.ema.module
            save_weights(weights_path(config), average.state_dict(), average.config, torch.float16)
    return run


def say(lines: Sequence[str], processes: Processes) -> None:
    """Print lines about the run on stderr, from the first process alone."""
    if processes.first and lines:
        print(*lines, sep="\n", file=sys.stderr)


def weights_path(config: TrainConfig) -> Path:
    """Where a finished run leaves its weights: named by `name`, else after the folder, never like a known model."""
    name = config.name or config.out.resolve().name or config.model
    return config.out / f"{name}{'-trained' if name in ZOO else ''}.safetensors"


def check_name(config: TrainConfig) -> None:
    """Raise InputError when the weights shall have the name of a model that is another one."""
    if config.name in ZOO:
        raise InputError(f"{config.name} is the name of a model that there is already; give another --name.")


def _steps(
    run: Run,
    config: TrainConfig,
    material: Material,
    report: Report,
    total_steps: int,
    processes: Processes,
    stop_asked: Callable[[], bool],
    part: Part | None,
) -> None:
    """All steps of the run or of a part of it, or those until it is asked to stop."""
    end = part.until if part else material.total_images
    size, device = run.model.config.image_size, next(run.model.parameters()).device
    dataset = material.dataset(size, run.seed, config.augment, config.zoom_side)
    data = batches(dataset, run.images, end, config.batch, config.workers, processes)
    log, evaluations = config.out / "log.csv", config.out / "evaluation.csv"
    board = None
    if processes.first:
        start_log(log, LOG_COLUMNS, run.step)
        start_log(evaluations, EVALUATION_COLUMNS, run.step)
        board = open_tensorboard(config.out, run.step)
    bar = part.bar if part else progress_bar(end, run.images, disable=not processes.first)
    saved = began = time.monotonic()
    with nullcontext() if part else bar:
        for batch in data:
            for kind, sentence in batch.problems:
                report.add(kind, sentence)
            multi_scale = config.multi_scale and run.images < material.weak_from
            row = train_step(run, batch, config, total_steps, multi_scale, processes)
            # All must stop after the same step, and a signal may reach them at different ones.
            stop = mean_over_processes(torch.tensor(float(stop_asked()), device=device)).item() > 0
            if processes.first:
                now = time.monotonic()
                run.seconds, began = run.seconds + now - began, now
                where = {"step": run.step, "images": run.images, "seconds": run.seconds}
                append_row(log, LOG_COLUMNS, {**where, **row})
                write_scalars(board, "train", row, run.step)
                bar.set_postfix({k: f"{row[k]:.3g}" for k in ("loss", *KINDS)}, refresh=False)
                bar.update(config.batch)
                last = run.images + config.batch > end
                if last or _crosses(config.evaluate_every, run.images, config.batch):
                    known = evaluate(run, config, material, report)
                else:
                    known = {}
                if known:
                    append_row(evaluations, EVALUATION_COLUMNS, {**where, **known})
                    write_scalars(board, "evaluation", known, run.step)
                    bar.write(
                        f"{bar.desc}{run.images} images: " + ", ".join(f"{k} {_text(v)}" for k, v in known.items())
                    )
                    began = time.monotonic()
                if last or stop or time.monotonic() - saved > 60 * config.checkpoint_minutes:
                    save(run, config)
                    saved = time.monotonic()
                if stop:
                    bar.write(f"Stopped at step {run.step}, {run.images} images; the checkpoint is in {config.out}.")
            if stop:
                break
    if board is not None:
        board.close()


def evaluate(run: Run, config: TrainConfig, material: Material, report: Report) -> dict[str, float | None]:
    """Metrics of the averaged weights on held-out scenes or photographs; none when there are no such photographs."""
    model, size = run.ema.module, run.model.config.image_size
    if material.held_out is not None:
        metrics = evaluate_photos(model, material.held_out, size, config.batch, report)
    elif material.annotations is None:
        metrics = evaluate_shapes(model, range(config.evaluate_images), size, config.batch)
    else:
        return {}
    return {name: metrics[name] for name in METRICS}


def read_material(config: TrainConfig, report: Report) -> Material:
    """Read the data asked for and work out how long the run is; raises InputError when they do not fit together."""
    annotations, class_names, epoch_images = None, SHAPE_CLASSES, 0
    if config.data == "shapes":
        if config.epochs:
            raise InputError("Generated shapes have no epochs; give the length of the run as steps or images.")
    else:
        annotations = read_annotations(Path(config.data), Path(config.folder) if config.folder else None, report)
        class_names = annotations.class_names
        epoch_images = len(annotations.images) // config.batch * config.batch
        if not epoch_images:
            raise InputError(
                f"The {len(annotations.images)} images of {config.data} do not fill one batch of {config.batch}; "
                "give a smaller batch."
            )
    held_out = None
    if config.val:
        pictures = Path(config.val_images) if config.val_images else None
        held_out = read_annotations(Path(config.val), pictures, report, "val")
        held_out = with_classes(
            replace(held_out, images=held_out.images[: config.evaluate_images]), class_names, report
        )
    total = config.images or config.steps * config.batch or config.epochs * epoch_images
    weak_from = max(0, total - config.weak_epochs * epoch_images)
    return Material(class_names, annotations, held_out, epoch_images, total, weak_from)


def progress_bar(total: int, done: int, disable: bool = False) -> tqdm:
    """A bar that counts images; where stderr is a file, a line in it every 30 seconds."""
    often = 1 if sys.stderr.isatty() else 30
    return tqdm(total=total, initial=done, unit="img", mininterval=often, disable=disable)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a question: within the block, the function given tells whether one has come."""
    came = []
    before = {s: signal.signal(s, lambda number, frame: came.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _crosses(every: int, images: int, batch: int) -> bool:
    """Whether the last batch reached a multiple of `every` images."""
    return every > 0 and images // every > (images - batch) // every


def _text(metric: float | None) -> str:
    return "none" if metric is None else f"{metric:.3f}"
