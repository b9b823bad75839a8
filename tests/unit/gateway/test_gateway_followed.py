"""All that a gateway holds of its store is read again, or it is said why not."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import casemate
from casemate.gateway.followed import Followed, parts_of, rights_of
from casemate.store.postgresql.schema import STEPPING

NOT_FOLLOWED = {
    "function_counter": "read in the transaction that counts up",
    "grant_approval": "read when it is asked for",
    "grant_use": "read when it is asked for",
    "node_value": "by the values' names",
    "attestation": "read when it is asked for",
    "bundle_evidence": "read when it is asked for",
}
VALUES_NOT_FOLLOWED = {
    "people seen": "read with accounts, which change when people log in",
    "removals": "what was cut short, which the next start of a node goes on with",
    "told licences": "what was told already, written by what is there",
    "told holes": "what was told already, written by what is there",
}
PARTS = re.compile(r'\bParts\(\s*(?:\n\s*)?store, (?:"([a-z ]+)"|([A-Z]+))')


def topics() -> set[str]:
    holder: Any = SimpleNamespace(reload=None, load=None)
    rights = rights_of(holder, holder, holder, holder)
    found = parts_of(Followed(rights, *[holder] * (len(Followed._fields) - 1)))
    assert len({part.name for part in found}) == len(found)
    return set().union(*(part.topics for part in found))


def test_every_table_that_is_held_in_memory_is_followed() -> None:
    tables = {topic for topic in topics() if not topic.startswith("value ")}
    assert tables | NOT_FOLLOWED.keys() == set(STEPPING)
    assert not tables & NOT_FOLLOWED.keys()


def test_everything_that_is_kept_in_parts_is_followed() -> None:
    sources = Path(casemate.__file__).parent.rglob("*.py")
    names = {
        match[1] or match[2].lower()
        for path in sources
        for match in PARTS.finditer(path.read_text())
    }
    assert len(names) >= 12
    followed = {topic.removeprefix("value ") for topic in topics()}
    assert names - followed == set(VALUES_NOT_FOLLOWED)
