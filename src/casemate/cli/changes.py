"""What differs between two versions of a function's declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from casemate.cli.text import seconds, size
from casemate.cli.trigger_changes import field_changes
from casemate.contracts import contracts_of
from casemate.model.function import FunctionSpec, Limits
from casemate.model.trigger import AnyTrigger

_SHOWN_AS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("memory", "tmp", "request", "response", "log"), size),
    **dict.fromkeys(("timeout", "queue_time", "keep"), seconds),
    "cpu": "{:g}".format,
}
_COMPARED = (
    "handler",
    "python",
    "isolation",
    "trust",
    "layout",
    "fresh",
    "public",
    "internal",
    "event_format",
)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference; `before` and `after` are as people write them, empty for nothing."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return the change on one line."""
        if not self.before:
            return f"{self.what} {self.after} added"
        if not self.after:
            return f"{self.what} {self.before} removed"
        return f"{self.what} {self.before} → {self.after}"


def shown_limits(limits: Limits) -> dict[str, str]:
    """Return every limit as people write it."""
    return {
        name: _SHOWN_AS.get(name, str)(getattr(limits, name)) for name in limits.__struct_fields__
    }


def public_shown(*, routed: bool, direct: bool) -> str:
    """Return how everyone can call a public function: its routes alone, or direct calls too."""
    if not routed:
        return "everyone can call it without a token"
    if direct:
        return "everyone can call it without a token, by its routes and directly (/invoke)"
    return "everyone can call its routes without a token; direct calls (/invoke) need one"


def routes_of(spec: FunctionSpec) -> list[str]:
    """Return the routes of a function as `GET /path`."""
    return [f"{trigger.method} {trigger.path}" for trigger in spec.http]


def changes(before: FunctionSpec, after: FunctionSpec) -> list[Change]:
    """Return what of `after` differs from `before` and matters to whoever operates it."""
    found = []
    for name in _COMPARED:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found.append(Change(what=name, before=_plain(old), after=_plain(new)))
    old_limits, new_limits = shown_limits(before.limits), shown_limits(after.limits)
    for name, value in new_limits.items():
        if getattr(before.limits, name) != getattr(after.limits, name):
            found.append(Change(what=name, before=old_limits[name], after=value))
    found += _environment_changes(before.environment, after.environment)
    old_routes, new_routes = routes_of(before), routes_of(after)
    for route in old_routes:
        if route not in new_routes:
            found.append(Change(what="route", before=route, after=""))
    for route in new_routes:
        if route not in old_routes:
            found.append(Change(what="route", before="", after=route))
    found += _event_changes(before, after) + exceptions(after, before)
    found += _set_changes("denied to packages", denied_of(before), denied_of(after))
    return [*found, *_log_changes(before, after)]


def exceptions(spec: FunctionSpec, before: FunctionSpec | None = None) -> list[Change]:
    """Return what a version gives up of protections, or no more, beside the one `before`."""
    return [
        change
        for what, of in (
            ("guard exception", guard_of),
            ("error exception", errors_of),
            ("in clear in logs", _unmasked_of),
        )
        for change in _set_changes(what, () if before is None else of(before), of(spec))
    ]


def _event_changes(before: FunctionSpec, after: FunctionSpec) -> list[Change]:
    """Return what changed of triggers, delivery and contracts; of contracts not what."""
    found = _trigger_changes(before, after)
    for name in before.delivery.__struct_fields__:
        old, new = getattr(before.delivery, name), getattr(after.delivery, name)
        if old != new:
            found.append(Change(what=name, before=_destinations(old), after=_destinations(new)))
    contracts = [
        {what: text for what, text in contracts_of(spec).items() if text}
        for spec in (before, after)
    ]
    return [*found, *_by_name("contract", *contracts)]


def _by_name(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    found = [Change(what=what, before=name, after="") for name in before if name not in after]
    for name, value in after.items():
        if name not in before:
            found.append(Change(what=what, before="", after=name))
        elif before[name] != value:
            found.append(Change(what=f"{what} {name}", before="one", after="another"))
    return found


def _trigger_changes(before: FunctionSpec, after: FunctionSpec) -> list[Change]:
    old = {trigger.name: _bare(trigger) for trigger in before.triggers}
    new = {trigger.name: _bare(trigger) for trigger in after.triggers}
    kept = [name for name in new if name in old]
    found = _set_changes("trigger", [*old], [*new])
    for name in kept:
        for field, was, now in field_changes(old[name], new[name]):
            what = f"trigger {name} {field}".rstrip()
            found.append(Change(what=what, before=was, after=now))
    return found


def _bare(trigger: AnyTrigger) -> AnyTrigger:
    return msgspec.structs.replace(trigger, contract="")


def _destinations(value: object) -> str:
    if not isinstance(value, tuple):
        return seconds(value) if isinstance(value, float) else str(value)
    return ", ".join(f"{one.kind.value}:{one.name}" for one in value) or "nowhere"


def _log_changes(before: FunctionSpec, after: FunctionSpec) -> list[Change]:
    found = []
    for what, old, new in (
        ("logs kept", seconds(before.logs.keep), seconds(after.logs.keep)),
        ("recorded", f"{before.recordings.sample:%}", f"{after.recordings.sample:%}"),
        ("recordings kept", seconds(before.recordings.keep), seconds(after.recordings.keep)),
        (
            "recordings kept",
            size(before.recordings.keep_bytes),
            size(after.recordings.keep_bytes),
        ),
        ("baseline learned for", seconds(before.baseline.learn), seconds(after.baseline.learn)),
        ("baseline learned of", str(before.baseline.calls), str(after.baseline.calls)),
        (
            "baseline of system calls",
            str(before.baseline.system_calls).lower(),
            str(after.baseline.system_calls).lower(),
        ),
        (
            "on a deviation",
            before.baseline.on_deviation.value,
            after.baseline.on_deviation.value,
        ),
        ("logs kept", size(before.logs.keep_bytes), size(after.logs.keep_bytes)),
    ):
        if old != new:
            found.append(Change(what=what, before=old, after=new))
    return found + _set_changes("masked in logs", before.logs.mask, after.logs.mask)


def _set_changes(what: str, before: Sequence[str], after: Sequence[str]) -> list[Change]:
    gone = [Change(what=what, before=one, after="") for one in before if one not in after]
    return gone + [Change(what=what, before="", after=one) for one in after if one not in before]


def errors_of(spec: FunctionSpec) -> list[str]:
    """Return what answers may tell of the inside, as `trace at /debug`."""
    return [f"{entry.what} at {entry.place}" for entry in spec.errors]


def _unmasked_of(spec: FunctionSpec) -> list[str]:
    return [one.kind for one in spec.logs.unmasked]


def denied_of(spec: FunctionSpec) -> list[str]:
    """Return what packages may not do as `requests: egress, process`."""
    return [f"{rule.name}: {', '.join(rule.deny) or 'nothing'}" for rule in spec.packages]


def guard_of(spec: FunctionSpec) -> list[str]:
    """Return the exceptions of the sink guard as `sql at app:query: report`."""
    return [f"{rule.sink} at {rule.location}: {rule.mode.value}" for rule in spec.guard]


def _environment_changes(before: dict[str, str], after: dict[str, str]) -> list[Change]:
    """Return which variables changed, without their values."""
    found = [Change(what="variable", before=n, after="") for n in before if n not in after]
    for name, value in after.items():
        if name not in before:
            found.append(Change(what="variable", before="", after=name))
        elif before[name] != value:
            found.append(Change(what=f"variable {name}", before="one value", after="another"))
    return found


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "newest" if value is None else str(value)
