"""`casemate logout`: end the session and forget it."""

from __future__ import annotations

from casemate.cli.client import NodeClient
from casemate.cli.credentials import forget, load
from casemate.cli.errors import DeniedError, UnreachableError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_line
from casemate.operations.login import Logout

app = new_app()


@command(app, examples="$ casemate logout")
def logout(json: JsonOption = False) -> None:
    """End the session with a node.

    The stored credentials are deleted. A service token among them stays valid, because others may
    use it; `casemate tokens revoke` ends it.
    """
    stored = load()
    ended = False
    if stored is not None:
        try:
            with NodeClient(stored) as client:
                ended = client.call(Logout()).ended
        except DeniedError:
            ended = True  # it was over already
        except UnreachableError as error:
            note(f"{error.message} The session is forgotten here and ends by itself.", YELLOW)
    forgotten = forget()
    if json:
        print_json({"ended": ended, "forgotten": forgotten})
    elif not forgotten:
        print_line("You were not logged in.")
    elif stored is not None:
        of = f"of {stored.url}"
        told = f"You are logged out {of}." if ended else f"The credentials {of} are forgotten here."
        print_line(told)
