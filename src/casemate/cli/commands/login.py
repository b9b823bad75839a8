"""`casemate login`: remember a node and a key for it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from casemate.cli.client import NodeClient, path_of
from casemate.cli.credentials import DEFAULT_URL, Credentials, parse_key, parse_url, store
from casemate.cli.errors import DeniedError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.prompts import read_secret
from casemate.cli.terminal import YELLOW, note, print_json, print_line

app = new_app()


@command(
    app,
    examples="""\
The key is asked for, and not shown while you type
$ casemate login https://node.example.org
$ casemate login < key.txt
""",
)
def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the node.")] = DEFAULT_URL,
    allow_http: Annotated[
        bool,
        typer.Option(
            "--allow-http",
            help="Send the key to another machine without encryption. Whoever is in between can "
            "read it.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Store the address and key of a node.

    The key comes from the terminal, from standard input, or from CASEMATE_KEY, never from the
    command line, which every process can read. It is tried before it is stored, in a file that
    only you can read, and it is sent to this address only.
    """
    address = parse_url(url)
    text = os.environ.get("CASEMATE_KEY") or read_secret(f"Key for {address}: ")
    credentials = Credentials(address, parse_key(text), allow_http)
    with NodeClient(credentials) as client:
        answer = client.exchange("GET", path_of("node"))
        may_only_invoke = answer.status_code == 403
        if answer.status_code == 401:
            raise DeniedError(
                f"{address} does not accept the key; nothing was stored.",
                next_step="Make one there with `casemate keys add NAME --role admin`.",
            )
        if not answer.is_success and not may_only_invoke:
            raise client.failure(answer)
    path = store(credentials)
    if json:
        role = "invoke" if may_only_invoke else "admin"
        print_json({"node": address, "role": role, "stored_in": str(path)})
        return
    print_line(f"{address} is the node from now on; stored in {path}.")
    if may_only_invoke:
        note("This key can only call functions: everything but `invoke` will be denied.", YELLOW)
