"""The `event` argument of a handler: the same attributes whatever the event came from.

`invocation/rendering.py` of the platform writes what is read here. Everything that a handler may
not ask for is made when it does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

PLAIN, HTTP, EVENT, BATCH, AWS = "", "http", "event", "batch", "aws"
"""Shapes of what is sent; the platform's `Shape` has the same values."""

_INVOCATION = "casemate.invocation"
_REQUEST = "casemate.http.request"
_ATTRIBUTES = ("id", "source", "type", "time")

Facts = tuple[str, str, str, float, str, dict[str, Any]]
"""id, source, type, time, subject, detail."""


class Event(dict[str, Any]):
    """What happened. As a dict it has what its source sends; see docs/reference/events.md."""

    __slots__ = ("_data", "_facts", "records")

    records: list[Event]
    """The events of a batch; an event that comes alone is its own only record."""

    def __init__(
        self,
        keys: dict[str, Any],
        facts: Callable[[], Facts],
        data: Callable[[], Any] | tuple[Any],
        records: list[Event] | None = None,
    ) -> None:
        """Have `keys` as a dict; the rest is asked for when it is needed, at most once.

        `data` that is there already is alone in a tuple.
        """
        super().__init__(keys)
        self._facts: Callable[[], Facts] | Facts = facts
        self._data: Callable[[], Any] | tuple[Any] = data
        self.records = [self] if records is None else records

    def _fact(self, index: int) -> Any:
        facts = self._facts
        if not isinstance(facts, tuple):
            facts = self._facts = facts()
        return facts[index]

    @property
    def id(self) -> str:
        """Unique among the events of its source; the same when it is handed over again."""
        found: str = self._fact(0)
        return found

    @property
    def source(self) -> str:
        """Where it happened, a URI reference such as `/projects/shop/buckets/uploads`."""
        found: str = self._fact(1)
        return found

    @property
    def type(self) -> str:
        """What happened, such as `casemate.bucket.created`."""
        found: str = self._fact(2)
        return found

    @property
    def time(self) -> float:
        """When it happened, as Unix time in seconds."""
        found: float = self._fact(3)
        return found

    @property
    def subject(self) -> str:
        """What of the source it is about, such as an object's key; often empty."""
        found: str = self._fact(4)
        return found

    @property
    def detail(self) -> dict[str, Any]:
        """What only this kind of source has, such as a bucket's name, key and revision."""
        found: dict[str, Any] = self._fact(5)
        return found

    @property
    def data(self) -> Any:
        """The payload: of a request its body, of a batch the list of payloads."""
        data = self._data
        if not isinstance(data, tuple):
            data = self._data = (data(),)
        return data[0]

    def __reduce__(self) -> Any:
        """Be copied and pickled as the dict it is."""
        return dict, (dict(self),)


class Origin:
    """Where a direct call came from: what its event is told if it asks."""

    __slots__ = ("_function", "_head", "_project", "note")

    def __init__(
        self,
        head: dict[str, Any],
        project: str,
        function: str,
        note: Callable[[Any], Any] = lambda data: data,
    ) -> None:
        """Keep what the attributes are made of. `note` is told of data that is made on demand."""
        self._head = head
        self._project = project
        self._function = function
        self.note = note

    def __call__(self) -> Facts:
        """Return the facts."""
        source = f"/projects/{self._project}/functions/{self._function}"
        return self._head["id"], source, _INVOCATION, self._head["at"], "", {}


def plain(value: Any, origin: Origin) -> tuple[Any, Event]:
    """Return what a handler gets for a direct call, and its event: the same if it is an object."""
    if isinstance(value, dict):
        event = Event(value, origin, (value,))
        return event, event
    return value, Event({}, origin, (value,))


def read(shape: str, value: Any, origin: Origin) -> tuple[Any, Event]:
    """Return what a handler gets, and its event, for what was sent in any shape."""
    if shape == PLAIN:
        return plain(value, origin)
    if shape == HTTP:
        event = _request(value, lambda: origin.note(_body(value)))
        return event, event
    if shape == EVENT:
        return _single(value, origin)
    if shape == BATCH:
        event = _batch(value, origin)
        return event, event
    if shape == AWS:
        records = value["events"]
        one = len(records) == 1
        event = _single(records[0], origin)[1] if one else _batch(records, origin)
        return value["aws"], event
    raise ValueError(f"the platform sent an event of the shape {shape!r}, which is none")


def _single(value: dict[str, Any], origin: Origin) -> tuple[Any, Event]:
    kind, data = value["kind"], value["data"]
    if kind == "http":
        keys = {**value["http"], **{name: value[name] for name in _ATTRIBUTES}}
        # What came as a CloudEvent brings its data apart from the request.
        own = value["type"] == _REQUEST
        event = _request(keys, lambda: origin.note(_body(keys) if own else data))
        return event, event
    facts = _facts(value, kind)
    if kind != "invoke":
        del value["kind"]
        event = Event(value, facts, (data,))
        return event, event
    if isinstance(data, dict):
        event = Event(data, facts, (data,))
        return event, event
    return data, Event({}, facts, (data,))


def _facts(value: dict[str, Any], kind: str) -> Callable[[], Facts]:
    facts = (
        value["id"],
        value["source"],
        value["type"],
        value["time"],
        value["subject"],
        value[kind],
    )
    return lambda: facts


def _request(keys: dict[str, Any], data: Callable[[], Any]) -> Event:
    def facts() -> Facts:
        detail = {name: value for name, value in keys.items() if name not in _ATTRIBUTES}
        return keys["id"], keys["source"], keys["type"], keys["time"], keys["path"], detail

    return Event(keys, facts, data)


def _batch(values: list[dict[str, Any]], origin: Origin) -> Event:
    records = [_single(value, origin)[1] for value in values]
    first = records[0]

    def facts() -> Facts:
        return origin()[0], first.source, first.type, first.time, "", {}

    def datas() -> list[Any]:
        return [record.data for record in records]

    keys = dict(zip(_ATTRIBUTES, facts(), strict=False))
    return Event({**keys, "records": records}, facts, datas, records)


def _body(keys: dict[str, Any]) -> Any:
    """Return a request's body: what JSON says if it is JSON, bytes if it is not text."""
    body = keys["body"]
    if body is None:
        return None
    if keys["is_base64"]:
        return base64.b64decode(body)
    media_type = str(keys["headers"].get("content-type", "")).partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body
