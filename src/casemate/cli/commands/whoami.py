"""`casemate whoami`: who one is on the node."""

from __future__ import annotations

import msgspec

from casemate.cli.operation_command import Call, answered
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment
from casemate.operations.login import WhoAmI, Whoami

app = new_app()


@answered(app, Whoami, examples="$ casemate whoami")
def whoami(me: WhoAmI, call: Call, *, json: JsonOption = False) -> None:
    """Show who you are to the node.

    This includes your roles, and until when the session or token is valid.
    """
    if json:
        print_json({"node": call.url, **msgspec.to_builtins(me)})
        return
    print_table(
        ("node", "principal", "roles", "expires"),
        [
            (
                call.url,
                me.principal,
                " ".join(me.roles),
                moment(me.expires_at) if me.expires_at is not None else "never",
            )
        ],
        empty="",
        below=("expires",),
    )
