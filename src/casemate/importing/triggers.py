"""What runs a function: schedules, queues, topics, buckets, tables as a manifest has them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from casemate.audit.model import Function, Trigger
from casemate.audit.rules.secret_search import secrets_in
from casemate.importing.limits import MAX_TRIGGERS
from casemate.importing.outcome import Notes
from casemate.importing.resources import Known, Resources
from casemate.importing.schedules import NoCounterpartError, translated
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.trigger_kinds import Cron, TimeZone

Table = dict[str, Any]
_OFF = re.compile(r"(?i)false|disabled")
_NEXT = {
    "stream": "have a program send its records to a queue of the project",
    "event": "publish to a topic of the project and subscribe the function to it",
    "websocket": "there are no web sockets for functions; poll, or use a server of your own",
    "identity": "log people in with OIDC (docs/howto/log-in-with-oidc.md), which has no hooks",
    "mail": "have your mail server call a route, or put mails into a queue",
    "iot": "read the broker with an mqtt trigger (docs/howto/react-to-outside-servers.md)",
    "log": "see docs/howto/export-what-happens.md",
    "edge": "put a route in front of it",
    "invoke": "have whatever calls it call the route or /invoke/PROJECT/FUNCTION with a token",
    "skill": "give it a route, and check the sender's signature in the handler",
}
_BATCHES = {"queue": 10, "table": 100}
"""What AWS hands over at once where nothing is said."""
_MAX_BATCH = 1_000
_EVENTS = {"s3:ObjectCreated": "created", "s3:ObjectRemoved": "deleted"}


class Triggering:
    """Makes the triggers of functions; a queue is consumed once in a project."""

    def __init__(self, resources: Resources, notes: Notes, secret: Callable[[str], bool]) -> None:
        """Begin without any. `secret` tells whether a text holds the value of a known secret."""
        self._secret = secret
        self._resources = resources
        self._notes = notes
        self._consumed: dict[str, str] = {}

    def of(self, function: Function) -> dict[str, list[Table]]:
        """Return the triggers of a function by kind, without its routes."""
        made: dict[str, list[Table]] = {}
        count = 0
        for trigger in function.triggers:
            if trigger.kind in ("http", "url"):
                continue
            reader = _READERS.get(trigger.kind)
            found = list(reader(self, function, trigger)) if reader is not None else []
            if reader is None:
                self._none(function, trigger)
            for each in found:
                count += 1
                if count <= MAX_TRIGGERS:
                    made.setdefault(trigger.kind, []).append(each)
                else:
                    self._leave(
                        function, trigger, "more triggers than a function has here", "split it"
                    )
        return made

    def _leave(self, function: Function, trigger: Trigger, what: str, next: str) -> None:
        self._notes.leave(trigger.place, f"{function.name}: {what}", next)

    def _none(self, function: Function, trigger: Trigger) -> None:
        kind = trigger.how if trigger.kind == "other" else trigger.kind
        next = _NEXT.get(trigger.kind, "call its route or /invoke/PROJECT/FUNCTION instead")
        self._leave(function, trigger, f"a trigger of the kind {kind} has no counterpart", next)

    # -- schedules -----------------------------------------------------------------------------

    def _schedule(self, function: Function, trigger: Trigger) -> Iterator[Table]:
        settings = trigger.settings
        expressions = _first(settings, "ScheduleExpression", "Schedule", "rate") or trigger.source
        if _off(settings):
            self._leave(
                function, trigger, "a schedule that is switched off", "add it once it is wanted"
            )
            return
        if function.settings.get("schedule"):  # OpenFaaS
            yield from self._cron(function, trigger, str(function.settings["schedule"]), {})
            return
        for expression in expressions if isinstance(expressions, list) else [expressions]:
            plain = expression.get("rate", "") if isinstance(expression, Mapping) else expression
            try:
                made = translated(str(plain))
            except NoCounterpartError as error:
                self._leave(
                    function,
                    trigger,
                    f"the schedule {plain}: {error}",
                    "write it as cron or every in casemate.toml",
                )
                continue
            rest = self._more(function, trigger)
            if "cron" in made:
                yield from self._cron(function, trigger, made["cron"], rest)
            else:
                yield {**made, **rest}

    def _cron(
        self, function: Function, trigger: Trigger, expression: str, rest: Table
    ) -> Iterator[Table]:
        try:
            made = {"cron": Cron().parse(expression)}
            zone = trigger.settings.get("ScheduleExpressionTimezone") or trigger.settings.get(
                "timezone"
            )
            if isinstance(zone, str) and zone:
                made["timezone"] = str(TimeZone().parse(zone))
        except RejectedValueError as error:
            what = f"the schedule {expression}: expected {error.expected}"
            self._leave(function, trigger, what, "write it as cron or every in casemate.toml")
            return
        yield {**made, **rest}

    def _more(self, function: Function, trigger: Trigger) -> Table:
        """Return the data of each event."""
        given = _first(trigger.settings, "Input", "input")
        for target in trigger.settings.get("Targets") or ():
            given = given or (target.get("Input") if isinstance(target, Mapping) else None)
        if given is None:
            return {}
        try:
            data = json.loads(given) if isinstance(given, str) else given
            text = json.dumps(data)
        except (ValueError, TypeError, RecursionError):
            data, text = None, ""
        hidden = "{{" in text or self._secret(text) or any(True for _ in secrets_in(text))
        if hidden or data is None or "${" in text or len(text) > 4_096 or not _plain(data):
            what = "the input of its schedule could not be read, or holds what looks like a secret"
            self._leave(function, trigger, what, "write it as `data` of the schedule")
            return {}
        self._leave(
            function,
            trigger,
            "the input of its schedule is the whole event on AWS",
            'here it is in event["detail"], and event.data of context.event; change the handler',
        )
        return {"data": data}

    # -- events of data ------------------------------------------------------------------------

    def _source(self, function: Function, trigger: Trigger) -> Known | None:
        known = self._resources.logical(trigger.source)
        if known is None or known.kind != trigger.kind:
            known = self._resources.demand(trigger.kind, trigger.source, trigger.place)
        if known is None and trigger.kind != "table":
            what = f"the {trigger.kind} {trigger.source or '?'} that runs it is not known"
            self._leave(function, trigger, what, "declare it in casemate.toml with its trigger")
        if known is not None:
            self._resources.declare(known)
        return known

    def _queue(self, function: Function, trigger: Trigger) -> Iterator[Table]:
        known = self._source(function, trigger)
        if known is None:
            return
        if known.name in self._consumed:
            self._leave(
                function,
                trigger,
                f"the queue {known.name} is consumed by {self._consumed[known.name]} already",
                "a queue has one consumer here: use a topic for several",
            )
            return
        self._consumed[known.name] = function.name
        yield {"queue": known.name, **self._batch(function, trigger)}

    def _batch(self, function: Function, trigger: Trigger) -> Table:
        settings = trigger.settings
        if _off(settings):
            what = "a trigger that is switched off was taken as one that is on"
            self._leave(function, trigger, what, "take it out of casemate.toml")
        if _first(settings, "FilterCriteria", "filterPatterns"):
            what = "the filter of its trigger is not translated: it gets every event"
            self._leave(
                function, trigger, what, "look at each event in the handler, or use a contract"
            )
        size = _number(_first(settings, "BatchSize", "batchSize")) or _BATCHES[trigger.kind]
        made: Table = {"batch": max(1, min(size, _MAX_BATCH))}
        window = _number(
            _first(
                settings, "MaximumBatchingWindowInSeconds", "maximumBatchingWindow", "batchWindow"
            )
        )
        if window and made["batch"] > 1:
            made["window"] = f"{min(window, 300)}s"
        return made

    def _table(self, function: Function, trigger: Trigger) -> Iterator[Table]:
        known = self._source(function, trigger)
        if known is not None:
            yield {"table": known.name, **self._batch(function, trigger)}

    def _topic(self, function: Function, trigger: Trigger) -> Iterator[Table]:
        known = self._source(function, trigger)
        if known is None:
            return
        policy = _first(trigger.settings, "FilterPolicy", "filterPolicy")
        if policy:
            self._leave(
                function,
                trigger,
                f"the filter of its subscription to {known.name} is not translated: it gets every "
                "message",
                "filters here look at the message, not at its attributes: write `filter` of the "
                "topic in casemate.toml",
            )
        yield {"topic": known.name}

    def _bucket(self, function: Function, trigger: Trigger) -> Iterator[Table]:
        known = self._source(function, trigger)
        if known is None:
            return
        for events, rules in _notifications(trigger.settings):
            made = []
            for event in events:
                word = _EVENTS.get(":".join(event.split(":")[:2]))
                if word is None:
                    what = f"the event {event} of the bucket {known.name} has no counterpart"
                    self._leave(function, trigger, what, "there are created and deleted")
                elif word not in made:
                    made.append(word)
            if made:
                prefix = str(rules.get("prefix", ""))[:1024]
                suffix = str(rules.get("suffix", ""))[:1024]
                parts = {
                    k: v for k, v in (("prefix", prefix), ("suffix", suffix)) if v and "${" not in v
                }
                yield {"bucket": known.name, "events": made, **parts}


def _notifications(settings: Mapping[str, Any]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield events and rules, as SAM, the Serverless Framework or a bucket itself says them."""
    inner = settings.get("NotificationConfiguration")
    found = inner.get("LambdaConfigurations") if isinstance(inner, Mapping) else None
    for each in found if isinstance(found, list) else [settings]:
        if not isinstance(each, Mapping):
            continue
        given = _first(each, "Events", "Event", "event") or "s3:ObjectCreated:*"
        events = [str(event) for event in (given if isinstance(given, list) else [given])]
        yield events, dict(_rules(each))


