"""`casemate baseline`: what is usual of a function."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import BOLD, print_line, print_table
from casemate.cli.text import moment
from casemate.model.baseline import Baseline, BaselineState, Usual
from casemate.operations.baselines import LockBaseline, ResetBaseline, ShowBaseline

app = new_app("See, lock and reset what is usual for a function.")


def _print(found: Baseline) -> None:
    state = (
        f"locked by {found.locked_by} at {moment(found.locked_at or 0.0)}"
        if found.state is BaselineState.LOCKED
        else "learning"
    )
    print_line(f"{found.project}/{found.function}: {state}", BOLD)
    print_line(f"  since     {moment(found.since)}")
    print_line(f"  calls     {found.calls}")
    times = "once" if found.withheld == 1 else f"{found.withheld} times"
    print_line(f"  withheld  {times}, since something was denied or found")
    print_line(f"  version   {found.version}")
    for difference in found.differences:
        print_line(f"    {difference}")
    print_table(
        ("what", "usual"),
        [(each.aspect.value, text) for each in found.usual for text in _texts(each)],
        empty="Nothing was learned yet.",
    )


def _texts(usual: Usual) -> list[str]:
    found = list(usual.values)
    if usual.low is not None:
        found.append(f"{usual.low} to {usual.high}")
    if usual.left_out:
        found.append(f"and {usual.left_out} for which there was no room")
    return found


@answered(
    app,
    ShowBaseline,
    examples="$ casemate baseline show checkout\n$ casemate baseline show shop/checkout --json",
)
def show(found: Baseline) -> None:
    """Show what is usual for a function: callers, triggers, grants, hosts, durations, sizes."""
    _print(found)


@answered(app, LockBaseline, examples="$ casemate baseline lock checkout")
def lock(found: Baseline) -> None:
    """Stop learning. Anything not seen until now is reported from now on."""
    _print(found)


@answered(
    app,
    ResetBaseline,
    examples="$ casemate baseline reset checkout --yes",
    confirm=("Forget what is usual of {call.name}?"),
)
def reset(found: Baseline) -> None:
    """Forget what was learned, and start again."""
    _print(found)
