"""When a channel is told of a finding: at once, after nobody took it, or when the night is over."""

from __future__ import annotations

from casemate.model.level import Level
from casemate.monitor.findings import Found
from casemate.monitor.settings import Channel

DAY = 86_400.0
"""No night is longer, whatever the clock says."""
_MINUTE = 60.0


def seconds_alone(settings: Channel, found: Found, now: float) -> float:
    """Return for how many seconds somebody may take a finding before a channel is told; a day at
    the most.

    A clock that is set back lengthens no wait beyond what the settings say.
    """
    return min(max(0.0, found.at + settings.after - now), settings.after)


def seconds_of_night(settings: Channel, now: float) -> float:
    """Return for how many seconds a channel is told of nothing yet but what is critical.

    To be asked whenever something could be sent: a clock may be set while it waits. At most a day;
    hours are those of UTC.
    """
    if settings.quiet is None:
        return 0.0
    begins, ends = (60 * int(each[:2]) + int(each[3:]) for each in settings.quiet.split("-"))
    minute = now % DAY / _MINUTE
    since, length = (minute - begins) % 1440, (ends - begins) % 1440
    return (length - since) * _MINUTE if since < length else 0.0


def waits_for_morning(found: Found) -> bool:
    """Tell whether a finding is none that wakes people."""
    return found.level is not Level.CRITICAL
