"""A run's numbers as CSV, one row per step or evaluation, and for TensorBoard."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtdetr_explained.writing import unfinished


def start_log(path: Path, columns: Sequence[str], keep_until_step: int) -> None:
    """Begin a log; of an earlier one the rows up to that step stay, those a lost part of the run had written go."""
    rows = []
    if keep_until_step and path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            # A disk that was full can have left half a row, whose step may be cut off, too.
            whole = [row for row in csv.DictReader(file) if None not in row.values()]
            rows = [row for row in whole if int(row["step"]) <= keep_until_step]
    with unfinished(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def append_row(path: Path, columns: Sequence[str], row: Mapping[str, float | int | None]) -> None:
    """Append one row; floats keep six digits, None stays empty."""
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})


def open_tensorboard(folder: Path, step: int) -> Any:
    """A TensorBoard writer for that folder, without what an earlier run wrote after `step`; None if not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder / "tensorboard", purge_step=step + 1)


def write_scalars(board: Any, group: str, row: Mapping[str, float | int | None], step: int) -> None:
    """Send one row to TensorBoard, if there is one."""
    if board is not None:
        for name, value in row.items():
            if value is not None:
                board.add_scalar(f"{group}/{name}", value, step)


def read_log(path: Path) -> list[dict[str, float | None]]:
    """The rows of a log as numbers; an empty field is None."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [{name: float(value) if value else None for name, value in row.items()} for row in rows]
