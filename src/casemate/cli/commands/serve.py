"""`casemate serve`: run a node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.options import JsonOption, command, new_app

app = new_app()

DEFAULT_PORT = 8787


def default_data_folder() -> Path:
    """Return where a node keeps its data: /var/lib/casemate as root, else in the home folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/casemate")
    configured = Path(os.environ.get("XDG_DATA_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".local/share"
    return base / "casemate"


@command(
    app,
    examples="""\
$ casemate serve
$ casemate serve --data /srv/casemate --host 0.0.0.0 --port 80
""",
)
def serve(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder for everything the node keeps; without it /var/lib/casemate as root, "
            "else ~/.local/share/casemate.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 and :: are all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    accept_risk: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-risk",
            metavar="PROTECTION",
            help="Start although this protection, as `casemate doctor` names it, does not hold on "
            "this host. Can be given several times; each is recorded.",
        ),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            "--python",
            metavar="MINOR",
            help="Offer only this version of Python, such as 3.12. Can be given several times.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run a node.

    Functions are called, and the node is controlled, on one port. The first start makes an admin
    key and shows it once. The node refuses to start without the protections it requires. SIGTERM
    and Ctrl-C end it without dropping a running call.
    """
    from casemate.node.options import ServeOptions
    from casemate.node.serve import serve as run

    run(
        ServeOptions(
            data=data or default_data_folder(),
            host=host,
            port=port,
            accepted_risks=tuple(accept_risk or ()),
            pythons=tuple(python or ()),
            json=json,
        )
    )
