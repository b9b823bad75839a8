"""`casemate incident`: findings that belong together, and what is done about them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli import incident_hold
from casemate.cli.client import connect
from casemate.cli.commands.playbook import print_runs
from casemate.cli.errors import ExitCode, UsageError
from casemate.cli.incident_report import gathered, html, markdown
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    BOLD,
    GREEN,
    RED,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
    print_text,
)
from casemate.cli.text import moment
from casemate.model.errors import CasemateError
from casemate.model.playbook import PlaybookRun, Step
from casemate.operations.incidents import (
    MAX_CONTAINED,
    AssignIncident,
    ContainIncident,
    Containment,
    IncidentPage,
    ListIncidents,
    NoteIncident,
    ResolveIncident,
    ShowIncident,
)
from casemate.operations.playbooks import MAX_RUNS, ListPlaybookRuns, PlaybookRuns, UndoIncident

app = new_app("See incidents, contain them, and report on them.")
_LISTED = 4
"""Things that a line of the list names: an incident can be about 64."""


def in_short(things: Sequence[str]) -> str:
    """Return what a line says of who and what an incident is about: functions first."""
    ordered = sorted(things, key=lambda each: not each.startswith("function:"))
    more = [f"and {len(things) - _LISTED} more"] if len(things) > _LISTED else []
    return ", ".join([*ordered[:_LISTED], *more]) or "-"


class Format(StrEnum):
    """Forms of a report."""

    MARKDOWN = "markdown"
    HTML = "html"


@answered(
    app,
    ListIncidents,
    examples="$ casemate incident ls\n$ casemate incident ls --state open --level high\n"
    "$ casemate incident ls shop --json",
)
def ls(found: IncidentPage) -> None:
    """List incidents, the newest first.

    Findings that share who or what they are about, with no more than four hours between them, are
    one incident. The first that is at least medium opens it.
    """
    print_table(
        ("last", "level", "state", "owner", "findings", "id", "about", "title"),
        [
            (
                moment(each.last_at),
                each.level,
                each.state,
                each.owner or "-",
                str(each.findings),
                each.id,
                in_short(each.things),
                each.title,
            )
            for each in found.incidents
        ],
        empty="There is no incident that matches.",
        below=("owner", "about", "title"),
    )
    if found.more:
        note("There are more: --limit N")


@asked(
    app,
    ShowIncident,
    examples="$ casemate incident show inc_9f2c51aa03b1e7d4\n"
    "$ casemate incident show inc_9f2c51aa03b1e7d4 --json",
)
def show(wanted: ShowIncident, *, json: JsonOption = False) -> None:
    """Show an incident: what was found, about whom or what, what was done, and by whom."""
    with connect() as client:
        found = client.call(wanted)
    if json:
        print_json(found)
        return
    print_line(f"{found.level}: {found.title}", BOLD)
    print_text(f"state: {found.state}; owner: {found.owner or 'nobody'}")
    print_prose(f"about: {', '.join(found.things) or '-'}")
    print_prose(f"techniques: {', '.join(found.techniques) or '-'}")
    print_table(
        ("rule", "level", "findings", "first", "last"),
        [
            (each.rule, each.level, str(each.findings), moment(each.first_at), moment(each.last_at))
            for each in found.rules
        ],
        empty="",
        below=("first", "last"),
    )
    several = any(each.node for each in found.timeline)
    print_table(
        ("at", "what", "by", *(("node",) if several else ()), "text"),
        [
            (
                *(moment(each.at), each.kind, each.by or "-"),
                *([each.node] * several),
                each.text,
            )
            for each in found.timeline
        ],
        empty="",
        below=("text",),
    )
    if found.more:
        note(f"{found.more} lines were left out for want of room.")
    if any(thing.startswith("run:") for thing in found.things):
        note("`casemate playbook runs --state waits` lists what waits for a person.")
    if not found.state.closed:
        note(
            f"`casemate incident resolve {found.id} --as false-alarm --reason TEXT` closes it, if "
            "it was your own work."
        )
        if found.functions:
            note(f"`casemate incident contain {found.id} --reason TEXT` stops its functions.")
        elif any(each.startswith("budget:") for each in found.things):
            note(
                "It is about a budget: `casemate budget ls` shows what is used, and `casemate "
                "usage` by what."
            )
        else:
            note(
                "It is about no function: `casemate restrict`, `casemate tokens revoke` and "
                "`casemate users disable` stop what is none."
            )


@answered(
    app,
    AssignIncident,
    examples="$ casemate incident assign inc_9f2c51aa03b1e7d4 ada\n"
    "$ casemate incident assign inc_9f2c51aa03b1e7d4 'the provider' --outside",
)
def assign(_done: None, call: Call) -> None:
    """Say who works on an incident; an empty name means nobody."""
    wanted = call.operation
    print_line(f"{wanted.id}: {wanted.owner or 'nobody'} works on it.", GREEN)


@answered(
    app,
    NoteIncident,
    name="note",
    examples="$ casemate incident note inc_9f2c51aa03b1e7d4 'the address is that of our scanner'",
)
def add_note(_done: None, call: Call) -> None:
    """Add a note to the timeline of an incident."""
    print_line(f"{call.operation.id}: noted.", GREEN)


@answered(
    app,
    ResolveIncident,
    examples="$ casemate incident resolve inc_9f2c51aa03b1e7d4 --reason 'mended in version 9'\n"
    "$ casemate incident resolve inc_9f2c51aa03b1e7d4 --as false-alarm --reason 'our scanner'\n"
    "$ casemate incident resolve inc_9f2c51aa03b1e7d4 --as open --reason 'it goes on'",
)
def resolve(_done: None, call: Call) -> None:
    """Close an incident, as resolved or as a false alarm, or open it again.

    If there are new findings meanwhile, it stays open; the output says so, and the exit code is 1.
    What playbooks wait to do about it is left to a person; the output names it.
    """
    wanted = call.operation
    print_line(f"{wanted.id} is {wanted.state}.", GREEN)
    if not wanted.state.closed:
        return
    for each in _waiting(call):
        note(
            f"{each.id} of {each.playbook} still waits. Next: "
            f"`casemate playbook dismiss {each.id} --reason TEXT` lets it be."
        )


def _waiting(call: Call) -> list[PlaybookRun]:
    """Return what still waits for a person that is about an incident.

    By its findings as well: another node may have named the incident by another one of them.
    """
    ids = {call.operation.id}
    try:
        found = call.client.call(ShowIncident(id=call.operation.id))
        runs = call.client.call(ListPlaybookRuns(state=Step.WAITS, limit=MAX_RUNS)).runs
    except CasemateError as error:
        # It is closed all the same; whoever may not read cannot be told.
        note(f"It is not known what of it still waits: {error}")
        note("`casemate playbook runs --state waits` lists what waits for a person.")
        return []
    ids.add(found.id)
    return [one for one in runs if one.incident in ids or one.finding in found.finding_ids]


def _which(call: Call) -> str:
    """Return the question, with the functions that would be put into quarantine."""
    wanted = call.operation
    named = wanted.functions
    if not named:
        with suppress(CasemateError):  # who may not read it can be asked all the same
            things = call.client.call(ShowIncident(id=wanted.id)).things
            kind = "function:"
            named = tuple(each.removeprefix(kind) for each in things if each.startswith(kind))
    if not named:
        return f"Put the functions of {wanted.id} into quarantine?"
    more = f" and {len(named) - MAX_CONTAINED} more" if len(named) > MAX_CONTAINED else ""
    return f"Put {', '.join(named[:MAX_CONTAINED])}{more} into quarantine?"


@answered(
    app,
    ContainIncident,
    confirm=_which,
    examples="$ casemate incident contain inc_9f2c51aa03b1e7d4 --reason 'until version 9 is out'\n"
    "$ casemate incident contain inc_9f2c51aa03b1e7d4 --reason 'it steals' --kill --yes --json\n"
    "$ casemate incident contain inc_9f2c51aa03b1e7d4 --function shop/report --reason 'it steals'",
)
def contain(done: Containment) -> None:
    """Put the functions that an incident is about into quarantine.

    Each needs the right function:quarantine. What was done, and the command that undoes it, is
    printed and stands in the incident's timeline. The exit code is 1 if one of them failed.
    """
    for each in done.actions:
        if each.done:
            said = f"was done before, {each.before}" if each.before else "done"
            print_line(f"{each.action} {each.target}: {said}", GREEN)
            print_text(f"  taken back by: {each.undo}")
        else:
            print_line(f"{each.action} {each.target}: {each.problem}", RED)
    if not all(each.done for each in done.actions):
        raise typer.Exit(ExitCode.FAILURE)


@answered(
    app,
    UndoIncident,
    examples="$ casemate incident undo inc_9f2c51aa03b1e7d4 --reason 'a false alarm'\n"
    "$ casemate incident undo inc_9f2c51aa03b1e7d4 quarantine --reason 'version 9 is out'",
)
def undo(done: PlaybookRuns) -> None:
    """Undo what playbooks have done about an incident, or one kind of it.

    Needs the rights to do so by hand. To undo what people have done, use the commands that the
    timeline names.
    """
    print_runs(done)
    if any(act.problem for run in done.runs for act in run.acts):
        raise typer.Exit(ExitCode.FAILURE)


@command(
    app,
    examples="$ casemate incident evidence inc_9f2c51aa03b1e7d4 --output case.tar\n"
    "$ casemate incident evidence --verify case.tar\n"
    "$ casemate incident evidence inc_9f2c51aa03b1e7d4 --ls\n"
    "$ casemate incident evidence evi_9f2c51aa03b1e7d4 --release 'the case is closed'",
)
def evidence(
    id: Annotated[
        str | None, typer.Argument(metavar="ID", help="An incident; to release, an archive.")
    ] = None,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the archive here.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="FILE", help="Check whether it was changed.")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--ls", help="List archives that are under hold.")
    ] = False,
    release: Annotated[
        str | None, typer.Option("--release", metavar="REASON", help="End the hold of an archive.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Put the records of an incident into an archive under hold, whose hash is recorded.

    It stays until its hold is ended, whatever retention deletes. With --verify the archive is
    compared with its own manifest, and its hash with the node's journal; the exit code is 1 if they
    differ.
    """
    from casemate.cli import incident_evidence as evidence_of

    chosen = [verify is not None, listed, release is not None, output is not None]
    if sum(chosen) > 1 or (id is None) != (verify is not None):
        raise UsageError(
            "An incident is named, or a FILE to verify.",
            next_step="See `casemate incident evidence --help`.",
        )
    if verify is not None:
        found: object = evidence_of.verified(verify)
    elif listed:
        found = evidence_of.listed(str(id))
    elif release is not None:
        found = evidence_of.released(str(id), release)
    else:
        found = evidence_of.gathered(str(id), output)
    if json:
        print_json(found)
    else:
        evidence_of.told(found, output)


@asked(
    app,
    ShowIncident,
    examples="$ casemate incident report inc_9f2c51aa03b1e7d4 > incident.md\n"
    "$ casemate incident report inc_9f2c51aa03b1e7d4 --format html > incident.html",
)
def report(
    wanted: ShowIncident,
    *,
    format: Annotated[
        Format, typer.Option("--format", help="Format of the report; a browser prints HTML as PDF.")
    ] = Format.MARKDOWN,
    json: JsonOption = False,
) -> None:
    """Print a report that can be sent on.

    It says what happened, when it was noticed and contained, what was reached and what provably
    not, what was done, and what is left to do.
    """
    with connect() as client:
        facts = gathered(client, client.call(wanted))
    if json:
        print_json(facts)
    elif format is Format.HTML:
        print_text(html(facts))
    else:
        print_text(markdown(facts))


incident_hold.add_to(app)
