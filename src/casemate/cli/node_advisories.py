"""`casemate advisories`, of a node: send advisories, rules, exceptions, what lives with holes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from casemate.cli import vex_commands  # its commands come before these
from casemate.cli.advisories_app import app
from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.names import resolve
from casemate.cli.node_licences import print_licences, print_rule
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import FUNCTION_HELP, JsonOption, command
from casemate.cli.terminal import (
    GREEN,
    RED,
    YELLOW,
    note,
    print_json,
    print_line,
    print_table,
    progress,
)
from casemate.cli.text import moment, size
from casemate.cli.times import seconds_of
from casemate.decoding import decodable
from casemate.model.vulnerability import AdvisoryException, AdvisoryRules, Hole
from casemate.operations.advisories import (
    AdvisoriesStatus,
    AdvisoryExceptions,
    EndAdvisoryException,
    ExceptAdvisory,
    ListAdvisoryExceptions,
    ListLiveHoles,
    LiveHoles,
    PutAdvisories,
    SetAdvisoryRules,
    ShowAdvisories,
)
from casemate.operations.declaration import BINARY

if TYPE_CHECKING:
    from casemate.advisories import Finding, Header, Place

__all__ = [
    "print_contents",
    "print_holes",
    "print_status",
    "send",
    "send_to",
    "severity_of",
    "status_of_node",
    "vex_commands",
]

UPLOAD_SECONDS = 900.0
_PIECE = 256 * 1024
NO_HOLES = "There are no known vulnerabilities."


def send(place: Place, *, fewer: bool) -> AdvisoriesStatus:
    """Send the advisories in a place to the node; return how those of the node stand then."""
    with connect() as client:
        return send_to(client, place, fewer=fewer)


def send_to(client: NodeClient, place: Place, *, fewer: bool) -> AdvisoriesStatus:
    """Send the advisories in a place to this node; return how those of the node stand then."""
    total = place.database.stat().st_size
    with progress(f"Sending {size(total)} to {client.url}"):
        return client.call(
            PutAdvisories(fewer=fewer),
            content=_pieces(place.database),
            headers={"content-type": BINARY, "content-length": str(total)},
            seconds=UPLOAD_SECONDS,
        )


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error


def status_of_node() -> AdvisoriesStatus:
    """Ask the node how its advisories stand."""
    with connect() as client:
        return client.call(ShowAdvisories())


def print_status(found: AdvisoriesStatus) -> None:
    """Print how the advisories of a node stand."""
    if found.imported is not None:
        print_contents(found)
    _print_rules(found.rules)
    print_rule(found.licences)
    for problem in found.problems:
        note(problem, RED)
    for warning in found.warnings:
        note(f"Warning: {warning}", YELLOW)
    if not found.good:
        from casemate.advisories.database import IMPORT_TO_NODE  # slow to load

        note(f"Next: {IMPORT_TO_NODE}")


def print_contents(found: Header | AdvisoriesStatus, *more: str) -> None:
    """Print what was imported, when and from where; `more` lines say more of it."""
    for name, count in found.records.items():
        print_line(f"{name}: {count} {'advisory' if count == 1 else 'advisories'}")
    print_line(f"imported: {moment(found.imported or 0.0)} from {found.source}")
    print_line(f"newest record: {moment(found.newest or 0.0)}")
    for line in more:
        print_line(line)
    known = "none" if found.exploited is None else str(found.exploited)
    likely = "none" if found.likelihoods is None else str(found.likelihoods)
    print_line(f"known exploited: {known}; EPSS scores: {likely}")


def _print_rules(rules: AdvisoryRules) -> None:
    print_line(f"a deploy is refused from severity: {rules.refuse}")
    print_line(f"quarantine: {rules.quarantine}")


@command(
    app,
    examples="""\
$ casemate advisories rules
Medium vulnerabilities refuse a deploy too, and exploited ones end what is live
$ casemate advisories rules --refuse medium --quarantine exploited
""",
)
def rules(
    refuse: Annotated[
        str | None,
        typer.Option(
            "--refuse", metavar="SEVERITY", help="From `low`, `medium`, `high` or `critical` on."
        ),
    ] = None,
    quarantine: Annotated[
        str | None,
        typer.Option(
            "--quarantine",
            metavar="WHEN",
            help="`never`, or what is `malicious`, `exploited`, or `refused`.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show or set what the node does about known vulnerabilities.

    Malicious packages, and vulnerabilities that are known to be exploited or that nobody has rated,
    refuse a deploy whatever is set. A live function is quarantined automatically when such a
    vulnerability becomes known; calls of malicious code are killed at once.
    """
    with connect() as client:
        found = client.call(ShowAdvisories()).rules
        if refuse is not None or quarantine is not None:
            wanted = {
                "refuse": refuse or found.refuse,
                "quarantine": quarantine or found.quarantine,
            }
            try:
                operation = msgspec.convert(wanted, decodable(SetAdvisoryRules))
            except msgspec.ValidationError as error:
                raise UsageError(
                    f"{refuse or quarantine!r} is not one of them.",
                    next_step="See casemate advisories rules --help",
                ) from error
            found = client.call(operation)
    if json:
        print_json(found)
    else:
        _print_rules(found)


