"""Values that the vault makes: random, in their form, in use once they are finished, and only so.

What a rotation has replaced is accepted and given for the overlap, by the vault's own clock.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import string
import time
from pathlib import Path

import pytest
from vault_samples import master_key, open_engine, put, value_of

from casemate.model.errors import NotFoundError
from casemate.model.vault import LEAST_LENGTH, MAX_LENGTH, NewValue, ValueForm
from casemate.vault import secret_values
from casemate.vault.errors import VaultConflictError, VaultError, VaultInputError
from casemate.vault.interface import Mac
from casemate.vault.made_values import PASSWORD_PARTS, make

HEX = NewValue(form=ValueForm.HEX, length=64)
BY = "user:ada"


@pytest.fixture
def master():
    return master_key()


@pytest.fixture
def engine(tmp_path: Path, master):
    opened = open_engine(tmp_path / "vault", master, create=True)
    yield opened
    with contextlib.suppress(OSError):  # some tests have closed it
        opened.close()


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = time.time()

    monkeypatch.setattr(secret_values.time, "time", lambda: Clock.now)
    return Clock


def rotate(engine, overlap: float = 60.0, made: NewValue | int = HEX, expected: int = 1):
    prepared = engine.prepare_secret("shop", "api-key", made, expected, BY)
    return engine.finish_secret("shop", "api-key", prepared.version, overlap)


def accepts(engine, value: bytes) -> bool:
    """Tell whether a value is accepted; signatures by it have to be accepted likewise."""
    signature = hmac.new(value, b"m", hashlib.sha256).digest()
    signed = engine.verify_hmac("shop", "api-key", Mac.SHA256, b"m", signature)
    assert signed == engine.verify_equal("shop", "api-key", value)
    return signed


@pytest.mark.parametrize("form", ValueForm)
def test_values_have_their_form_and_length_and_are_never_the_same(form: ValueForm) -> None:
    marks = {
        ValueForm.HEX: string.hexdigits.lower(),
        ValueForm.URL_SAFE: string.ascii_letters + string.digits + "-_",
        ValueForm.PASSWORD: "".join(PASSWORD_PARTS),
    }
    for length in (LEAST_LENGTH[form], LEAST_LENGTH[form] + 1, 65, MAX_LENGTH):
        values = {make(NewValue(form=form, length=length)) for _ in range(50)}
        assert len(values) == 50 and {len(each) for each in values} == {length}
        if form in marks:
            assert set(b"".join(values).decode()) <= set(marks[form])
    if form is ValueForm.PASSWORD:
        for _ in range(200):
            made = make(NewValue(form=form, length=22)).decode()
            assert all(set(made) & set(part) for part in PASSWORD_PARTS)


@pytest.mark.parametrize("form", ValueForm)
@pytest.mark.parametrize("by", [-1, MAX_LENGTH])
def test_values_that_are_too_short_or_too_long_are_not_made(form: ValueForm, by: int) -> None:
    with pytest.raises(VaultInputError):
        make(NewValue(form=form, length=LEAST_LENGTH[form] + by))


def test_a_new_value_is_in_use_once_it_is_finished(engine) -> None:
    put(engine)
    prepared = engine.prepare_secret("shop", "api-key", HEX, 1, BY)
    assert prepared.pending and prepared.version == 2
    new = value_of(engine, version=2)
    assert value_of(engine) == b"correct horse" and new != b"correct horse"
    assert not accepts(engine, new)
    finished = engine.finish_secret("shop", "api-key", 2, 60)
    assert not finished.pending and value_of(engine) == new
    assert accepts(engine, new) and accepts(engine, b"correct horse")
    assert engine.redact("shop", [new, b"correct horse"]) == (b"[redacted:api-key]",) * 2


def test_what_is_prepared_is_redacted_before_it_is_in_use(engine) -> None:
    put(engine)
    engine.redact("shop", [b"x"])  # what redacts is prepared already
    engine.prepare_secret("shop", "api-key", HEX, 1, BY)
    assert engine.redact("shop", [value_of(engine, version=2)]) == (b"[redacted:api-key]",)


def test_a_secret_without_a_value_is_given_its_first(engine) -> None:
    rotate(engine, expected=0)
    assert len(value_of(engine)) == 64


def test_the_one_before_is_given_and_accepted_for_the_overlap(engine, clock) -> None:
    put(engine)
    rotate(engine, overlap=60)
    clock.now += 59
    assert accepts(engine, b"correct horse") and value_of(engine, version=1) == b"correct horse"
    clock.now += 1
    assert not accepts(engine, b"correct horse")
    with pytest.raises(NotFoundError):
        value_of(engine, version=1)


@pytest.mark.parametrize("jump", [-3600, -1, 61, 10**9])
def test_a_clock_that_jumps_lengthens_no_overlap(engine, clock, jump: int) -> None:
    put(engine)
    rotate(engine, overlap=60)
    clock.now += jump
    assert not accepts(engine, b"correct horse") and accepts(engine, value_of(engine))


def test_without_an_overlap_the_one_before_is_gone_at_once(engine) -> None:
    put(engine)
    rotate(engine, overlap=0)
    assert not accepts(engine, b"correct horse")
    with pytest.raises(NotFoundError):
        rotate(engine, made=1, expected=2)


def test_of_many_only_the_last_before_is_accepted(engine) -> None:
    put(engine, value=b"the first one")
    put(engine, value=b"the second one")
    rotate(engine, expected=2)
    between = value_of(engine)
    rotate(engine, expected=3)
    assert accepts(engine, between) and accepts(engine, value_of(engine))
    assert not accepts(engine, b"the first one") and not accepts(engine, b"the second one")


def test_one_goes_back_within_the_overlap(engine, clock) -> None:
    put(engine)
    rotate(engine)
    leaked = value_of(engine)
    back = rotate(engine, overlap=0, made=1, expected=2)
    assert back.version == 3 and value_of(engine) == b"correct horse"
    assert not accepts(engine, leaked)
    rotate(engine, expected=3)
    clock.now += 61
    with pytest.raises(NotFoundError):
        engine.prepare_secret("shop", "api-key", 3, 4, BY)


def test_a_rotation_tried_again_has_the_same_value(engine) -> None:
    """Whoever was told of it may have set it outside already."""
    put(engine)
    first = engine.prepare_secret("shop", "api-key", HEX, 1, BY)
    value = value_of(engine, version=first.version)
    again = engine.prepare_secret("shop", "api-key", HEX, 1, "user:bob")
    assert again == first and value_of(engine, version=first.version) == value
    other = engine.prepare_secret("shop", "api-key", 1, 1, BY)
    assert other.version == 3
    with pytest.raises(NotFoundError):
        value_of(engine, version=first.version)
    with pytest.raises(VaultConflictError):
        engine.finish_secret("shop", "api-key", first.version, 60)


def test_of_two_at_once_one_is_told(engine) -> None:
    put(engine)
    one = engine.prepare_secret("shop", "api-key", HEX, 1, BY)
    engine.prepare_secret("shop", "api-key", NewValue(form=ValueForm.BYTES, length=32), 1, "user:b")
    with pytest.raises(VaultConflictError):
        engine.finish_secret("shop", "api-key", one.version, 60)
    put(engine, value=b"set by hand")
    with pytest.raises(VaultConflictError):
        engine.prepare_secret("shop", "api-key", HEX, 1, BY)
    with pytest.raises(VaultConflictError):
        engine.finish_secret("shop", "api-key", 3, 60)
    assert value_of(engine) == b"set by hand"
    [info] = engine.secrets("shop")
    assert not any(each.pending for each in info.versions)


def test_finished_twice_is_finished_once(engine) -> None:
    put(engine)
    first = rotate(engine, overlap=60)
    assert engine.finish_secret("shop", "api-key", first.version, 0) == first
    assert accepts(engine, b"correct horse")


@pytest.mark.parametrize("version", [1, 3, 2**31 - 1])
def test_what_was_not_prepared_is_not_finished(engine, version: int) -> None:
    put(engine)
    put(engine, value=b"the second one")
    with pytest.raises(VaultConflictError):
        engine.finish_secret("shop", "api-key", version, 60)
    with pytest.raises(VaultConflictError):
        engine.finish_secret("shop", "none", version, 60)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_is_finished_one_of_both_is_in_use(
    engine, tmp_path, master, monkeypatch, when: str
) -> None:
    put(engine)
    prepared = engine.prepare_secret("shop", "api-key", HEX, 1, BY)
    new = value_of(engine, version=2)
    commit = engine._opened.commit

    def killed(*given, **more):
        if when == "after":
            commit(*given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine._opened, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        engine.finish_secret("shop", "api-key", 2, 60)
    engine.close()
    again = open_engine(tmp_path / "vault", master)
    assert value_of(again) == (new if when == "after" else b"correct horse")
    assert again.finish_secret("shop", "api-key", prepared.version, 60).version == 2
    assert value_of(again) == new
    again.close()


def test_a_full_disk_changes_nothing(engine, monkeypatch) -> None:
    put(engine)
    prepared = engine.prepare_secret("shop", "api-key", HEX, 1, BY)

    def full(*_given, **_more):
        raise VaultError("The disk is full.")

    monkeypatch.setattr(engine._opened, "commit", full)
    with pytest.raises(VaultError):
        engine.finish_secret("shop", "api-key", prepared.version, 60)
    assert value_of(engine) == b"correct horse"


def test_values_stay_when_keys_are_rotated(engine, tmp_path, master) -> None:
    put(engine)
    rotate(engine)
    new = value_of(engine)
    pending = engine.prepare_secret("shop", "api-key", HEX, 2, BY)
    waiting = value_of(engine, version=pending.version)
    engine.rotate_data_keys("shop")
    while engine.renew_secrets("shop"):
        pass
    engine.close()
    again = open_engine(tmp_path / "vault", master)
    assert value_of(again) == new and accepts(again, b"correct horse")
    assert value_of(again, version=pending.version) == waiting
    again.close()


def test_only_so_many_are_kept(engine) -> None:
    for number in range(40):
        rotate(engine, expected=number)
        engine.prepare_secret("shop", "api-key", HEX, number + 1, BY)
    [info] = engine.secrets("shop")
    assert len(info.versions) <= secret_values.MAX_VERSIONS
    assert sum(each.pending for each in info.versions) == 1


@pytest.mark.parametrize(
    ("project", "name", "by"),
    [("", "api-key", BY), ("shop", "../x", BY), ("shop", "api-key", ""), ("Shop", "api-key", BY)],
)
def test_names_that_are_none(engine, project: str, name: str, by: str) -> None:
    with pytest.raises(VaultInputError):
        engine.prepare_secret(project, name, HEX, 0, by)


def test_a_password_is_as_hard_to_guess_as_a_key() -> None:
    marks = len("".join(PASSWORD_PARTS))
    assert marks ** LEAST_LENGTH[ValueForm.PASSWORD] > 2**128
    assert 64 ** LEAST_LENGTH[ValueForm.URL_SAFE] >= 2**128
    assert base64.urlsafe_b64encode(b"x" * 22)[:22]


def test_all_that_a_rotation_accepts_has_to_resist_guessing(engine, clock) -> None:
    put(engine, value=b"short one")
    assert not engine.resists_guessing("shop", "api-key")
    rotate(engine)
    assert not engine.resists_guessing("shop", "api-key"), "the short one is accepted yet"
    clock.now += 61
    assert engine.resists_guessing("shop", "api-key")
