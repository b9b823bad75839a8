"""`casemate deploy`: build, upload, make live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from casemate.admission.grants import GrantDifference, difference
from casemate.cli.building import Workspace
from casemate.cli.client import NodeClient, connect
from casemate.cli.deployment import Deployed, deployed_functions, live_version
from casemate.cli.deployment import deploy as deploy_bundle
from casemate.cli.grant_report import (
    ApprovalNeededError,
    difference_rows,
    unused,
    uses_if_allowed,
)
from casemate.cli.names import FunctionName
from casemate.cli.options import JsonOption, ManifestOption, command, new_app
from casemate.cli.terminal import (
    DIM,
    GREEN,
    YELLOW,
    note,
    print_json,
    print_line,
    print_table,
)
from casemate.model.deployment import DeployedFunction
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.build import BuiltBundle

app = new_app()

GrantRow = tuple[str, str, str]
"""A line of the table of grants: function, what is the matter, the grant."""


@command(
    app,
    examples="$ casemate deploy\n$ casemate deploy thumbnail\n$ casemate deploy --approve\n"
    "$ casemate deploy --json",
)
def deploy(
    functions: Annotated[
        list[str] | None,
        typer.Argument(metavar="FUNCTION", help="Which ones; without any, all."),
    ] = None,
    manifest: ManifestOption = None,
    relock: Annotated[
        bool, typer.Option("--relock", help="Resolve the dependencies anew, to newer versions.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make a new version even if nothing has changed.")
    ] = False,
    approve: Annotated[
        bool,
        typer.Option(
            "--approve",
            help="Let the functions have more grants than their live versions have. Needs the "
            "right grant:approve, and is recorded.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Build the functions and make them live on the node.

    All are built before the first is deployed. If one of them would be granted more than its live
    version is, the difference is shown and nothing is deployed without --approve; a first deploy
    with any grant counts too. A bundle that the node holds is not sent again. The node starts each
    function once before callers are sent to it; if that fails, its whole error is shown and what
    was live stays live. `casemate rollback` takes a deployment back.
    """
    workspace = Workspace(manifest, functions or ())
    done: list[Deployed] = []
    rows: list[GrantRow] = []
    with connect() as client:
        before = deployed_functions(client)
        bundles = [
            (workspace.name_of(built.manifest.function), built)
            for built in workspace.build(None, relock=relock)
        ]
        try:
            _check_grants(client, bundles, before, rows, approve=approve, table=not json)
            for name, built in bundles:
                deployed = deploy_bundle(
                    client, name, built, before.get(name), force=force, approve=approve
                )
                done.append(deployed)
                if not json:
                    _print(deployed)
        except CasemateError as error:
            left = [str(name) for name, _ in bundles[len(done) :]]
            if json:
                print_json(_document(client.url, rows, done, error, left))
            elif len(bundles) > 1:
                note(f"Not deployed: {', '.join(left)}.", YELLOW)
            raise
        if json:
            print_json(_document(client.url, rows, done, None, []))


def _check_grants(
    client: NodeClient,
    bundles: Sequence[tuple[FunctionName, BuiltBundle]],
    before: dict[FunctionName, DeployedFunction],
    rows: list[GrantRow],
    *,
    approve: bool,
    table: bool,
) -> None:
    """Put what is to be known of the grants into `rows`; raise ApprovalNeededError if it widens.

    Nothing has been sent by then. The node decides the same again for each function: this only
    spares half a deployment.
    """
    widening: list[tuple[FunctionName, GrantDifference]] = []
    for name, built in bundles:
        known = before.get(name)
        live = live_version(known) if known is not None else None
        old = live.spec.grants if live is not None else ()
        new = built.manifest.function.grants
        found = difference(old, new)
        if found.widens:
            widening.append((name, found))
        if old or new:
            seen = uses_if_allowed(client, name, live.number) if live and old else None
            idle = unused(seen.granted, seen.uses) if seen is not None else []
            rows += difference_rows(name, found, old, new, idle)
    if rows and table:
        print_table(("function", "is", "grant"), rows, empty="")
    if widening and not approve:
        raise ApprovalNeededError(widening)


def _document(
    node: str,
    rows: list[GrantRow],
    done: list[Deployed],
    error: CasemateError | None,
    left: list[str],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "node": node,
        "grants": [dict(zip(("function", "is", "grant"), row, strict=True)) for row in rows],
        "deployed": done,
        "error": str(error) if error is not None else None,
        "not_deployed": left,
    }
    if isinstance(error, ApprovalNeededError):
        document["widening"] = {str(name): found for name, found in error.widening}
    return document


def _print(deployed: Deployed) -> None:
    if deployed.unchanged:
        print_line(f"{deployed.function}  version {deployed.version} is live, unchanged", DIM)
        return
    previous = f", before it {deployed.previous_version}" if deployed.previous_version else ""
    print_line(f"{deployed.function}  version {deployed.version} is live{previous}", GREEN)
    print_line(f"  address  {deployed.address}")
    for route in deployed.routes:
        print_line(f"  route    {route}")
    for change in deployed.changes:
        print_line(f"  changed  {change}")
    if deployed.public:
        print_line("  PUBLIC   everyone can call it without a token", YELLOW)
