"""`casemate advisories`: bring in advisories, see how they stand, look packages up in them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.advisories_app import app
from casemate.cli.errors import ExitCode, MissingError, UsageError
from casemate.cli.node_advisories import (
    print_contents,
    print_status,
    send,
    severity_of,
    status_of_node,
)
from casemate.cli.options import JsonOption, command
from casemate.cli.terminal import (
    BOLD,
    RED,
    YELLOW,
    note,
    print_json,
    print_line,
    print_table,
    print_text,
    progress,
)
from casemate.operations.advisories import AdvisoriesStatus

if TYPE_CHECKING:
    from casemate.advisories import (
        Description,
        Ecosystem,
        Header,
        Judgement,
        Place,
        Standing,
    )

__all__ = ["app"]

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Those of the node with this data folder."),
]


NodeOption = Annotated[
    bool, typer.Option("--node", help="Also send them to the node that you are logged in to.")
]


def _place(data: Path | None) -> Place:
    from casemate.advisories import default_place, place_of_node
    from casemate.folder.ownership import MARKER

    if data is None:
        return default_place(os.environ)
    if not (data / MARKER).is_file():
        raise UsageError(
            f"{data} is not the data folder of a node.",
            next_step="Give the folder that `casemate serve` uses, or leave out --data.",
        )
    return place_of_node(data)


def _ecosystems(names: list[str] | None) -> tuple[Ecosystem, ...]:
    from casemate.advisories import Ecosystem

    known = {one.value.lower(): one for one in Ecosystem}
    found = []
    for name in names or known:
        one = known.get(name.lower())
        if one is None:
            raise UsageError(
                f"{name!r} is not an ecosystem with stored advisories.",
                next_step=f"Give one of {', '.join(Ecosystem)}, or leave out --ecosystem.",
            )
        found.append(one)
    return tuple(dict.fromkeys(found))


@command(
    app,
    name="import",
    examples="""\
$ casemate advisories import https://mirror.example.com/osv
$ casemate advisories import osv-pypi.zip --ecosystem PyPI
$ casemate advisories import advisories/ --kev known_exploited_vulnerabilities.json
""",
)
def import_(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, an archive or an http(s) address.")
    ],
    ecosystem: Annotated[
        list[str] | None,
        typer.Option("--ecosystem", metavar="NAME", help="Only PyPI, or only npm. Repeatable."),
    ] = None,
    kev: Annotated[
        Path | None,
        typer.Option("--kev", metavar="FILE", help="CISA's known exploited vulnerabilities."),
    ] = None,
    epss: Annotated[
        Path | None, typer.Option("--epss", metavar="FILE", help="FIRST's EPSS scores.")
    ] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Accept an address without encryption.")
    ] = False,
    fewer: Annotated[
        bool, typer.Option("--fewer", help="Accept it although it has far fewer records.")
    ] = False,
    data: DataOption = None,
    node: NodeOption = False,
    json: JsonOption = False,
) -> None:
    """Replace the advisories by those of a source: completely, or not at all.

    A source holds OSV records in JSON (.json): a folder, an archive (.zip, .tar, .tar.gz, ...), the
    address of an archive, or that of a mirror laid out like osv.dev's (ADDRESS/PyPI/all.zip). A
    mirror is asked only for what is newer. If anything in it cannot be read, the previous
    advisories stay in force.

    These are the advisories of this machine, which `check` and `show` use. A node judges deploys by
    its own: --node sends it what was imported.
    """
    from casemate.advisories.importing import Wanted, import_advisories

    wanted = Wanted(
        source=source,
        ecosystems=_ecosystems(ecosystem),
        exploited=kev,
        likelihoods=epss,
        plain_http=plain_http,
        fewer=fewer,
    )
    with progress("Importing advisories ...") as shown:
        done = import_advisories(wanted, _place(data), tell=shown.update)
    sent = send(_place(data), fewer=fewer) if node else None
    if json:
        print_json({"changed": done.changed, **_fields(done.header), "node": sent})
        return
    counts = ", ".join(f"{count} about {name}" for name, count in done.header.records.items())
    print_line(f"imported: {counts}" if done.changed else f"nothing newer there: {counts}")
    if done.header.withdrawn:
        note(f"{done.header.withdrawn} were withdrawn and left out.")
    if done.header.undecided:
        note(f"{done.header.undecided} name no comparable version; they are listed separately.")
    if sent is not None:
        print_line("The node judges by them from now on.")


@command(app, examples="$ casemate advisories status\n$ casemate advisories status --json")
def status(
    data: DataOption = None,
    node: Annotated[
        bool, typer.Option("--node", help="Those of the node that you are logged in to.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say which advisories are in force, and whether they are reliable.

    The exit code is 1 if they are missing, partial, unreadable, or older than 7 days. With --json
    the fields are those of the node, which has its rules besides.
    """
    if node and data is not None:
        raise UsageError(
            "--node and --data name two places.",
            next_step="Leave out --data for the node that you are logged in to.",
        )
    found: Standing | AdvisoriesStatus
    if node:
        found = status_of_node()
    else:
        from casemate.advisories import look

        found = look(_place(data), time.time())
    if json:
        print_json(found if isinstance(found, AdvisoriesStatus) else _plain_standing(found))
    elif isinstance(found, AdvisoriesStatus):
        print_status(found)
    else:
        _print_standing(found)
    if not found.good:
        raise typer.Exit(ExitCode.FAILURE)


