"""`casemate drill`: attacks that are played on a live node."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.credentials import choose
from casemate.cli.drill_guard import DrillGuard
from casemate.cli.drill_node import DrillNode, new_folder
from casemate.cli.errors import ExitCode
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    GREEN,
    RED,
    YELLOW,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
    print_text,
    progress,
)
from casemate.drills.catalogue import chosen
from casemate.drills.drill import Outcome, Run
from casemate.drills.kept import KeptRuns
from casemate.drills.report import HEADS, RISKS, chart, markdown, moment, summary
from casemate.drills.running import run as play

_RULES_SHOWN = 6
"""Rules that one paragraph names: a run of all attacks is found by two hundred."""

app = new_app("Play attacks on the node, and see whether they are stopped.")


class Format(StrEnum):
    """Forms of a report."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    JSON = "json"


def _kept() -> KeptRuns:
    state = os.environ.get("XDG_STATE_HOME") or ""
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local/state"
    return KeptRuns(base / "casemate" / "drills")


@command(app, examples="$ casemate drill ls\n$ casemate drill ls event --json")
def ls(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Only those whose ids begin with this."),
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """List the attacks: what each is, which risk and technique it belongs to."""
    drills = chosen(ids or ())
    if json:
        print_json(
            [
                {
                    "id": each.id,
                    "title": each.title,
                    "way": each.way,
                    "risk": each.risk,
                    "technique": each.technique,
                    "cloud": each.cloud,
                    "source": each.source,
                    "denied": each.denied,
                    "rule": each.rule,
                    "recorded": each.recorded,
                }
                for each in drills
            ]
        )
        return
    print_table(
        ("id", "risk", "technique", "what it is"),
        [(each.id, str(each.risk), each.technique, each.title) for each in drills],
        empty="There is none.",
        below=("what it is",),
    )
    risks = ", ".join(f"{number} {name}" for number, name in RISKS.items())
    note(f"{len(drills)} attacks. Risks: {risks}. Play them: casemate drill run")


@command(
    app,
    examples="$ casemate drill run\n$ casemate drill run event-queue request\n"
    "$ casemate drill run --json",
)
def run(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Only attacks whose ids begin with this."),
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Play the attacks on a project of their own, and report on each.

    The project casemate-drill is deployed, attacked through code, events and requests while honest
    calls go on, and removed. An attack must be prevented, and be on record with who did it. Nothing
    is simulated: denials, findings and alerts are those of any attack. Attacks that would harm the
    node exist only as records, over which a rule of detection is run (`recorded` of `drill ls
    --json` says why). The exit code is 0 if all went as it must, otherwise 1. It needs the rights
    of an owner.
    """
    drills = chosen(ids or ())
    credentials = choose()
    with (
        new_folder() as folder,
        DrillGuard(credentials, Path(folder)) as guard,
        DrillNode(credentials, Path(folder)) as node,
        progress(f"Playing {len(drills)} attacks on {credentials.url}") as step,
    ):

        def told(number: int, outcome: Outcome) -> None:
            step.update(f"{number} of {len(drills)}: {outcome.title}")

        done = play(node, credentials.url, drills, told, guard.held)
    try:
        _kept().keep(done)
    except OSError as error:
        note(f"The run could not be kept for `casemate drill report`: {error.strerror}", YELLOW)
    if json:
        print_json(_document(done))
    else:
        _print(done, [done])
    if not done.passed:
        raise typer.Exit(ExitCode.FAILURE)


@command(
    app,
    examples="$ casemate drill report\n$ casemate drill report 3fa9c21b --format markdown\n"
    "$ casemate drill report --json",
)
def report(
    id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Its id. Default: the newest.")
    ] = None,
    *,
    format: Annotated[Format, typer.Option("--format", help="What is printed.")] = Format.TERMINAL,
    json: JsonOption = False,
) -> None:
    """Print the results of a run that was made from here, compared with earlier ones."""
    runs = _kept()
    found = runs.get(id)
    every = runs.all()
    # In the order in which they were made, whatever the clock was then.
    before = every[: 1 + next((n for n, each in enumerate(every) if each.id == found.id), -1)]
    if json or format is Format.JSON:
        print_json(_document(found))
    elif format is Format.MARKDOWN:
        print_text(markdown(found, before))
    else:
        _print(found, before)


def _document(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "node": run.node,
        "project": run.project,
        "at": run.at,
        "seconds": run.seconds,
        "passed": run.passed,
        "attacks": len(run.outcomes),
        "failed": [each.id for each in run.failed],
        "calls": run.calls,
        "lost_calls": run.lost_calls,
        "left": run.left,
        "findings": run.findings,
        "outcomes": [
            {
                "id": each.id,
                "way": each.way,
                "risk": each.risk,
                "technique": each.technique,
                "passed": each.passed,
                "prevented": each.prevented,
                "detected": each.detected,
                "detected_seconds": each.detected_seconds,
                "contained_seconds": each.contained_seconds,
                "restored_seconds": each.restored_seconds,
                "evidence": each.evidence,
                "problem": each.problem,
            }
            for each in run.outcomes
        ],
    }


def _found(run: Run) -> str:
    """Return in words which rules found something; of many those that found most."""
    found = sorted(run.findings.items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(f"{rule} ({count})" for rule, count in found[:_RULES_SHOWN])
    if len(found) <= _RULES_SHOWN:
        return f"found by rules: {shown or 'nothing'}"
    return (
        f"found by {len(found)} rules, {sum(run.findings.values())} times; most by {shown}. "
        f"All: `casemate drill report {run.id} --format markdown`"
    )


def _print(run: Run, before: list[Run]) -> None:
    # Two of the times are of containment alone.
    below = ("contained", "restored")
    print_table(HEADS, summary(run), empty="No attack was played.", below=below)
    for each in run.failed:
        print_line(f"{each.id}: {each.problem}", RED)
    print_prose(_found(run))
    print_text(f"honest calls: {run.calls}, lost: {run.lost_calls}; {run.seconds:.0f} s in all")
    if len(before) > 1:
        print_text(f"runs so far: {chart(before)}  (the last {moment(before[-1].at)})")
    if run.left:
        print_line(f"Not cleaned up: {run.left}", RED)
    if run.passed:
        print_line(f"All {len(run.outcomes)} attacks went as they must.", GREEN)
    else:
        print_line(f"{len(run.failed)} of {len(run.outcomes)} attacks did not.", RED)
    note(f"casemate drill report {run.id} --format markdown gives a document.")
