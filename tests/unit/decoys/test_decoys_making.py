"""Decoys look like what they pretend to be, and are those of one project, key and generation."""

from __future__ import annotations

import re

import pytest

from casemate.accounts.credential import PATTERN, bearer_text
from casemate.decoys import made
from casemate.egress.target import parse_host
from casemate.model.decoy import DecoyKind
from casemate.model.grant import RESOURCE_PATTERN

KEY = bytes(range(32))
OTHERS = {
    "another key": (bytes(32), "shop", 1),
    "another project": (KEY, "mail", 1),
    "another generation": (KEY, "shop", 2),
}


def test_the_same_key_makes_the_same() -> None:
    assert made(KEY, "shop", 1) == made(KEY, "shop", 1)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_nothing_is_the_same_of(other: tuple[bytes, str, int]) -> None:
    first, second = made(KEY, "shop", 1), made(*other)
    assert not {first.place(kind) for kind in DecoyKind} & {
        second.place(kind) for kind in DecoyKind
    }
    assert first.token != second.token and first.row["id"] != second.row["id"]


@pytest.mark.parametrize("number", range(50))
def test_they_are_plausible(number: int) -> None:
    found = made(number.to_bytes(32, "big"), "shop", 1)
    assert re.fullmatch(RESOURCE_PATTERN.removesuffix("$"), found.secret)
    assert re.fullmatch(RESOURCE_PATTERN.removesuffix("$"), found.table)
    assert PATTERN.fullmatch(found.token)
    assert bearer_text(f"Bearer {found.token}") == found.token, "its checksum is right"
    assert parse_host(found.host) == (found.host, None)
    assert "decoy" not in f"{found.secret} {found.table} {found.host} {found.row}"


def test_a_projects_name_with_the_others_number_is_another() -> None:
    assert made(KEY, "shop", 11).secret != made(KEY, "shop1", 1).secret


def test_the_token_is_not_shown() -> None:
    found = made(KEY, "shop", 1)
    assert found.token not in repr(found)
    assert found.token[-40:] not in repr(found)


def test_what_is_off_is_not_in_the_environment() -> None:
    found = made(KEY, "shop", 1)
    assert set(found.variables(frozenset()).values()) == {
        *(found.host, found.secret, found.table, found.token)
    }
    assert found.token not in found.variables(frozenset({DecoyKind.TOKEN})).values()
    assert found.variables(frozenset(DecoyKind)) == {}
