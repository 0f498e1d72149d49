"""Files appear whole or not at all, whoever writes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rtdetr_explained.writing import unfinished


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with unfinished(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), unfinished(path) as part:
        part.write_text(Path("no/such/file").read_text())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_threads_that_write_to_one_name_do_not_meet(tmp_path: Path) -> None:
    path, start, texts = tmp_path / "a.txt", threading.Barrier(8), [str(i) * 100_000 for i in range(8)]
    failures: list[BaseException] = []

    def write(text: str) -> None:
        try:
            start.wait()
            for _ in range(20):
                with unfinished(path) as part:
                    part.write_text(text)
                assert path.read_text() in texts
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    code = f"""if True:
        import os, pathlib
        from rtdetr_explained.writing import unfinished
        with unfinished(pathlib.Path({str(path)!r})) as part:
            part.write_text("half")
            os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", code], check=False)
    [left] = os.listdir(tmp_path)
    assert left.endswith(".part")
    alive, other = tmp_path / f".a.txt.{os.getpid()}.1.part", tmp_path / ".b.txt.1.1.part"
    for file in (alive, other):
        file.touch()
    with unfinished(path) as part:
        part.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == sorted([alive.name, other.name, "a.txt"])
