"""What is asked and what is answered: entries, sources, steps, flows, and what was not resolved."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True):
    """Where in the files something is. Lines count from 1, columns from 0."""

    path: str
    line: int
    column: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A function that is called from outside, and by what."""

    path: str
    """The file, one of those that are analysed."""
    name: str
    """The function, dotted within its module: `handler`, `Api.on_get`, `init.index`."""
    event: str = "http"
    """What calls it: one of `EVENTS`."""
    shape: str = "lambda"
    """How it is called: one of `SHAPES`."""


EVENTS = (
    "http",
    "queue",
    "topic",
    "storage",
    "schedule",
    "table",
    "code",
    "mail",
    "stream",
    "invoke",
)
SHAPES = (
    *("lambda", "casemate", "cloud-http", "cloud-event", "route", "view", "graph", "main"),
    *("knative", "asgi", "openfaas", "request"),
)
"""`lambda` and `casemate` take (event, context); `route` takes parts of a path, whose framework
gives the request; `view` takes a request; `graph` takes arguments of a query, `main` none."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where outside data enters."""

    kind: str
    """One of `EVENTS`; `stored`: what is in a table or bucket, whoever put it there; `random`:
    numbers that can be foretold; `code`: a bad choice of the code itself."""
    what: str
    """As the code says it: `event['body']`, `flask.request.args['id']`."""
    place: Place


class Step(msgspec.Struct, frozen=True):
    """One step of the data on its way."""

    place: Place
    what: str


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Data from outside that comes to an interpreter, or to what must not be left to it."""

    entry: Entry
    source: Source
    sink: str
    """The guard's name of it where the guard watches it too; else one of `STATIC_SINKS`."""
    weakness: str
    """A name of `weaknesses.WEAKNESSES`."""
    call: str
    """What is called there."""
    place: Place
    """Where the sink is."""
    steps: tuple[Step, ...]
    sanitizers: tuple[str, ...] = ()
    """What the data went through on its way that could have made it safe, and did not here."""
    confidence: str = "high"
    """`high`, `medium` (a call was not known) or `low` (by its name only)."""


class Unresolved(msgspec.Struct, frozen=True):
    """What could not be examined, and why."""

    place: Place
    what: str


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """All flows of all entries, in the order of their places."""

    flows: tuple[Flow, ...]
    unresolved: tuple[Unresolved, ...]
    commands: tuple[tuple[Place, bool], ...] = ()
    """Command lines, and whether every part is written out or was checked wherever it came from."""
