"""`casemate deploy`: build, upload, make live."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from casemate.cli.building import Workspace
from casemate.cli.client import connect
from casemate.cli.deployment import Deployed, deployed_functions
from casemate.cli.deployment import deploy as deploy_bundle
from casemate.cli.options import JsonOption, ManifestOption, command, new_app
from casemate.cli.terminal import DIM, GREEN, YELLOW, note, print_json, print_line
from casemate.model.errors import CasemateError

app = new_app()


@command(app, examples="$ casemate deploy\n$ casemate deploy thumbnail\n$ casemate deploy --json")
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
    json: JsonOption = False,
) -> None:
    """Build the functions and make them live on the node.

    All are built before the first is deployed. A bundle that the node holds is not sent again. The
    node starts each function once before callers are sent to it; if that fails, its whole error is
    shown and what was live stays live. `casemate rollback` takes a deployment back.
    """
    workspace = Workspace(manifest, functions or ())
    done: list[Deployed] = []
    with connect() as client:
        before = deployed_functions(client)
        bundles = list(workspace.build(None, relock=relock))
        for built in bundles:
            name = workspace.name_of(built.manifest.function)
            try:
                deployed = deploy_bundle(client, name, built, before.get(name), force=force)
            except CasemateError as error:
                left = [str(workspace.name_of(b.manifest.function)) for b in bundles[len(done) :]]
                if json:
                    print_json(_document(client.url, done, str(error), left))
                elif len(bundles) > 1:
                    note(f"Not deployed: {', '.join(left)}.", YELLOW)
                raise
            done.append(deployed)
            if not json:
                _print(deployed)
        if json:
            print_json(_document(client.url, done, None, []))


def _document(
    node: str, done: list[Deployed], error: str | None, left: list[str]
) -> dict[str, Any]:
    return {"node": node, "deployed": done, "error": error, "not_deployed": left}


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
        print_line("  PUBLIC   everyone can call it without a key", YELLOW)
