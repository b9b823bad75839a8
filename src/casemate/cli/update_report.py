"""What `casemate deps update` shows: changes and their costs, for people and programs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from casemate.cli.terminal import (
    DIM,
    GREEN,
    RED,
    YELLOW,
    note,
    print_line,
    print_prose,
    print_table,
)
from casemate.cli.text import size

if TYPE_CHECKING:
    from casemate.cli.replaying import Replayed
    from casemate.cli.watching import Tried
    from casemate.repair import Change, LockUpdate, Price


def print_update(update: LockUpdate) -> None:
    """Show what becomes of one lock, what that costs, and what stays."""
    plan = update.plan
    print_line(f"{update.requirements}, Python {update.python}")
    if plan.changes:
        print_table(
            ("package", "from", "to", "step", "size", "clears", "why", "also does now"),
            [_row(each, update.prices.get(each.package)) for each in plan.changes],
            below=("clears", "why", "also does now"),
            empty="",
        )
    else:
        print_line("Nothing would change.", DIM)
    for name in update.after:
        if not name.endswith(".lock"):
            _print_difference(name, update.before[name] or "", update.after[name])
    for each in plan.uncleared:
        print_prose(f"{each.id} in {each.package} {each.version} stays: {each.reason}", RED)
    if not plan.smallest:
        note("The search took too long: a smaller change may exist.", YELLOW)
    if update.command:
        print_line(f"The lock is uv's: {update.command}")


def _row(change: Change, price: Price | None) -> tuple[str, ...]:
    step = str(change.step or ("new" if change.old is None else "gone"))
    return (
        change.package,
        change.old or "-",
        change.new or "-",
        f"{step}, down" if change.down else step,
        _sizes(price),
        ", ".join(change.clears) or "-",
        change.why,
        _gains(price),
    )


def _sizes(price: Price | None) -> str:
    if price is None:
        return "?"
    known = [size(one) for one in (price.size_before, price.size_after) if one is not None]
    return " > ".join(known) or "?"


def _gains(price: Price | None) -> str:
    if price is None:
        return "?"
    told = "; ".join(f"{ability} ({place})" for ability, place in price.gains.items())
    return told or ("nothing seen" if price.whole else "not all could be examined")


def _print_difference(name: str, before: str, after: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), name, name, lineterm="", n=1
    )
    for line in lines:
        colour = {"+": GREEN, "-": RED}.get(line[:1])
        print_line(line, colour)


def print_replayed(replayed: Sequence[Replayed]) -> None:
    """Show how many recorded events are answered alike, and what was not compared."""
    for each in replayed:
        print_line(f"{each.function}: {each.alike} recorded event(s) are answered alike")
        for id, why in each.left_out.items():
            note(f"{each.function}: {id} is not compared: {why}", YELLOW)


def document(
    updates: Sequence[LockUpdate],
    written: Sequence[str],
    replayed: Sequence[Replayed],
    tried: Sequence[Tried] = (),
) -> dict[str, Any]:
    """Return all of it for programs."""
    return {
        "locks": [
            {
                "requirements": each.requirements,
                "python": each.python,
                "changes": each.plan.changes,
                "costs": each.prices,
                "uncleared": each.plan.uncleared,
                "requirements_changed": each.plan.loosened,
                "smallest": each.plan.smallest,
                "files": sorted(each.after),
                "command": each.command or None,
            }
            for each in updates
        ],
        "written": list(written),
        "replayed": list(replayed),
        "tried": list(tried),
    }