def _plain_standing(standing: Standing) -> dict[str, object]:
    """Return how advisories stand in the fields that a node tells it in (`AdvisoriesStatus`)."""
    contents = dict.fromkeys(("imported", "newest", "exploited", "likelihoods"))
    return {
        "good": standing.good,
        "problems": [f"{each.kind.value}: {each.text}" for each in standing.problems],
        "warnings": standing.warnings,
        "next_step": standing.next_step or "",
        **{**contents, "source": "", "records": {}},
        **(_fields(standing.header) if standing.header is not None else {}),
    }


@command(
    app,
    examples="$ casemate advisories show CVE-2023-32681\n"
    "$ casemate advisories show GHSA-j8r2-6x86-q33q --json",
)
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or an alias of it.")],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show an advisory, with all records about the same vulnerability."""
    from casemate.advisories import Database

    with Database(_place(data).database) as database:
        found = database.descriptions(id)
    if not found:
        raise MissingError(
            f"There is no advisory {id[:128]!r} in force.",
            next_step="Look at the id, or import newer advisories.",
        )
    if json:
        print_json(found)
        return
    for description in found:
        _print_description(description)


@command(
    app,
    examples="""\
$ casemate advisories check uv.lock
$ casemate advisories check requirements.txt --json
""",
)
def check(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A requirements lock, uv.lock, pylock.toml or SBOM."),
    ],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List the known vulnerabilities of the packages that a lock or an SBOM (CycloneDX) names.

    What could not be looked up is listed by name. The exit code is 1 unless everything was looked
    up, in reliable advisories, and nothing was found.
    """
    from msgspec.structs import replace

    from casemate.advisories import judge
    from casemate.advisories.locks import read_packages

    listed = read_packages(file)
    judged = judge(listed.packages, _place(data))
    judged = replace(judged, not_judged=(*judged.not_judged, *listed.unknown))
    if json:
        print_json({"clean": judged.clean, "packages": len(listed.packages), **_plain(judged)})
    else:
        _print_judgement(judged, len(listed.packages))
    if not judged.clean:
        raise typer.Exit(ExitCode.FAILURE)


def _plain(judged: Judgement) -> dict[str, object]:
    from msgspec.structs import asdict

    return asdict(judged)


def _fields(header: Header) -> dict[str, object]:
    """Return what is known of a database, without where in it things lie."""
    from msgspec.structs import asdict

    inner = ("by_package", "by_id", "validators")
    return {name: value for name, value in asdict(header).items() if name not in inner}


def _print_standing(standing: Standing) -> None:
    header = standing.header
    if header is not None:
        print_contents(
            header, f"packages: {header.packages}; withdrawn and left out: {header.withdrawn}"
        )
    for problem in standing.problems:
        note(f"{problem.kind}: {problem.text}", RED)
    _print_warnings(standing.warnings, standing.next_step)


def _print_warnings(warnings: tuple[str, ...], next_step: str | None) -> None:
    for warning in warnings:
        note(f"Warning: {warning}", YELLOW)
    if next_step is not None:
        note(f"Next: {next_step}")


def _print_description(description: Description) -> None:
    print_line(f"{description.id}: {description.summary}".rstrip(": "), BOLD)
    if description.aliases:
        print_line(f"also: {', '.join(description.aliases)}")
    score = "" if description.score is None else f" {description.score} ({description.vector})"
    print_line(f"severity: {description.severity}{score}")
    if description.known_exploited:
        print_line("known to be exploited", RED)
    if description.likelihood is not None:
        print_line(f"likely to be exploited within 30 days: {description.likelihood:.1%} (EPSS)")
    print_line(f"published: {description.published or '-'}; changed: {description.modified}")
    for package in description.packages:
        print_line(f"affected: {package}")
    if description.details:
        print_text(description.details)
    for reference in description.references:
        print_line(reference)


def _print_judgement(judged: Judgement, count: int) -> None:
    print_table(
        ("package", "version", "severity", "advisory", "fixed in", "summary"),
        [
            (
                found.package.name,
                found.package.version,
                severity_of(found),
                " ".join(found.ids),
                ", ".join(found.fixed) or "-",
                found.summary,
            )
            for found in judged.findings
        ],
        empty=f"Nothing was found in {count} package(s)."
        if judged.clean
        else "Nothing was found in what could be looked up.",
        below=("advisory", "summary"),
    )
    for missed in judged.not_judged:
        note(f"not looked up: {missed.package[:200]}: {missed.reason[:400]}", YELLOW)
    for problem in judged.problems:
        note(f"{problem.kind}: {problem.text}", RED)
    _print_warnings(judged.warnings, judged.next_step)
