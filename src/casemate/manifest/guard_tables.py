"""Exceptions of the sink guard, the keys under `[[function.NAME.guard]]`."""

from __future__ import annotations

from casemate.guard.sink_names import SINK_NAMES
from casemate.manifest.kinds import Choice, Pattern, Text
from casemate.manifest.structure import Field, Table, TableArray, model_field
from casemate.model.function import GuardException, GuardMode

MAX_EXCEPTIONS = 20
EVERY = "*"

EXCEPTION = Table(
    "Guard exception",
    "Where the sink guard does something else than stop the call. Without any it stops every call "
    "that the event's data would have changed.",
    (
        model_field(
            GuardException,
            "sink",
            Choice((*SINK_NAMES, EVERY)),
            'The sink; "*" stands for all.',
        ),
        model_field(
            GuardException,
            "location",
            Pattern(
                r"^(?:\*|[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z0-9_.<>]+)$",
                'a line or a function of a module, such as "app:12" or "app:Report.query", or "*"',
            ),
            "Where: module:line or module:function in the function's own code, as the record shows "
            'it; "*" stands for all of it.',
        ),
        model_field(
            GuardException,
            "reason",
            Text(500, min_length=10),
            "Why the data may change what runs there: recorded at the deploy.",
        ),
        model_field(
            GuardException,
            "mode",
            Choice(tuple(mode.value for mode in GuardMode)),
            '"report": the guard records the call and lets it through. "block": it stops the call, '
            "as everywhere else; for a place within a later, wider exception.",
        ),
    ),
)

GUARD = Field(
    "guard",
    TableArray(EXCEPTION, MAX_EXCEPTIONS),
    "Exceptions of the sink guard; the first that applies counts.",
)
