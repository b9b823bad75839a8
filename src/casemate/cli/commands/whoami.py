"""`casemate whoami`: who one is on the node."""

from __future__ import annotations

import msgspec

from casemate.cli.client import connect, path_of
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment

app = new_app()


class _WhoAmI(msgspec.Struct):
    principal: str
    roles: tuple[str, ...]
    expires_at: float | None = None


@command(app, examples="$ casemate whoami")
def whoami(json: JsonOption = False) -> None:
    """Show who you are to the node.

    With your roles, and until when the session or token is valid.
    """
    with connect() as client:
        me = client.get(path_of("whoami"), _WhoAmI)
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
