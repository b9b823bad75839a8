"""Starting the egress process, for the supervisor."""

from __future__ import annotations

from casemate.child.start import ChildProgram
from casemate.child.starter import ChildStarter
from casemate.egress.config import EgressConfig

PROGRAM = ChildProgram(module="casemate.egress.process")


class EgressStarter(ChildStarter):
    """Starts egress processes for one gateway, one at a time."""

    def __init__(
        self, uid: int | None, *, own_addresses: tuple[str, ...] = (), learn: bool = False
    ) -> None:
        """Make the socket pair. `uid` is what to become if this is root, else None."""
        super().__init__(
            PROGRAM,
            lambda control, heart, _: EgressConfig(
                control=control, heart=heart, uid=uid, own_addresses=own_addresses, learn=learn
            ),
        )
