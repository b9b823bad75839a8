"""Keys: only the very text that was issued is recognised, whatever is done to it."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.admission import Keyring, new_key
from casemate.model.deployment import Key, KeyRole

KEY, TEXT = new_key("ci", KeyRole.INVOKE)
OTHER, OTHER_TEXT = new_key("other", KeyRole.ADMIN)


@pytest.fixture
def ring() -> Keyring:
    return ring_of(KEY, OTHER)


def ring_of(*keys: Key) -> Keyring:
    ring = Keyring()
    ring.replace(keys)
    return ring


def test_a_key_is_stored_as_its_hash_and_nothing_else() -> None:
    secret = TEXT.split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in msgspec.json.encode(KEY).decode()
    assert KEY.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert (KEY.name, KEY.role, KEY.revoked_at) == ("ci", KeyRole.INVOKE, None)


def test_no_two_keys_are_alike() -> None:
    made = [new_key("n", KeyRole.INVOKE) for _ in range(200)]
    assert len({key.id for key, _ in made}) == len({text for _, text in made}) == 200


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR "])
def test_the_scheme_is_case_insensitive(ring: Keyring, scheme: str) -> None:
    assert ring.authenticate(scheme + TEXT) == KEY


def test_each_key_is_told_apart(ring: Keyring) -> None:
    assert ring.authenticate(f"Bearer {TEXT}") is KEY
    assert ring.authenticate(f"Bearer {OTHER_TEXT}") is OTHER


def test_spaces_around_the_token_are_not_part_of_it(ring: Keyring) -> None:
    assert ring.authenticate(f"Bearer   {TEXT}  ") == KEY


SECRET = TEXT.split("_", 2)[2]
FORGED = {
    "nothing": None,
    "empty": "",
    "scheme only": "Bearer",
    "scheme and space": "Bearer ",
    "prefix only": "Bearer cm_",
    "no scheme": TEXT,
    "other scheme": f"Basic {TEXT}",
    "no space": f"Bearer{TEXT}",
    "tab": f"Bearer\t{TEXT}",
    "tab within": f"Bearer \t{TEXT}",
    "newline after": f"Bearer {TEXT}\n",
    "NUL after": f"Bearer {TEXT}\x00",
    "id only": f"Bearer cm_{KEY.id}",
    "empty secret": f"Bearer cm_{KEY.id}_",
    "truncated": f"Bearer {TEXT[:-1]}",
    "one more": f"Bearer {TEXT}A",
    "two": f"Bearer {TEXT} {TEXT}",
    "list": f"Bearer {TEXT}, Bearer {OTHER_TEXT}",
    "secret of another id": f"Bearer cm_{OTHER.id}_{SECRET}",
    "unknown id": f"Bearer cm_{'0' * 16}_{SECRET}",
    "upper": f"Bearer {TEXT.upper()}",
    "swapped case": f"Bearer cm_{KEY.id}_{SECRET.swapcase()}",
    "upper id": f"Bearer cm_{KEY.id.upper()}x_{SECRET}",
    "prefix": f"Bearer CM_{KEY.id}_{SECRET}",
    "the hash": f"Bearer cm_{KEY.id}_{KEY.sha256}",
    "the hash alone": f"Bearer {KEY.sha256}",
    "non-ASCII": f"Bearer {TEXT}\u00e9",
    "full width": f"Bearer {TEXT}".replace("c", "\uff43"),
    "Kelvin sign": f"Bearer {TEXT}".replace("B", "\u212a"),
    "surrogate": f"Bearer {TEXT}\ud800",
    "overlong": f"Bearer {TEXT}" + " " * 256,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_what_was_not_issued_is_refused(ring: Keyring, forged: str | None) -> None:
    assert ring.authenticate(forged) is None


def test_every_change_of_one_character_is_refused(ring: Keyring) -> None:
    for place in range(len(TEXT)):
        changed = TEXT[:place] + ("A" if TEXT[place] != "A" else "B") + TEXT[place + 1 :]
        assert ring.authenticate(f"Bearer {changed}") is None, place
        assert ring.authenticate(f"Bearer {TEXT[:place]}{TEXT[place + 1 :]}") is None, place


@given(st.text())
def test_arbitrary_text_is_refused_and_never_raises(text: str) -> None:
    ring = ring_of(KEY, OTHER)
    assert ring.authenticate(text) is None
    assert ring.authenticate(f"Bearer {text}") is None
    assert ring.authenticate(f"Bearer cm_{text}") is None
    assert ring.authenticate(f"Bearer cm_{KEY.id}_{text}") is None


def test_an_empty_ring_lets_nobody_in() -> None:
    assert Keyring().authenticate(f"Bearer {TEXT}") is None


def test_a_revoked_key_is_refused_from_the_next_replacement_on(ring: Keyring) -> None:
    ring.replace([msgspec.structs.replace(KEY, revoked_at=2.0), OTHER])
    assert ring.authenticate(f"Bearer {TEXT}") is None
    assert ring.authenticate(f"Bearer {OTHER_TEXT}") == OTHER


def test_a_removed_key_is_refused(ring: Keyring) -> None:
    ring.replace([OTHER])
    assert ring.authenticate(f"Bearer {TEXT}") is None
