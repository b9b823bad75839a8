"""Starting the process that moves a state, beside the vault of the node's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from casemate.migration.process import MoveConfig, MoveLine
from casemate.migration.sequence import Outcome
from casemate.model.errors import CasemateError
from casemate.model.processes import MONITOR_UID, RECORDER_UID, VAULT_UID
from casemate.supervisor.shared_places import SharedPlaces
from casemate.supervisor.stopped_node import run_beside, stopped_node


def migrate(
    data: Path,
    master_key: str | None,
    places: SharedPlaces,
    show: Callable[[MoveLine], None],
    *,
    back: bool,
) -> Outcome:
    """Move the state of a data folder to `places`, or with `back` from there; return what was done.

    Needs the master key, and the rights of the user that the node runs as. `show` hears how far it
    is. Raises CasemateError.
    """
    outcome: Outcome | None = None

    def heard(line: MoveLine) -> None:
        nonlocal outcome
        if line.outcome is not None:
            outcome = line.outcome
        else:
            show(line)

    with stopped_node(data, master_key, "move", take_back=back) as node:
        if back:
            users = (node.uid, VAULT_UID, RECORDER_UID, MONITOR_UID)
            node.folders.make(*(users if node.uid is not None else (None, None, None, None)))
        config = MoveConfig(
            data=node.data,
            shown=str(node.folders.data),
            back=back,
            vault=node.vault,
            uid=node.uid,
            unproved=places.unproved,
        )
        module = "casemate.migration.process"
        code = run_beside(node, module, config, heard, MoveLine, places.environment)
    if code or outcome is None:
        raise CasemateError(
            f"The move ended with code {code}; what it wrote is above. No node starts where it "
            "went.",
            next_step="Run the same command again: it goes on with what there is.",
        )
    return outcome
