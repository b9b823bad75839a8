"""`casemate whoami`: who one is on the node."""

from __future__ import annotations

import msgspec

from casemate.cli.client import connect
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment
from casemate.operations.login import Whoami

app = new_app()


@command(app, examples="$ casemate whoami")
def whoami(json: JsonOption = False) -> None:
    """Show who you are to the node.

    With your roles, and until when the session or token is valid.
    """
    with connect() as client:
        me = client.call(Whoami())
        url = client.url
    if json:
        print_json({"node": url, **msgspec.to_builtins(me)})
        return
    print_table(
        ("node", "principal", "roles", "expires"),
        [
            (
                url,
                me.principal,
                " ".join(me.roles),
                moment(me.expires_at) if me.expires_at is not None else "never",
            )
        ],
        empty="",
    )
