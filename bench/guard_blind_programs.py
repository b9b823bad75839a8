"""Programs of `bench.guard_blind`: what its folder has, and how it is read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ATTACK, HARMLESS = "attack", "harmless"
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?([<>=!~]=?[\w.*,<>=!~]+)?"
)


class ProgramError(Exception):
    """A program is not as it is expected to be."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An event for a program."""

    program: str
    number: int
    sink: str
    kind: str
    why: str
    event: Any


@dataclass(frozen=True, kw_only=True)
class Program:
    """A handler, and its cases."""

    folder: Path
    requires: tuple[str, ...]
    cases: tuple[Case, ...]


def read(folder: Path) -> Program:
    """Read a program. Raises ProgramError."""
    try:
        told = json.loads((folder / "cases.json").read_bytes())
        requires = tuple(told.get("requires", ()))
        cases = tuple(
            Case(
                program=folder.name,
                number=number,
                sink=str(told["sink"]),
                kind=case["kind"],
                why=str(case.get("why", "")),
                event=case["event"],
            )
            for number, case in enumerate(told["cases"], 1)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProgramError(f"{folder.name}: cases.json: {type(error).__name__}: {error}") from error
    if not cases:
        raise ProgramError(f"{folder.name}: it has no cases")
    kinds = {case.kind for case in cases} - {ATTACK, HARMLESS}
    if kinds:
        raise ProgramError(
            f"{folder.name}: the kind {kinds.pop()!r} is neither attack nor harmless"
        )
    odd = [one for one in requires if not isinstance(one, str) or not _REQUIREMENT.fullmatch(one)]
    if odd:
        raise ProgramError(f"{folder.name}: {odd[0]!r} is no name of a package")
    if not (folder / "handler.py").is_file():
        raise ProgramError(f"{folder.name}: there is no handler.py")
    return Program(folder=folder, requires=requires, cases=cases)
