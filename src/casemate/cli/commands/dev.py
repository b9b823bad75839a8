"""`casemate dev`: the project on this machine, reloaded on save."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.names import require_manifest
from casemate.cli.options import ManifestOption, command, new_app

app = new_app()


@command(app, examples="$ casemate dev\n$ casemate dev --port 8000")
def dev(
    manifest: ManifestOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8788,
    accept_risk: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-risk",
            metavar="PROTECTION",
            help="Go on although this protection, as `casemate doctor` names it, does not hold on "
            "this host. Can be given several times.",
        ),
    ] = None,
) -> None:
    """Run the project on this machine and reload it on every save.

    A node of its own, with its data below .casemate of the project: the same sandbox, limits and
    errors as in production. What the functions write, and their errors in full, appear here.
    """
    from casemate.wiring import DevOptions
    from casemate.wiring import dev as run

    run(
        DevOptions(
            manifest=require_manifest(manifest),
            host=host,
            port=port,
            accepted_risks=tuple(accept_risk or ()),
        )
    )
