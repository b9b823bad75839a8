"""`casemate rollback`: back to what was live."""

from __future__ import annotations

from casemate.cli.commands.ls import shares
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import print_line
from casemate.model.deployment import Alias
from casemate.operations.functions import Rollback

app = new_app()


@answered(app, Rollback, examples="$ casemate rollback hello\n$ casemate rollback hello --to 3")
def rollback(changed: Alias, call: Call) -> None:
    """Go back to the version that all callers had before.

    It skips versions that only had a share of the calls, and versions that were themselves rolled
    back. While several share the calls, it leaves the newest of them, or the one on trial, for the
    one of the others that all callers had last. Nothing is built or uploaded: the pointer moves,
    and the next call follows it.
    """
    print_line(f"{call.name}: live is version {shares(changed)} again.")
