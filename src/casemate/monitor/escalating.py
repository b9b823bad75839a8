"""When a channel is told of a finding: at once, after nobody took it, or when the night is over."""

from __future__ import annotations

from casemate.model.level import Level
from casemate.monitor.findings import Found
from casemate.monitor.settings import Channel

_DAY = 86_400.0
_MINUTE = 60.0


def seconds_until(settings: Channel, found: Found, now: float) -> float:
    """Return how long a channel waits with a finding, in seconds; at most two days.

    What is critical waits for no morning. A clock that is set back lengthens no wait beyond what
    the settings say.
    """
    after = min(max(0.0, found.at + settings.after - now), settings.after)
    if settings.quiet is None or found.level is Level.CRITICAL:
        return after
    return after + _left_of_night(settings.quiet, now + after)


def _left_of_night(quiet: str, at: float) -> float:
    """Return for how long it is quiet yet; hours are those of UTC."""
    begins, ends = (60 * int(each[:2]) + int(each[3:]) for each in quiet.split("-"))
    minute = at % _DAY / _MINUTE
    since, length = (minute - begins) % 1440, (ends - begins) % 1440
    return (length - since) * _MINUTE if since < length else 0.0
