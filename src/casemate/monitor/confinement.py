"""What the monitor may do once its folder is open: nothing outside, or what its settings name."""

from __future__ import annotations

import msgspec

from casemate.child.confinement import Confinement, SystemCalls
from casemate.egress.confinement import EGRESS
from casemate.monitor.settings import MonitorSettings

OFFLINE = Confinement(
    system_calls=SystemCalls.OFFLINE,
    makes_folders=True,
    memory=512 << 20,
    # The supervisor may start it from the thread that serves the gateway.
    dies_with_parent=False,
)
_NAMES_PORT = 53
"""Of servers of names, for answers that are too long for a datagram."""


def confinement_of(settings: MonitorSettings) -> Confinement:
    """Return what a monitor with these settings may do: without any channel it has no network."""
    if not settings.reached:
        return OFFLINE
    ports = {each.target.port for each in settings.reached} | {_NAMES_PORT}
    return msgspec.structs.replace(
        OFFLINE,
        system_calls=SystemCalls.INTERNET,
        reads=EGRESS.reads,
        connects=tuple(sorted(ports)),
    )
