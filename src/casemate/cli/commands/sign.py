"""`casemate sign`: vouch for what somebody else is to deploy."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.attesting import attest
from casemate.cli.building import Workspace
from casemate.cli.client import connect
from casemate.cli.options import JsonOption, ManifestOption, command, new_app
from casemate.cli.terminal import GREEN, print_json, print_line

app = new_app()


@command(app, examples="$ casemate sign\n$ casemate sign thumbnail --json")
def sign(
    functions: Annotated[
        list[str] | None,
        typer.Argument(metavar="FUNCTION", help="Functions to take; default: all."),
    ] = None,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Build functions and sign the bundles, for somebody else to deploy.

    This is for projects that require several signatures (`casemate keys set-rule`). Builds are
    reproducible, so each signer has built the same bundle from its source. Only the signed
    provenance and SBOM are uploaded. A signature is valid for one deploy within 30 days.
    """
    workspace = Workspace(manifest, functions or ())
    signed = []
    with connect() as client:
        for built in workspace.build(None, relock=False):
            name = workspace.name_of(built.manifest.function)
            done = attest(client, built)
            signed.append({"function": str(name), "digest": built.digest, "keys": done.keys})
            if not json:
                print_line(f"{name}  {built.digest} is signed by {done.keys[0][:12]}", GREEN)
    if json:
        print_json(signed)
