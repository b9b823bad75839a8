"""`casemate replay`: an incident's events done again, to see whether a version closes it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.deployed import live_version
from casemate.cli.errors import DeniedError, ExitCode, MissingError, UsageError
from casemate.cli.incident_events import events_of
from casemate.cli.incident_replay import MAX_SECONDS, Replayer, replayed
from casemate.cli.incident_verdict import FunctionReplay, Verdict, overall
from casemate.cli.names import FunctionName, resolve
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, ManifestOption, new_app
from casemate.cli.terminal import (
    BOLD,
    GREEN,
    RED,
    YELLOW,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
    progress,
)
from casemate.cli.text import moment
from casemate.cli.version_bundle import bundle_of
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.recording import Recording
from casemate.operations.functions import ShowFunction
from casemate.operations.incidents import Incident, ShowIncident
from casemate.operations.recordings import ShowRecording

MAX_FUNCTIONS = 10
_STYLE = {Verdict.CLOSED: GREEN, Verdict.OPEN: RED, Verdict.NOT_SHOWN: YELLOW}

app = new_app()


@asked(
    app,
    ShowIncident,
    examples="$ casemate replay inc_9f2c51aa03b1e7d4\n"
    "$ casemate replay inc_9f2c51aa03b1e7d4 --version 9 --json",
)
def replay(
    wanted: ShowIncident,
    *,
    version: Annotated[
        int | None,
        typer.Option(
            "--version", metavar="N", min=1, help="Version of the function. Default: the live one."
        ),
    ] = None,
    function: Annotated[
        str | None,
        typer.Option("--function", metavar="FUNCTION", help="Only this one of the incident."),
    ] = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Replay an incident's events, to see whether a version closes it.

    It replays the recorded events of the incident, then the newest recordings that ended well, in a
    sandbox without network, with the sink guard. The platform answers what it answered then;
    nothing is written. The version's code comes from the project's folder, if the digest is the
    same. No value is shown.

    The exit code is 0 if the incident is closed, 1 if it is open or a benign event is answered
    differently, and 2 if neither could be shown, with the reason. The access to recordings is
    recorded.
    """
    with connect() as client:
        incident = client.call(wanted)
        names = _functions(incident, function)
        if version is not None and len(names) > 1:
            raise UsageError(
                f"The incident is about {len(names)} functions; --version is of one.",
                next_step=f"Add --function, such as {names[0]}.",
            )
        until = time.monotonic() + MAX_SECONDS
        found = [
            _of_function(client, incident, name, version, manifest, wanted.project, until)
            for name in names[:MAX_FUNCTIONS]
        ]
    found += [_not_shown(name, "too many functions") for name in names[MAX_FUNCTIONS:]]
    verdict = overall(found)
    if json:
        print_json({"incident": incident.id, "verdict": verdict, "functions": found})
    else:
        _print(incident, found, verdict)
    if verdict is Verdict.OPEN or any(each.differs for each in found):
        raise typer.Exit(ExitCode.FAILURE)
    if verdict is Verdict.NOT_SHOWN:
        raise typer.Exit(ExitCode.USAGE)


def _functions(incident: Incident, function: str | None) -> list[FunctionName]:
    """Return which functions are meant; what is no name of one is none, whoever wrote it."""
    names = []
    for each in incident.functions:
        try:
            names.append(resolve(f"{each.project}/{each.name}"))
        except UsageError:
            note(f"{each.project}/{each.name} is not the name of a function", YELLOW)
    if function is None:
        return names
    chosen = resolve(function)
    if chosen not in names:
        raise UsageError(
            f"The incident is not about {chosen}.",
            next_step=f"It is about {', '.join(map(str, names)) or 'no function'}.",
        )
    return [chosen]


def _of_function(
    client: NodeClient,
    incident: Incident,
    name: FunctionName,
    number: int | None,
    manifest: Path | None,
    project: str | None,
    until: float,
) -> FunctionReplay:
    """Do the events of one function again; what keeps that from being done is the reason."""
    try:
        version = _version(client, name, number)
        built = bundle_of(name, version, manifest)
        events = events_of(client, incident, name, project)
    except CasemateError as error:
        if isinstance(error, DeniedError) or (
            number is not None and isinstance(error, MissingError)
        ):
            raise
        return _not_shown(name, error.message, number or 0)

    def fetch(id: str) -> Recording:
        return client.call(ShowRecording(project=name.project, id=id))

    with progress(f"Doing events of {name}@{version.number} again") as step:
        replayer = Replayer(built, fetch, until)
        return replayed(str(name), version.number, events, replayer, step.update)


def _version(client: NodeClient, name: FunctionName, number: int | None) -> Version:
    known = client.call(ShowFunction(project=name.project, function=name.function))
    live = live_version(known)
    if number is None and live is not None:
        return live
    for each in known.versions:
        if each.number == number:
            return each
    raise MissingError(
        f"{name} has no version {number}." if number else f"No version of {name} is live.",
        next_step=f"`casemate show {name}` has the versions.",
    )


def _not_shown(name: FunctionName, why: str, version: int = 0) -> FunctionReplay:
    return FunctionReplay(function=str(name), version=version, verdict=Verdict.NOT_SHOWN, why=why)


def _print(incident: Incident, found: list[FunctionReplay], verdict: Verdict) -> None:
    for each in found:
        name = f"{each.function}@{each.version}" if each.version else each.function
        print_prose(f"{name}: {each.verdict}: {each.why}", _STYLE[each.verdict])
        if each.rows:
            print_table(
                ("at", "event", "of", "then", "now", "shows"),
                [
                    (
                        moment(row.at),
                        row.invocation,
                        f"@{row.version}, benign" if row.benign else f"@{row.version}",
                        row.then,
                        row.now,
                        row.shown,
                    )
                    for row in each.rows
                ],
                below=("then", "now"),
                empty="",
            )
        if each.not_recorded:
            note(
                f"{each.function}: {len(each.not_recorded)} event(s) of it are not recorded", YELLOW
            )
        if each.rows and not each.compared:
            note(f"{each.function}: no benign recording was compared (see `sample`)", YELLOW)
        if each.differs:
            print_line(f"{each.function}: benign events are answered in another way", RED)
        for text in each.notes:
            note(f"{each.function}: {text}", YELLOW)
    if not found:
        note(f"{incident.id} is about no function.", YELLOW)
    print_line(f"{incident.id}: {verdict}", BOLD)
