"""Starting a restorer, for the supervisor."""

from __future__ import annotations

from casemate.child.protocol import ChildConfig
from casemate.child.start import Child, ChildProgram
from casemate.model.processes import RESTORER_UID

CAPABILITY = 19
"""CAP_SYS_PTRACE: instances have other ids, and are not dumpable."""
KEEPS = 1 << CAPABILITY
PROGRAM = ChildProgram(module="casemate.restorer.process", keeps=KEEPS)


def start_restorer() -> Child:
    """Start a restorer, which says when it is ready. For root alone. Raises OSError."""
    return Child(
        PROGRAM, lambda control, heart: ChildConfig(control=control, heart=heart, uid=RESTORER_UID)
    )
