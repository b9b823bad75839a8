"""The monitor: a process of its own that follows the journal and notifies people.

    recorder ══ entries, from a kept position ══▶ following ──▶ consumers: detection ──▶ findings
                                                                                            │
    outside ◀── webhook, mail, syslog ◀── alerting: levels, silences, folding, rates ◀──────┘

What it is: the process (`process`, `following`), the consumers of what it reads (`consumers`),
findings (`findings`), notifications (`alerting`, `outlet`, `channels`), and the gateway's end
(`client`). It may append its findings to the journal and change nothing. What it is
not: the rules and their matcher (`casemate.detection`), or the journal (`casemate.recorder`).
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.monitor.errors import MonitorError, SettingsError

if TYPE_CHECKING:
    from casemate.monitor.client import MonitorClient
else:
    __getattr__ = deferred(
        __name__,
        client=("MonitorClient",),
    )

__all__ = ["MonitorClient", "MonitorError", "SettingsError"]
