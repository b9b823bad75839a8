"""What differs between two declarations of one trigger, as far as it is plain to read."""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.cli.text import seconds
from casemate.cli.triggers_shown import listens_to, schedule_text
from casemate.model.trigger import AnyTrigger, ScheduleTrigger

_WHEN = frozenset(("cron", "every", "timezone"))
"""Of a schedule, told together."""
_SECONDS = frozenset(("window",))
_EMPTY_IS_ALL = frozenset(("branches", "events"))
PLAIN = frozenset(
    (
        *("missed", "queue", "batch", "topic", "filter", "bucket", "prefix", "suffix", "table"),
        *("provider", "function", "on", "host", "port", "tls", "private", "stream", "group"),
        *("keys", "database", "outbox", "channel", "vhost", "qos", "client", "subject", "durable"),
        *_WHEN,
        *_SECONDS,
        *_EMPTY_IS_ALL,
    )
)
"""Fields that are told with their values. Of others it is told that they changed: they are logins,
or what an event carries."""
MAX_SHOWN = 80
"""Characters of a value."""


def field_changes(before: AnyTrigger, after: AnyTrigger) -> list[tuple[str, str, str]]:
    """Return what changed, before and after; what is empty if it is the trigger as a whole."""
    if type(before) is not type(after):
        return [("", *_told(listens_to(before), listens_to(after)))]
    found = []
    told_when = False
    if isinstance(before, ScheduleTrigger) and isinstance(after, ScheduleTrigger):
        zones = before.timezone != after.timezone or not (before.cron and after.cron)
        old, new = (schedule_text(each, zone=zones) for each in (before, after))
        if told_when := old != new:
            found.append(("", *_told(old, new)))
    for name in before.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if old != new and not (told_when and name in _WHEN):
            told = _told(_shown(name, old), _shown(name, new)) if name in PLAIN else _UNTOLD
            found.append((name, *told))
    return found


_UNTOLD = ("one", "another")


def _told(before: str, after: str) -> tuple[str, str]:
    short = (_short(before), _short(after))
    return _UNTOLD if short[0] == short[1] else short


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or ("all" if name in _EMPTY_IS_ALL else "none")
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode() if value else ""
    return seconds(value) if name in _SECONDS else str(value)
