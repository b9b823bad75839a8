"""Enrolment: by a code that works once, for a day, and leaves nothing half done."""

from __future__ import annotations

import pytest

from casemate.accounts import LoginRefusedError, PasswordRefusedError, TooManyAttemptsError
from casemate.accounts.enrolment import PENDING_SECONDS
from casemate.accounts.people import ENROLMENT_SECONDS
from casemate.model.back_off import FREE_PER_ACCOUNT
from support.accounts import PASSWORD, World, secret_of

HERE = "10.0.0.9"


@pytest.fixture
def code(world: World) -> str:
    made = world.run(world.accounts.people.add("ada", (), by=world.owner))
    assert made is not None
    return made


def begin(world: World, code: str, password: str = PASSWORD, name: str = "ada") -> None:
    uri = world.run(world.accounts.enrolment.begin(name, code, password, HERE))
    world.secrets[name] = secret_of(uri)


def confirm(world: World, code: str, totp: str | None = None) -> None:
    given = world.code("ada") if totp is None else totp
    world.run(world.accounts.enrolment.confirm("ada", code, given, HERE))


def test_two_steps(world: World, code: str) -> None:
    begin(world, code)
    assert world.store.by_name["ada"].password is None, "nothing is stored before it is proved"
    confirm(world, code)
    user = world.store.by_name["ada"]
    assert (user.enrolment_sha256, user.enrolment_expires_at) == (None, None)
    with pytest.raises(LoginRefusedError):
        world.login("ada")  # the code of the enrolment is used
    world.clock.now += 30
    assert world.login("ada")
    with pytest.raises(LoginRefusedError):
        begin(world, code)


@pytest.mark.parametrize("forged", ["", "cmenrol_", "cmenrol_" + "x" * 32])
def test_wrong_codes(world: World, code: str, forged: str) -> None:
    with pytest.raises(LoginRefusedError):
        begin(world, forged)
    with pytest.raises(LoginRefusedError):
        begin(world, code, name="nobody")
    with pytest.raises(LoginRefusedError):
        begin(world, code[:-1])


def test_who_has_no_code_is_not_enrolled_by_an_empty_one(world: World) -> None:
    world.person("bob")
    for forged in ("", "None"):
        with pytest.raises(LoginRefusedError):
            begin(world, forged, name="bob")


def test_a_code_lasts_a_day(world: World, code: str) -> None:
    world.clock.now += ENROLMENT_SECONDS
    with pytest.raises(LoginRefusedError):
        begin(world, code)


def test_a_code_of_a_clock_that_was_ahead_lasts_no_years(world: World) -> None:
    world.clock.now += 10 * 365 * ENROLMENT_SECONDS
    code = world.run(world.accounts.people.add("bob", (), by=world.owner))
    world.clock.now -= 10 * 365 * ENROLMENT_SECONDS
    with pytest.raises(LoginRefusedError):
        begin(world, code, name="bob")


def test_the_first_step_lasts_a_quarter_of_an_hour(world: World, code: str) -> None:
    begin(world, code)
    world.clock.now += PENDING_SECONDS
    with pytest.raises(LoginRefusedError, match="first step"):
        confirm(world, code)
    world.run(world.accounts.flush())
    assert not world.accounts.enrolment._pending


def test_a_weak_password_is_told_and_does_not_count_as_a_failure(world: World, code: str) -> None:
    for _ in range(FREE_PER_ACCOUNT * 2):
        with pytest.raises(PasswordRefusedError):
            begin(world, code, password="password1234")
    begin(world, code)


def test_guessing_codes_gets_slower(world: World, code: str) -> None:
    for _ in range(FREE_PER_ACCOUNT):
        with pytest.raises(LoginRefusedError):
            begin(world, "cmenrol_guess")
    with pytest.raises(TooManyAttemptsError):
        begin(world, code)
    assert {d.action for d in world.denials} == {"enrol"}


def test_the_second_step_needs_the_code_and_the_authenticator(world: World, code: str) -> None:
    begin(world, code)
    with pytest.raises(LoginRefusedError):
        confirm(world, "cmenrol_other")
    with pytest.raises(LoginRefusedError, match="authenticator"):
        confirm(world, code, "000000")
    with pytest.raises(LoginRefusedError, match="ahead"):
        confirm(world, code, world.code("ada", 7))
    assert world.store.by_name["ada"].password is None


def test_beginning_again_replaces_the_secret(world: World, code: str) -> None:
    begin(world, code)
    first = world.secrets["ada"]
    begin(world, code, password="another-otter-granite-nine")
    assert world.secrets["ada"] != first
    confirm(world, code)
    world.clock.now += 30
    assert world.login("ada", password="another-otter-granite-nine")


def test_a_reset_between_the_steps_wins(world: World, code: str) -> None:
    begin(world, code)
    fresh = world.run(world.accounts.people.reset("ada", by=world.owner))
    with pytest.raises(LoginRefusedError):
        confirm(world, code)
    with pytest.raises(LoginRefusedError):
        confirm(world, fresh)  # what was begun with the old code is void
    begin(world, fresh)
    confirm(world, fresh)


def test_disabled_people_do_not_enrol(world: World, code: str) -> None:
    world.run(world.accounts.people.set_disabled("ada", True, by=world.owner))
    with pytest.raises(LoginRefusedError):
        begin(world, code)


def test_reset_takes_everything(world: World) -> None:
    world.person("bob")
    session = world.login("bob").text
    fresh = world.run(world.accounts.people.reset("bob", by=world.owner))
    assert world.who(session) is None
    with pytest.raises(LoginRefusedError):
        world.login("bob")
    world.run(world.enrol("bob", fresh))
    assert world.login("bob")
