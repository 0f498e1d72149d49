"""Deliberate breaks: apply one edit at a time to a copy of the checkout, and see whether a test of that file notices.

    python tests/breaks/run.py                   every break of the tables beside this file
    python tests/breaks/run.py training/ clip    those whose file, name or table holds one of these words
    python tests/breaks/run.py --part 2/3        the second third of them
    python tests/breaks/run.py --check           only whether every edit still fits its file
    python tests/breaks/run.py --trust           without trying first whether the tests pass by themselves

A table is a TOML file with one `[[break]]` each: `file`, `before` and `after` (a text that occurs once in the file, and
what takes its place), `name` (what is wrong then) and, where those of the same name at the same place of `tests/unit`
are not the ones that know, `tests`. Nothing is written outside of a temporary folder. Exit code 1 when one survives.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT_S = 600
KILLED, SURVIVED, INVALID = "killed", "SURVIVED", "INVALID"
RESULTS = (KILLED, SURVIVED, INVALID)
SLOW_IMPORTS = ("torch", "torch.utils.data", "torch.utils.flop_counter", "scipy.optimize", "matplotlib.figure")
SLOW_IMPORTS += ("plotly.graph_objects", "pandas", "safetensors.torch", "streamlit")
PYTEST = (
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
)
toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


@dataclass(frozen=True)
class Break:
    """One edit, the tests that should notice it, and the table it stands in."""

    table: str
    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def fault(self, root: Path) -> str:
        """Why the edit cannot be tried, in words; "" when it can."""
        path = root / self.file
        if not path.is_file():
            return f"there is no {self.file}"
        if (times := path.read_text(encoding="utf-8").count(self.before)) != 1:
            return f"the text before occurs {times} times in {self.file}"
        if self.before == self.after:
            return "before and after are the same"
        missing = [test for test in self.tests if not (root / test.split("::")[0]).exists()]
        return f"there are no tests {', '.join(missing)}" if missing else ""


def read_tables(folder: Path) -> list[Break]:
    """All breaks, table after table."""
    breaks = []
    for table in sorted(folder.glob("*.toml")):
        for row in toml.loads(table.read_text(encoding="utf-8"))["break"]:
            tests = tuple(row.get("tests", ())) or tests_of(row["file"])
            breaks.append(Break(table.stem, row["name"], row["file"], row["before"], row["after"], tests))
    return breaks


def tests_of(file: str) -> tuple[str, ...]:
    """The tests beside a module: `rtdetr_explained/training/step.py` has `tests/unit/training/test_step.py`."""
    inside = Path(file).relative_to("rtdetr_explained") if file.startswith("rtdetr_explained/") else Path(file)
    return (str(Path("tests/unit") / inside.parent / f"test_{inside.stem}.py"),)


def copy_checkout(to: Path) -> None:
    """Copy every file that git knows or does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def passes(copy: Path, tests: tuple[str, ...]) -> bool | None:
    """Whether these tests pass in the copy; None when they could not be run at all, or not in time.

    They run in a child of this process, which has the slow imports behind it and none of the project's own.
    """
    child = os.fork()
    if not child:
        try:
            signal.alarm(TIMEOUT_S)  # ends the child
            os.chdir(copy)
            sys.path.insert(0, str(copy))
            os.environ["PYTHONPATH"] = str(copy)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            os._exit(int(pytest.main([*PYTEST, *tests])))
        finally:
            os._exit(70)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: True, 1: False}.get(status)


def attempt(copy: Path, case: Break) -> str:
    """Try one break in the copy, which is the same again afterwards."""
    if case.fault(copy):
        return INVALID
    path = copy / case.file
    whole = path.read_text(encoding="utf-8")
    try:
        path.write_text(whole.replace(case.before, case.after), encoding="utf-8")
        return {True: SURVIVED, False: KILLED, None: INVALID}[passes(copy, case.tests)]
    finally:
        path.write_text(whole, encoding="utf-8")


def choose(breaks: list[Break], words: list[str], part: str) -> list[Break]:
    """Those that hold a word, if any is given, and of these the part asked for, "2/3"."""
    chosen = [b for b in breaks if not words or any(w in f"{b.table} {b.file} {b.name}" for w in words)]
    which, parts = (int(number) for number in part.split("/"))
    return chosen[which - 1 :: parts]


def main() -> int:
    """Run what was asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("words", nargs="*", help="only breaks that hold one of these words")
    options.add_argument("--part", default="1/1", metavar="I/N", help="every N-th of them, from the I-th on")
    options.add_argument("--check", action="store_true", help="only check that every edit fits")
    options.add_argument("--trust", action="store_true", help="do not first see whether the tests pass without a break")
    given = options.parse_args()
    breaks = choose(read_tables(HERE), given.words, given.part)
    if faults := [f"{b.table}: {b.name}: {fault}" for b in breaks if (fault := b.fault(ROOT))]:
        print(*faults, sep="\n")
    if given.check:
        print(f"{len(breaks) - len(faults)} of {len(breaks)} breaks fit.")
        return int(bool(faults))
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported
    sys.dont_write_bytecode = True  # an edit within the same second would be read from the old bytecode
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for module in SLOW_IMPORTS:
        if find_spec(module.split(".")[0]):
            import_module(module)
    counts: dict[str, int] = dict.fromkeys(RESULTS, 0)
    whole: dict[tuple[str, ...], bool | None] = {}  # whether the tests pass without any break
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        copy_checkout(copy := Path(folder))
        for case in breaks:
            began = time.monotonic()
            if case.tests not in whole:
                whole[case.tests] = given.trust or passes(copy, case.tests)
            result = attempt(copy, case) if whole[case.tests] else INVALID
            why = "" if whole[case.tests] else "  (its tests do not pass without it)"
            counts[result] += 1
            print(f"{result:<9}{case.table:<14}{case.name}{why}  {time.monotonic() - began:.0f} s", flush=True)
    print(", ".join(f"{count} {result.lower()}" for result, count in counts.items()))
    return int(counts[SURVIVED] + counts[INVALID] > 0)


if __name__ == "__main__":
    sys.exit(main())
