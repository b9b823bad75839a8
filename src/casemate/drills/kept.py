"""Runs that are kept: one file each, the newest, for whoever made them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.drills.drill import Run
from casemate.model.errors import NotFoundError

MAX_RUNS = 50
MAX_BYTES = 8 << 20
_decode = msgspec.json.Decoder(Run).decode


def _number(path: Path) -> int:
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


class KeptRuns:
    """The runs in a folder."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, made when the first is kept."""
        self._folder = folder

    def keep(self, run: Run) -> None:
        """Keep a run, and the newest others. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The newest is the last of them though the clock was set back since.
        number = max([int(run.at), *(_number(each) + 1 for each in self._paths()[-1:])])
        path = self._folder / f"{number}-{run.id}.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(run))
        temporary.replace(path)
        for old in self._paths()[:-MAX_RUNS]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _paths(self) -> list[Path]:
        """Return their files, the oldest first: names begin with the time, or a later number."""
        return sorted(self._folder.glob("*-*.json"), key=lambda each: (_number(each), each.name))

    def all(self) -> list[Run]:
        """Return those that can be read, the oldest first."""
        found = []
        for path in self._paths()[-MAX_RUNS:]:
            with contextlib.suppress(OSError, *DECODING_ERRORS), path.open("rb") as file:
                found.append(_decode(file.read(MAX_BYTES)))
        return found

    def get(self, id: str | None) -> Run:
        """Return a run by its id, the newest without one. Raises NotFoundError."""
        for run in reversed(self.all()):
            if id is None or run.id == id:
                return run
        raise NotFoundError(
            "There is no run yet." if id is None else f"There is no run {id}.",
            next_step="`casemate drill run` makes one.",
        )
