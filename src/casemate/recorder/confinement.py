"""What the recorder may do once its folder is open."""

from __future__ import annotations

from casemate.child.confinement import Confinement, SystemCalls

RECORDER = Confinement(
    system_calls=SystemCalls.OFFLINE,
    makes_folders=True,
    memory=512 << 20,
    # The supervisor may start it from the thread that serves the gateway.
    dies_with_parent=False,
)
