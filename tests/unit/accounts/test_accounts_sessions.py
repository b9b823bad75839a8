"""Login: both factors, one answer, each code once, and attempts that get slower."""

from __future__ import annotations

import asyncio
import statistics
import time

import msgspec
import pytest

from casemate.accounts import LoginRefusedError, TooManyAttemptsError
from casemate.accounts.passwords import PasswordHashing, prepared
from casemate.accounts.sessions import MAX_SESSIONS
from casemate.accounts.totp import code_at
from casemate.model.back_off import FREE_PER_ACCOUNT
from casemate.model.errors import UnavailableError
from casemate.model.facts import SignedIn
from support.accounts import PASSWORD, World


@pytest.fixture
def ada(world: World) -> World:
    world.person("ada")
    return world


def attempt(world: World, name: str = "ada", password: str = PASSWORD, code: str | None = None,
            remote: str = "10.0.0.9"):  # fmt: skip
    given = world.code("ada") if code is None else code
    return world.run(world.accounts.sessions.login(name, password, given, remote))


def test_a_session_is_the_person(ada: World) -> None:
    issued = attempt(ada)
    found = ada.who(issued.text)
    assert found is not None
    assert found.text == "user:ada"
    assert issued.text not in repr(issued)
    ada.clock.now += 12 * 3600
    assert ada.who(issued.text) is None
    ada.run(ada.accounts.flush())
    assert issued.token.id not in {t.id for t in ada.accounts.tokens.all()}


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("ada", "wrong-otter-granite-seven", None),
        ("ada", "", None),
        ("ada", "x" * 2000, None),
        ("ada", "\ud800", None),
        ("ada", PASSWORD, "000000"),
        ("ada", PASSWORD, ""),
        ("nobody", PASSWORD, None),
        ("", PASSWORD, None),
        ("Ada", PASSWORD, None),
        ("ada ", PASSWORD, None),
        ("ada\x00", PASSWORD, None),
    ],
)
def test_every_failure_has_one_message(ada: World, name, password, code) -> None:
    with pytest.raises(LoginRefusedError) as caught:
        attempt(ada, name, password, code)
    assert caught.value.message == "The name, the password or the code is not right."
    assert len(ada.denials) == 1
    record = msgspec.json.encode(ada.denials).decode()
    assert not password or password not in record
    assert (ada.denials[0].principal == "user:ada") is (name == "ada")


def test_a_code_works_once(ada: World) -> None:
    code = ada.code("ada")
    assert attempt(ada, code=code)
    with pytest.raises(LoginRefusedError):
        attempt(ada, code=code)
    with pytest.raises(LoginRefusedError):
        attempt(ada, code=ada.code("ada", -1))  # nor one from before it
    ada.start()
    with pytest.raises(LoginRefusedError):
        attempt(ada, code=code)


def test_two_at_once_with_one_code_are_one_session(ada: World) -> None:
    async def both() -> list[object]:
        code = ada.code("ada")
        logins = [ada.accounts.sessions.login("ada", PASSWORD, code, "10.0.0.9") for _ in range(4)]
        return await asyncio.gather(*logins, return_exceptions=True)

    found = asyncio.run(both())
    assert sum(isinstance(f, LoginRefusedError) for f in found) == 3


@pytest.mark.parametrize("steps", [-1, 1])
def test_a_step_to_either_side_is_accepted(ada: World, steps: int) -> None:
    ada.clock.now += 60
    assert attempt(ada, code=ada.code("ada", steps))


@pytest.mark.parametrize(("steps", "word"), [(-5, "behind"), (6, "ahead of")])
def test_a_wrong_clock_is_told_to_who_has_both_factors(ada: World, steps: int, word: str) -> None:
    ada.clock.now += 600
    with pytest.raises(LoginRefusedError, match=word) as caught:
        attempt(ada, code=ada.code("ada", steps))
    assert "NTP" in str(caught.value)
    with pytest.raises(LoginRefusedError) as caught:
        attempt(ada, password="wrong-otter-granite-seven", code=ada.code("ada", steps))
    assert word not in str(caught.value)


def test_brute_force_gets_slower_and_a_session_goes_on(ada: World) -> None:
    session = attempt(ada).text
    for number in range(FREE_PER_ACCOUNT):
        with pytest.raises(LoginRefusedError):
            attempt(ada, code="000000", remote=f"192.0.2.{number}")
    with pytest.raises(TooManyAttemptsError) as caught:
        attempt(ada, code="000000", remote="192.0.2.200")
    assert caught.value.retry_after >= 1
    assert ada.who(session) is not None
    ada.clock.now += 30
    assert attempt(ada), "its owner gets in from where it was before"
    assert {d.reason for d in ada.denials} == {"refused", "too many attempts"}


