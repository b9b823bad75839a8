"""`casemate playbook`: what the node does about what it finds, and what waits for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import GREEN, RED, note, print_json, print_line, print_table, print_text
from casemate.cli.text import moment
from casemate.model.errors import InvalidInputError
from casemate.model.playbook import PlaybookRun, Step
from casemate.operations.playbooks import (
    ApprovePlaybookRun,
    DismissPlaybookRun,
    ListPlaybookRuns,
    ListPlaybooks,
    ListPlaybookVersions,
    PausePlaybooks,
    PlaybookFile,
    PlaybookHistory,
    PlaybookList,
    PlaybookRuns,
    PutPlaybook,
    RemovePlaybook,
    RevertPlaybook,
    RunPlaybook,
    ShowPlaybook,
    UndoPlaybookRun,
)

app = new_app("See and change how the node responds to findings.")
_FILE_BYTES = 64 * 1024


def print_runs(found: PlaybookRuns) -> None:
    """Print runs, a line for each of their actions."""
    print_table(
        ("at", "playbook", "run", "state", "does", "to", "for", "why"),
        [
            (
                moment(run.at),
                run.playbook,
                run.id,
                act.state if run.state in (Step.DONE, Step.FAILED) else run.state,
                act.do,
                act.target,
                run.rule,
                act.problem or run.reason or "-",
            )
            for run in found.runs
            for act in run.acts
        ],
        empty="There is no run that matches.",
        below=("does", "to", "for", "why"),
    )


def print_run(run: PlaybookRun) -> None:
    """Print what became of a run, and how it is taken back."""
    print_runs(PlaybookRuns(runs=(run,)))
    for act in run.acts:
        if act.state is Step.DONE and act.undo:
            note(f"{act.do} {act.target} is taken back by: {act.undo}")


@answered(app, ListPlaybooks, examples="$ casemate playbook ls\n$ casemate playbook ls --json")
def ls(found: PlaybookList) -> None:
    """List playbooks: what each is for, what it does, and whether it asks first."""
    print_table(
        ("playbook", "version", "asks", "does", "from", "title"),
        [
            (
                each.name,
                str(each.version or "-"),
                each.approval if each.enabled else "off",
                ", ".join(each.actions) or "-",
                "casemate" if each.shipped else "here",
                each.title or each.problem,
            )
            for each in found.playbooks
        ],
        empty="There are no playbooks.",
        below=("title",),
    )
    for each in found.playbooks:
        if each.problem:
            print_line(f"{each.name} does nothing: {each.problem}", RED)
        elif each.unverified:
            print_line(f"{each.name} is as it was signed, but {each.unverified}", RED)
    if not found.acts:
        note("This node was started with --no-playbooks: nothing is done by itself.")


@asked(
    app,
    ShowPlaybook,
    examples="$ casemate playbook show escape-tried > escape-tried.toml\n"
    "$ casemate playbook show escape-tried --version 2",
)
def show(wanted: ShowPlaybook, *, json: JsonOption = False) -> None:
    """Print a playbook's text, or that of one of its versions."""
    with connect() as client:
        found = client.call(wanted)
    if json:
        print_json(found)
    else:
        print_text(found.text.removesuffix("\n"))
        if found.unverified:
            note(f"{found.name}: {found.unverified}")


@answered(app, ListPlaybookVersions, examples="$ casemate playbook history escape-tried")
def history(found: PlaybookHistory) -> None:
    """List the stored versions of a playbook, even a removed one, the newest first."""
    print_table(
        ("version", "change", "at", "by", "digest", "signed"),
        [
            (
                str(each.version),
                each.change,
                moment(each.at),
                each.by,
                each.digest[:12],
                "yes" if each.signed else "NO",
            )
            for each in found.versions
        ],
        empty="No version is kept.",
        below=("by", "digest"),
    )


@answered(app, RevertPlaybook, examples="$ casemate playbook revert escape-tried --version 2")
def revert(done: PlaybookFile) -> None:
    """Put the text of a former version in force again, as a new version."""
    print_line(_in_force(done), GREEN)


