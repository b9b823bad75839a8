"""Keys that several kinds of triggers have."""

from __future__ import annotations

import msgspec

from casemate.manifest.grant_tables import RESOURCE_NAME
from casemate.manifest.kinds import Pattern, RelativePath, Text, ValueKind
from casemate.manifest.numeric_kinds import Duration, Whole
from casemate.manifest.structure import Field, ValueArray, defaults_of, model_field
from casemate.model.function import NAME_PATTERN

MAX_TRIGGERS = 50
"""Triggers of one kind of a function."""
MAX_BATCH = 1000

NAME = Pattern(
    NAME_PATTERN,
    "a name of 1 to 63 lower-case letters, digits and hyphens that starts with a letter and does "
    "not end with a hyphen",
    63,
)
CONTRACT = RelativePath("a JSON file inside the project, relative to the manifest")
CONTRACT_FIELD = Field(
    "contract",
    CONTRACT,
    "JSON Schema (2020-12) that an event's data must satisfy before any code runs: a file "
    "(.json) of at most 64 KiB. Without it strict default limits hold.",
)
KEY = Text(1024)
ADDRESS = Text(255, 1)


def array_field(
    model: type[msgspec.Struct], name: str, kind: ValueKind, most: int, what: str, description: str
) -> Field:
    """Return a key with an array of values, whose default is as the model has it."""
    found = defaults_of(model)[name]
    default = (
        [kind.render(value) for value in found] if isinstance(found, tuple) and found else None
    )
    return Field(name, ValueArray(kind, 1, most, what), description, default=default)


def secret_field(model: type[msgspec.Struct], name: str, description: str) -> Field:
    """Return a key with the name of a secret."""
    return model_field(model, name, RESOURCE_NAME, description)


COMMON = (
    Field(
        "name",
        NAME,
        "Name of the trigger, unique in the function; without it the kind and a number, such as "
        '"queue-1".',
    ),
    CONTRACT_FIELD,
)


def batch_fields(model: type[msgspec.Struct]) -> tuple[Field, ...]:
    """Return the keys of kinds that can hand over several events at once."""
    return (
        model_field(
            model,
            "batch",
            Whole(1, MAX_BATCH),
            "Events handed over at once, at most; above 1 the handler gets a list.",
        ),
        model_field(
            model,
            "window",
            Duration(0.0, 300.0, 5.0),
            "How long to wait for a batch to fill; only with batch.",
        ),
    )
