"""Reading a playbook's file, and what its JSON Schema is."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from casemate.decoding import decodable, toml_of
from casemate.model.errors import InvalidInputError
from casemate.model.playbook import Approval, CutEgress, Playbook
from casemate.model.restriction import RestrictionKind
from casemate.playbooks.errors import PlaybookError
from casemate.playbooks.proven import OWN, PROVEN
from casemate.restrictions import require

MAX_BYTES = 64 * 1024
SCHEMA_NAME = "casemate-playbook.schema.json"


def read_playbook(data: bytes, name: str) -> Playbook:
    """Return what the file `name` holds. Raises PlaybookError, which names it."""
    if len(data) > MAX_BYTES:
        raise PlaybookError(f"{name}: it has {len(data)} bytes, expected at most {MAX_BYTES}.")
    try:
        found = toml_of(data.decode())
        playbook = msgspec.convert(found, decodable(Playbook))
    except UnicodeDecodeError as error:
        raise PlaybookError(f"{name}: it is not UTF-8 at byte {error.start}.") from error
    # What is no TOML is a ValueError as well as a number of too many digits and bad data.
    except (ValueError, msgspec.ValidationError) as error:
        raise PlaybookError(
            f"{name}: {error}.",
            next_step=f"See docs/reference/{SCHEMA_NAME}, which says what may be there.",
        ) from error
    _require_sound(playbook, name)
    return playbook


def _require_actions(playbook: Playbook, name: str) -> None:
    for number, kind in enumerate(playbook.kinds):
        if kind in playbook.kinds[:number]:
            raise PlaybookError(f"{name}: it has two actions {kind}, of which one would be done.")
    for action in playbook.actions:
        if isinstance(action, CutEgress):
            try:
                require(RestrictionKind.HOST, "", "", action.host)
            except InvalidInputError as error:
                raise PlaybookError(f"{name}: {error.message}") from error


def _require_sound(playbook: Playbook, name: str) -> None:
    _require_actions(playbook, name)
    rules = set(playbook.when.rules)
    if not rules and not playbook.when.techniques:
        raise PlaybookError(
            f"{name}: `when` names neither rules nor techniques, so it is for everything.",
            next_step="Name the rules that it is for; casemate findings ls shows what they find.",
        )
    if own := sorted(rules & OWN):
        raise PlaybookError(
            f"{name}: {own[0]} finds what playbooks do; a playbook for it would go on for ever."
        )
    if playbook.approval is Approval.PERSON:
        return
    if not rules:
        raise PlaybookError(
            f"{name}: a playbook that asks nobody has to name its rules.",
            next_step='Name them in `when.rules`, or write approval = "person".',
        )
    if spoofed := sorted(rules - PROVEN):
        raise PlaybookError(
            f"{name}: what {spoofed[0]} finds can be caused by others than who it is about, "
            "who would have you stop somebody else.",
            next_step='Write approval = "person", or name only: ' + ", ".join(sorted(PROVEN)),
        )


def digest_of(text: str) -> str:
    """Return by which a text is told from others."""
    return hashlib.sha256(text.encode()).hexdigest()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a playbook, as it is published in the reference."""
    made = msgspec.json.schema(Playbook)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://casemate.dev/{SCHEMA_NAME}",
        **made,
    }


def schema_text() -> str:
    """Return the schema as a file."""
    return json.dumps(schema(), indent=2) + "\n"