def _rules(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given: Any = settings.get("Filter")
    for key in ("S3Key", "Rules"):
        given = given.get(key) if isinstance(given, Mapping) else None
    for rule in [*_list(given), *_list(settings.get("rules"))]:
        if not isinstance(rule, Mapping):
            continue
        if "Name" in rule:
            yield str(rule["Name"]).lower(), str(rule.get("Value", ""))
        else:
            yield from ((str(key).lower(), str(value)) for key, value in rule.items())


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(settings: Mapping[str, Any], *keys: str) -> Any:
    return next((settings[key] for key in keys if settings.get(key) is not None), None)


def _off(settings: Mapping[str, Any]) -> bool:
    return any(
        settings.get(key) is not None and _OFF.fullmatch(str(settings[key])) is not None
        for key in ("Enabled", "enabled", "State")
    )


def _number(value: Any) -> int:
    text = str(value) if value is not None else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _plain(data: Any, depth: int = 0) -> bool:
    """Tell whether a manifest can hold the data: no null in it, no depth without end."""
    if depth > 16 or data is None:
        return False
    if isinstance(data, dict):
        return all(isinstance(key, str) and _plain(value, depth + 1) for key, value in data.items())
    if isinstance(data, list):
        return all(_plain(value, depth + 1) for value in data)
    return isinstance(data, (str, int, float))


_READERS = {
    "schedule": Triggering._schedule,
    "queue": Triggering._queue,
    "table": Triggering._table,
    "topic": Triggering._topic,
    "bucket": Triggering._bucket,
}
