"""Finding the picture that an annotation names, however the tool that wrote it spells the path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


class Pictures:
    """The pictures in some folders.

    A name is looked for as it stands, then without its leading folders (`images/x.jpg`, `./x.jpg`, `C:\\data\\x.jpg`,
    a path of another computer), then in another case (`x.JPG`), with any suffix where it has none, and unquoted
    (`my%20x.jpg`, as labelling servers write). Folders are listed only once, and only when a name is not there as it
    stands.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = [place for place in places if place.is_dir()]
        self.listings: dict[Path, dict[str, list[Path]]] = {}

    @property
    def places_text(self) -> str:
        """The folders that come first, for messages."""
        return " or ".join(map(str, self.places[:2])) or "any folder"

    def find(self, name: str) -> Path | None:
        """The file, or None when there is none, or more than one that could be meant."""
        parts = [part for part in name.strip().replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts or "\0" in name:
            return None
        tails = [parts[start:] for start in range(len(parts))]
        as_it_stands = (place / name for place in self.places)  # a whole path stays one
        shorter = (place.joinpath(*tail) for tail in tails for place in self.places)
        try:
            found = next((path for path in chain(as_it_stands, shorter) if path.is_file()), None)
        except OSError:  # a name that is too long for a file
            return None
        found = found or next(filter(None, (self._otherwise(p, t) for t in tails for p in self.places)), None)
        if found is None and unquote(name) != name:
            return self.find(unquote(name))
        return found

    def _otherwise(self, place: Path, tail: list[str]) -> Path | None:
        """The one picture in a folder whose name differs in case only, or that has a suffix where the name has none."""
        listing = self._listing(place.joinpath(*tail[:-1]))
        matches = listing.get(tail[-1].lower(), [])
        return matches[0] if len(matches) == 1 else None

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        """The pictures of a folder by their names in lower case, with and without suffix."""
        if folder not in self.listings:
            listing: dict[str, list[Path]] = {}
            for path in pictures_in(folder):
                listing.setdefault(path.name.lower(), []).append(path)
                listing.setdefault(path.stem.lower(), []).append(path)
            self.listings[folder] = listing
        return self.listings[folder]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order of their names."""
    return files_in(folder, SUFFIXES)


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder with one of these endings in any case, sorted; not the `._x` that macOS leaves beside x."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    return [p for p in paths if p.suffix.lower() in suffixes and not p.name.startswith("._") and p.is_file()]
