"""A run's numbers as CSV, one row per step or evaluation."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def start_log(path: Path, columns: Sequence[str], keep_until_step: int) -> None:
    """Begin a log; of an earlier one the rows up to that step stay, those a lost part of the run had written go."""
    rows = []
    if keep_until_step and path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= keep_until_step]
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(unfinished, path)


def append_row(path: Path, columns: Sequence[str], row: Mapping[str, float | int | None]) -> None:
    """Append one row; floats keep six digits, None stays empty."""
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
