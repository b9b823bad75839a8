"""`casemate routes`: whose paths and host names are whose."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_line, print_table
from casemate.operations.routes import ClaimRoutes, ListRouteClaims

app = new_app("See and give paths and host names of projects.")

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="Name of a project.")]
PrefixOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prefix", metavar="PATH", help="First segment, such as /payments; / is every path."
    ),
]
HostOption = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="NAME", help="Host name, such as shop.example.com."),
]


@command(app, examples="$ casemate routes ls")
def ls(json: JsonOption = False) -> None:
    """List what was given to projects.

    What is not listed is of the project that has a route there first.
    """
    with connect() as client:
        found = client.call(ListRouteClaims()).claims
    if json:
        print_json(found)
        return
    print_table(
        ("project", "prefixes", "hosts"),
        [(c.project, " ".join(c.prefixes), " ".join(c.hosts)) for c in found],
        empty="Nothing was given to a project; a first segment is of who has it first.",
    )


@command(
    app,
    examples="$ casemate routes claim shop --prefix /payments --prefix /cart\n"
    "$ casemate routes claim shop --host shop.example.com",
)
def claim(
    project: ProjectArgument,
    prefix: PrefixOption = None,
    host: HostOption = None,
    json: JsonOption = False,
) -> None:
    """Give paths or host names to a project, in place of what it was given before.

    No other project can have a route below such a path then. With a host of its own a project's
    routes answer there and only there, and its answers may set cookies for all of it.
    """
    if not prefix and not host:
        raise UsageError(
            "Neither --prefix nor --host is given.",
            next_step="Name one; `casemate routes release PROJECT` takes back what there is.",
        )
    _put(project, prefix or [], host or [], json=json)


@command(app, examples="$ casemate routes release shop")
def release(project: ProjectArgument, json: JsonOption = False) -> None:
    """Take back all that a project was given. Its routes stay."""
    _put(project, [], [], json=json)


def _put(project: str, prefixes: list[str], hosts: list[str], *, json: bool) -> None:
    claimed = ClaimRoutes(
        name=project,
        prefixes=tuple(prefixes),
        hosts=tuple(host.lower() for host in hosts),
    )
    with connect() as client:
        given = client.call(claimed)
    if json:
        print_json(given)
    elif given.prefixes or given.hosts:
        print_line(f"{project} has {', '.join((*given.prefixes, *given.hosts))}.")
    else:
        print_line(f"{project} has nothing of its own any more.")
