"""Known holes of interpreters, OpenSSL and SQLite, by a dated file that comes with Casemate.

Advisories that are imported are about packages of PyPI and npm; nobody writes them about these.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import msgspec

from casemate.decoding import decodable
from casemate.host_support.standing import Standing, State

OLD_DAYS = 180
"""After so many days what the file says of a component may have been overtaken."""
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}")
_SHOWN = 4
Numbers = tuple[int, ...]


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Holes that a release closes, on its own branch."""

    fixed: str
    holes: tuple[str, ...]
    since: str = ""
    """The first release of the branch that has them; empty: all before `fixed`."""


class Component(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says of one component."""

    checked: date
    source: str
    kept: tuple[str, ...]
    """Branches that get fixes: what the file does not name of another says nothing."""
    closed: tuple[Closed, ...]


class _KnownHoles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    component: dict[str, Component]


@cache
def components() -> dict[str, Component]:
    """Return what comes with this release."""
    data = Path(__file__).with_name("known_holes.toml").read_bytes()
    return msgspec.toml.decode(data, type=decodable(_KnownHoles)).component


def numbers_of(text: str) -> Numbers | None:
    """Return the first version in a text, None if there is none."""
    found = _NUMBER.search(text[:200])
    return tuple(map(int, found.group().split("."))) if found else None


def _branch(numbers: Numbers, kept: tuple[str, ...]) -> str | None:
    """Return the branch among those that are kept which a version is of."""
    for branch in kept:
        parts = tuple(map(int, branch.split(".")))
        if numbers[: len(parts)] == parts:
            return branch
    return None


def standing_of(name: str, component: str, text: str | None, today: date) -> Standing:
    """Return whether holes are known of a version of a component, as it says itself."""
    told = components()[component]
    numbers = numbers_of(text or "")
    if numbers is None:
        return Standing(name=name, state=State.UNKNOWN, detail="it does not say its version")
    version = ".".join(map(str, numbers))
    branch = _branch(numbers, told.kept)
    if branch is None:
        newest = max(tuple(map(int, kept.split("."))) for kept in told.kept)
        newer = numbers[: len(newest)] > newest
        what = "newer than what is known here" if newer else "of a branch that gets no fixes"
        step = "Update Casemate." if newer else "Use a release of a branch that is kept."
        state = State.UNKNOWN if newer else State.ENDED
        return Standing(name=name, state=state, detail=f"{version} is {what}", next_step=step)
    holes, closing = _open_holes(told, branch, numbers)
    if holes:
        shown = ", ".join(holes[:_SHOWN])
        more = f" and {len(holes) - _SHOWN} more" if len(holes) > _SHOWN else ""
        return Standing(
            name=name,
            state=State.OPEN,
            detail=f"{version} has at least {len(holes)} known vulnerabilities: {shown}{more}",
            next_step=f"Use {'.'.join(map(str, closing))} or newer.",
        )
    if today > told.checked + timedelta(days=OLD_DAYS):
        return Standing(
            name=name,
            state=State.UNKNOWN,
            detail=f"{version}: no vulnerability is known by the old list of {told.checked}",
            next_step="Update Casemate.",
        )
    detail = f"{version}: no vulnerability is known by a list of {told.checked}"
    return Standing(name=name, state=State.GOOD, detail=detail)


def _open_holes(told: Component, branch: str, numbers: Numbers) -> tuple[list[str], Numbers]:
    """Return the holes that a version has, the newest first, and what closes all of them."""
    holes: dict[str, None] = {}
    closing: Numbers = ()
    for each in sorted(told.closed, key=lambda one: numbers_of(one.fixed) or (), reverse=True):
        fixed, since = numbers_of(each.fixed) or (), numbers_of(each.since) or ()
        if _branch(fixed, (branch,)) is None or not since <= numbers < fixed:
            continue
        closing = max(closing, fixed)
        holes |= dict.fromkeys(each.holes)
    return list(holes), closing
