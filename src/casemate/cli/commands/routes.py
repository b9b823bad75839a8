"""`casemate routes`: whose paths and host names are whose."""

from __future__ import annotations

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import note, print_json, print_line, print_table
from casemate.model.route import RouteClaim
from casemate.operations.routes import ClaimRoutes, Claims, ListRouteClaims

app = new_app("See and assign paths and host names of projects.")


@answered(app, ListRouteClaims, examples="$ casemate routes ls")
def ls(found: Claims, *, json: JsonOption = False) -> None:
    """List what was assigned to projects.

    Anything not listed belongs to the project that first has a route there.
    """
    if json:
        print_json(found.claims)
        return
    print_table(
        ("project", "prefixes", "hosts"),
        [(c.project, " ".join(c.prefixes), " ".join(c.hosts)) for c in found.claims],
        empty="Nothing was given to a project: a first segment is of the project that has a route "
        "there first. `casemate routes claim` gives paths and host names.",
        below=("prefixes", "hosts"),
    )


@asked(
    app,
    ClaimRoutes,
    read={"hosts": lambda hosts: tuple(host.lower() for host in hosts)},
    examples="$ casemate routes claim shop --prefix /payments --prefix /cart\n"
    "$ casemate routes claim shop --host shop.example.com",
)
def claim(wanted: ClaimRoutes, *, json: JsonOption = False) -> None:
    """Assign paths or host names to a project, replacing what it had before.

    Then no other project can have a route below such a path. With a host name of its own, a
    project's routes answer only there, and its answers may set cookies for the whole host.
    """
    if not wanted.prefixes and not wanted.hosts:
        raise UsageError(
            "Neither --prefix nor --host is given.",
            next_step="Name one; `casemate routes release PROJECT` takes back what there is.",
        )
    with connect() as client:
        given = client.call(wanted)
    if json:
        print_json(given)
    else:
        _tell(wanted.name, given)


@answered(
    app,
    ClaimRoutes,
    fixed={"prefixes": (), "hosts": ()},
    examples="$ casemate routes release shop",
)
def release(given: RouteClaim, call: Call) -> None:
    """Take back everything that was assigned to a project. Its routes stay."""
    _tell(call.operation.name, given)


def _tell(project: str, given: RouteClaim) -> None:
    if given.prefixes or given.hosts:
        print_line(f"{project} has {', '.join((*given.prefixes, *given.hosts))}.")
        if given.hosts:
            note(f"Its routes answer at {', '.join(given.hosts)}, and nowhere else.")
    else:
        print_line(f"{project} no longer has anything of its own.")