@command(
    app,
    name="except",
    examples="""\
$ casemate advisories except cart --advisory CVE-2023-32681 --package requests --for 9d --reason -
$ casemate advisories except cart checkout --without-advisories --for 7d --reason 'no mirror yet'
Without advisories that can be relied upon
$ casemate advisories except checkout --without-advisories --for 7d --reason 'no mirror yet'
""",
)
def except_(
    functions: Annotated[list[str], typer.Argument(metavar="FUNCTION...", help=FUNCTION_HELP)],
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long: `12h`, `30d`, at most `180d`.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    advisory: Annotated[
        str,
        typer.Option(
            "--advisory", metavar="ID", help="Any id of the vulnerability, or of the licence."
        ),
    ] = "",
    package: Annotated[
        str, typer.Option("--package", metavar="NAME", help="The package that has it.")
    ] = "",
    without_advisories: Annotated[
        bool, typer.Option("--without-advisories", help="About the lack of advisories instead.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Record that a function may be deployed despite a known vulnerability or a licence, for a
    time.

    The exception covers one vulnerability or licence (`licence:GPL-3.0-only`) in one package of one
    function, and stands in the journal with who and why. Once it has expired, the next deploy is
    refused, and a live function is reported as a finding.

    With several functions each gets an exception of its own; --json prints them as `exceptions`
    then. There is none for a project: it would cover functions that nobody has looked at yet.
    """
    if without_advisories is bool(advisory or package) or bool(advisory) != bool(package):
        raise UsageError(
            "It is not clear which exception is meant.",
            next_step="Give --advisory ID and --package NAME, or --without-advisories.",
        )
    names = list(dict.fromkeys(map(resolve, functions)))
    seconds = seconds_of(for_)
    if seconds is None:
        raise UsageError(f"--for is {for_!r}.", next_step="Such as: --for 30d, at most 180d.")
    made: list[AdvisoryException] = []
    with connect() as client:
        for name in names:
            one = client.call(
                ExceptAdvisory(
                    project=name.project,
                    function=name.function,
                    advisory=advisory,
                    package=package,
                    reason=reason,
                    seconds=seconds,
                )
            )
            made.append(one)
            if not json:  # at once: one that is refused ends it
                of = f" for {name}" if len(names) > 1 else ""
                print_line(f"{one.id} holds{of} until {moment(one.expires_at)}.", GREEN)
    if json:
        print_json(made[0] if len(names) == 1 else {"exceptions": made})


@answered(
    app,
    ListAdvisoryExceptions,
    examples="$ casemate advisories exceptions\n$ casemate advisories exceptions shop --json",
)
def exceptions(found: AdvisoryExceptions) -> None:
    """List the recorded exceptions, including expired ones."""
    print_table(
        ("id", "function", "advisory", "package", "until", "by", "why"),
        [
            (
                one.id,
                f"{one.project}/{one.function}",
                one.advisory or "without advisories",
                one.package or "-",
                moment(one.expires_at),
                one.by,
                f"{one.reason} ({one.justification})" if one.justification else one.reason,
            )
            for one in found.exceptions
        ],
        empty="There are no exceptions.",
        below=("package", "by", "why"),
    )


@answered(
    app,
    EndAdvisoryException,
    name="withdraw",
    examples="$ casemate advisories withdraw checkout exc_9f2c51aa03b1",
)
def withdraw(_answer: None, call: Call) -> None:
    """Withdraw an exception. The next deploy is judged without it."""
    print_line(f"{call.operation.id} of {call.name} holds no more.")


@answered(
    app,
    ListLiveHoles,
    examples="$ casemate advisories live\n$ casemate advisories live shop --json",
)
def live(found: LiveHoles) -> None:
    """List known vulnerabilities and disallowed licences in packages of live functions."""
    known = "No vulnerability is known in what could be judged." if found.problems else NO_HOLES
    print_holes([(f"{one.project}/{one.function}", one.hole) for one in found.holes], empty=known)
    print_licences([(f"{one.project}/{one.function}", one.licence) for one in found.licences])
    for problem in found.problems:
        by = f" It lives by exception {problem.exception}." if problem.exception else ""
        note(f"Not judged: {problem.project}/{problem.function}: {problem.problem}{by}", RED)
    if found.problems:
        note("Next: `casemate advisories status --node` says what is missing.")
    if found.judged_at is not None:
        note(f"As of {moment(found.judged_at)}.")


def print_holes(
    holes: Sequence[tuple[str, Hole]], reached: Sequence[str] = (), *, empty: str = NO_HOLES
) -> None:
    """Print holes of functions; `reached` says of each how the function comes to the package."""
    print_table(
        ("function", "package", "severity", "verdict", "fixed in", "advisory", "why"),
        [
            (
                name,
                f"{hole.package} {hole.version}",
                severity_of(hole),
                hole.verdict.value,
                ", ".join(hole.fixed) or "-",
                " ".join(hole.ids),
                "; ".join((hole.why, *reached[number : number + 1])),
            )
            for number, (name, hole) in enumerate(holes)
        ],
        empty=empty,
        below=("advisory", "why"),
    )


def severity_of(hole: Hole | Finding) -> str:
    """Return how grave a hole is, in words."""
    word = "malicious" if hole.malicious else hole.severity
    score = "" if hole.score is None else f" {hole.score}"
    return f"{word}{score}{' exploited' if hole.known_exploited else ''}"