def test_even_the_right_password_waits(ada: World) -> None:
    ada.start()  # no address is known after a restart
    for _ in range(FREE_PER_ACCOUNT):
        with pytest.raises(LoginRefusedError):
            attempt(ada, code="000000", remote="192.0.2.1")
    with pytest.raises(TooManyAttemptsError):
        attempt(ada, remote="192.0.2.1")
    ada.clock.now += 30
    assert attempt(ada, remote="192.0.2.1")


def test_unknown_names_get_slower_too(ada: World) -> None:
    for _ in range(FREE_PER_ACCOUNT):
        with pytest.raises(LoginRefusedError):
            attempt(ada, name="nobody")
    with pytest.raises(TooManyAttemptsError):
        attempt(ada, name="nobody")


def test_a_failing_vault_or_store_is_no_failed_attempt(ada: World) -> None:
    for _ in range(FREE_PER_ACCOUNT + 2):
        ada.store.fault = UnavailableError("full")
        with pytest.raises(UnavailableError):
            attempt(ada)
    ada.store.fault = None
    assert attempt(ada)


def at_full_cost(world: World, name: str, password: str) -> None:
    """Start anew with what passwords cost on a node, and let one person's be of that cost."""
    world.settings["hashing"] = hashing = PasswordHashing()
    stored = world.run(hashing.hash(prepared(password)))
    world.store.by_name[name] = msgspec.structs.replace(world.store.by_name[name], password=stored)
    world.start()


def test_unknown_and_known_names_do_the_same_work(ada: World) -> None:
    at_full_cost(ada, "ada", PASSWORD)
    ada.accounts.sessions._attempts._attempts.begin = lambda *_: ()  # type: ignore[method-assign]
    times: dict[str, list[float]] = {"ada": [], "nobody": []}
    for _ in range(5):
        for name, measured in times.items():
            ada.vault.unwrapped.clear()
            started = time.perf_counter()
            with pytest.raises(LoginRefusedError):
                attempt(ada, name=name, password="wrong-otter-granite-seven")
            measured.append(time.perf_counter() - started)
            assert len(ada.vault.unwrapped) == 1
    known, unknown = (statistics.median(times[name]) for name in ("ada", "nobody"))
    assert 0.5 < known / unknown < 2


def test_hashes_of_other_parameters_are_renewed(ada: World) -> None:
    ada.settings["hashing"] = PasswordHashing()
    ada.start()
    assert attempt(ada)
    renewed = ada.store.by_name["ada"].password
    assert renewed is not None
    assert "m=65536" in renewed
    ada.clock.now += 30
    assert attempt(ada)


def test_open_sessions_are_bounded(ada: World, monkeypatch) -> None:
    monkeypatch.setattr("casemate.accounts.sessions.MAX_SESSIONS", 2)
    texts = [ada.login("ada").text for _ in range(3)]
    assert [ada.who(text) is not None for text in texts] == [False, True, True]
    assert MAX_SESSIONS >= 10


def test_logout(ada: World) -> None:
    text = attempt(ada).text
    sessions = ada.accounts.sessions
    assert ada.run(sessions.logout(f"Bearer {text}"))
    assert ada.who(text) is None
    assert not ada.run(sessions.logout(f"Bearer {text}"))
    assert not ada.run(sessions.logout(None))
    assert not ada.run(sessions.logout(f"Bearer {ada.owner_text}"))
    assert ada.owner


def test_a_forged_secret_logs_nobody_out(ada: World) -> None:
    text = attempt(ada).text
    forged = f"{text[:20]}{'x' * 43}"
    assert not ada.run(ada.accounts.sessions.logout(f"Bearer {forged}"))
    assert ada.who(text)


def test_the_code_of_another_person(ada: World) -> None:
    ada.person("bob")
    with pytest.raises(LoginRefusedError):
        attempt(ada, code=code_at(ada.secrets["bob"], int(ada.clock()) // 30))


def test_who_signed_in_is_told_and_nobody_else(ada: World) -> None:
    told: list[SignedIn] = []
    ada.facts.listen(SignedIn, told.append)
    with pytest.raises(LoginRefusedError):
        attempt(ada, password="wrong-otter-granite-seven")
    assert told == []
    assert [denial.by for denial in ada.denials] == ["user:ada"]
    attempt(ada, remote="198.51.100.4")
    [fact] = told
    assert (fact.by, fact.remote_address, fact.method) == ("user:ada", "198.51.100.4", "password")
    assert fact.at == ada.clock()


def test_a_code_of_before_the_clock_was_set_back_is_told_to_who_has_both_factors(
    ada: World,
) -> None:
    """Else nobody could log in for so long, and would look for the fault in the code."""
    attempt(ada)
    with pytest.raises(LoginRefusedError, match="not right"):
        attempt(ada)
    ada.clock.now -= 3600
    with pytest.raises(LoginRefusedError, match="3600 s newer was used before") as caught:
        attempt(ada)
    assert "Set the node's clock right" in (caught.value.next_step or "")
    with pytest.raises(LoginRefusedError, match="is not right"):
        attempt(ada, password="wrong-otter-granite-seven")
    ada.clock.now += 3630
    attempt(ada)