def _in_force(file: PlaybookFile) -> str:
    return f"{file.name} is in force as version {file.version} ({file.digest[:12]})."


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}.") from error


@command(app, examples="$ casemate playbook check escape-tried.toml")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Playbooks.")],
    json: JsonOption = False,
) -> None:
    """Check playbooks as the node would. Needs no node."""
    from casemate.playbooks.reading import read_playbook

    found = {str(file): read_playbook(_read(file), str(file)) for file in files}
    if json:
        print_json(found)
        return
    for name, playbook in found.items():
        print_line(f"{name}: {playbook.title}: {', '.join(playbook.kinds)}", GREEN)


@command(app, examples="$ casemate playbook put escape-tried.toml")
def put(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A playbook, named as its file is."),
    ],
    json: JsonOption = False,
) -> None:
    """Check a playbook and put it in force at once, for later findings."""
    try:
        text = _read(file).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file} is not UTF-8.") from error
    with connect() as client:
        kept = client.call(PutPlaybook(name=file.name.removesuffix(".toml"), text=text))
    if json:
        print_json(kept)
    else:
        print_line(_in_force(kept), GREEN)


@answered(
    app,
    RemovePlaybook,
    name="rm",
    removed="{it.name}",
    examples="$ casemate playbook rm escape-tried",
)
def remove(_done: None, call: Call) -> None:
    """Remove your own playbook; one that came with Casemate is in force again."""
    print_line(f"{call.operation.name} is removed.", GREEN)


@answered(
    app,
    RunPlaybook,
    examples="$ casemate playbook run leaked-secret --incident inc_9f2c51aa03b1e7d4 --dry-run\n"
    "$ casemate playbook run leaked-secret --incident inc_9f2c51aa03b1e7d4",
)
def run(found: PlaybookRuns) -> None:
    """Run a playbook by hand for an incident, or see what it would do."""
    print_runs(found)
    if found.dry:
        note("Nothing was done: this is what it would do.")


@answered(
    app,
    ListPlaybookRuns,
    examples="$ casemate playbook runs\n$ casemate playbook runs --state waits",
)
def runs(found: PlaybookRuns) -> None:
    """List what playbooks have done, and what waits for a person, the newest first."""
    print_runs(found)
    if any(each.state is Step.WAITS for each in found.runs):
        note(
            "Next: `casemate playbook approve RUN` has it done, "
            "`casemate playbook dismiss RUN --reason TEXT` lets it be."
        )


@answered(app, ApprovePlaybookRun, examples="$ casemate playbook approve run_51aa03b1e7d49f2c")
def approve(done: PlaybookRun) -> None:
    """Let a playbook do what it waits to do. Needs the rights to do the same by hand."""
    print_run(done)


@answered(
    app,
    DismissPlaybookRun,
    examples="$ casemate playbook dismiss run_51aa03b1e7d49f2c --reason 'our scanner'",
)
def dismiss(done: PlaybookRun) -> None:
    """Do not let a playbook do what it waits to do."""
    print_line(f"{done.id} is dismissed.", GREEN)


@answered(
    app,
    UndoPlaybookRun,
    examples="$ casemate playbook undo run_51aa03b1e7d49f2c --reason 'a false alarm'",
)
def undo(done: PlaybookRun) -> None:
    """Undo what a playbook has done. Needs the rights to do so by hand."""
    print_run(done)


@answered(
    app,
    PausePlaybooks,
    examples="$ casemate playbook pause shop 600 --reason 'a drill'\n"
    "$ casemate playbook pause shop 0 --reason 'it is over'",
)
def pause(_done: None, call: Call) -> None:
    """Let playbooks ignore findings about a project for some minutes: for a drill."""
    wanted = call.operation
    if wanted.seconds:
        print_line(f"Playbooks leave {wanted.project} alone for {wanted.seconds} s.", GREEN)
    else:
        print_line(f"Playbooks look after {wanted.project} again.", GREEN)
