"""What answers may tell of the inside, the keys under `[[function.NAME.errors]]`."""

from __future__ import annotations

from casemate.guard.leaks.kinds import EVERY, KINDS
from casemate.manifest.kinds import Choice, Pattern, Text
from casemate.manifest.problem import ProblemCollector, quoted
from casemate.manifest.structure import Field, Table, TableArray, model_field
from casemate.manifest.validation import Values
from casemate.model.function import ErrorException

MAX_EXCEPTIONS = 20
CALLS = "invoke"

EXCEPTION = Table(
    "Error exception",
    "Where callers may see what is sealed elsewhere: traces, database errors, paths and source of "
    "the function.",
    (
        model_field(
            ErrorException,
            "place",
            Pattern(
                r"^(?:\*|invoke|/[^\s]{0,255})$",
                'the path of a route of the function, "invoke" or "*"',
            ),
            'Where: the path of one of its routes exactly as written there; "invoke" stands for '
            'calls and events that come by no route, "*" for all.',
        ),
        model_field(
            ErrorException,
            "what",
            Choice((*KINDS, EVERY)),
            'What callers may see: a Python "trace", a framework\'s debug "page", a "path" in the '
            'sandbox, a line of "source", a "database" error, an "exception" as its repr; "*" all.',
        ),
        model_field(
            ErrorException,
            "reason",
            Text(500, min_length=10),
            "Why callers may see it: recorded at the deploy.",
        ),
    ),
)

ERRORS = Field(
    "errors",
    TableArray(EXCEPTION, MAX_EXCEPTIONS),
    "What internals answers may reveal; by default none.",
)


def check_errors(name: str, function: Values, problems: ProblemCollector) -> None:
    """Note exceptions for routes that the function does not have: they would hold nowhere."""
    paths = {route.get("path") for route in _tables(function, "http")}
    for number, entry in enumerate(_tables(function, "errors")):
        place = entry.get("place")
        if isinstance(place, str) and place.startswith("/") and place not in paths:
            problems.add(
                ("function", name, "errors", number, "place"),
                f"{quoted(place)}, which no route of the function has",
                'the path of one of its routes, "invoke" or "*"',
            )


def _tables(function: Values, key: str) -> list[dict[str, object]]:
    found = function.get(key, ())
    return [t for t in found if isinstance(t, dict)] if isinstance(found, (list, tuple)) else []
