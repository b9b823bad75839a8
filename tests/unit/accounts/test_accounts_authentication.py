"""The index: who is let in, from when on and until when."""

from __future__ import annotations

import time

import msgspec
import pytest

from casemate.accounts import authentication
from casemate.accounts.authentication import TokenIndex
from casemate.accounts.issuing import issue
from casemate.model.account import Token
from casemate.model.principal import PrincipalKind, RoleBinding
from support.accounts import NODE_OWNER, Clock

SHOP = (RoleBinding(role="invoker", project="shop"),)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(clock: Clock) -> TokenIndex:
    return TokenIndex(clock, None)


def made(clock: Clock, *, expires_at: float | None = None, user: str | None = None):
    return issue(
        name="ci", created_by="user:ada", created_at=clock(), expires_at=expires_at, user=user
    )


def test_a_token_is_itself_and_a_session_its_person(index: TokenIndex, clock: Clock) -> None:
    token, session = made(clock), made(clock, user="ada", expires_at=clock() + 10)
    index.put(token.token, SHOP)
    index.put(session.token, NODE_OWNER)
    found = index.authenticate(f"Bearer {token.text}")
    assert found is not None
    assert (found.kind, found.id, found.bindings) == (PrincipalKind.TOKEN, token.token.id, SHOP)
    person = index.authenticate(f"Bearer {session.text}")
    assert person is not None
    assert person.text == "user:ada"
    assert person.expires_at == clock() + 10
    assert index.authenticate(f"Bearer {token.text}") is found, "no new object on the path"


@pytest.mark.parametrize(("off", "lets_in"), [(900, True), (3600, False), (400 * 86_400, False)])
def test_a_clock_that_was_ahead_gives_no_more_than_twice_the_time(
    index: TokenIndex, clock: Clock, off: float, lets_in: bool
) -> None:
    now = clock()
    clock.now = now + off
    short, session, lasting = (
        made(clock, expires_at=clock() + 900),
        made(clock, expires_at=clock() + 900, user="ada"),
        made(clock),
    )
    for each in (short, session, lasting):
        index.put(each.token, SHOP)
        assert index.authenticate(f"Bearer {each.text}") is not None
    clock.now = now
    for each in (short, session):
        assert (index.authenticate(f"Bearer {each.text}") is not None) is lets_in
    assert index.authenticate(f"Bearer {lasting.text}") is not None, "nobody is locked out"


def test_an_empty_index_lets_nobody_in(index: TokenIndex, clock: Clock) -> None:
    assert index.authenticate(f"Bearer {made(clock).text}") is None


def test_secret_of_another_token(index: TokenIndex, clock: Clock) -> None:
    from casemate.accounts.credential import checksum

    first, second = made(clock), made(clock)
    index.put(first.token, SHOP)
    index.put(second.token, NODE_OWNER)
    body = f"cm_{second.token.id}_{first.text[20:63]}"
    assert index.authenticate(f"Bearer {body}{checksum(body)}") is None
    assert index.authenticate(f"Bearer {body}") is None


def test_the_old_form_of_a_new_token_is_another_text(index: TokenIndex, clock: Clock) -> None:
    token = made(clock)
    index.put(token.token, SHOP)
    assert index.authenticate(f"Bearer {token.text[:63]}") is None


def test_a_key_of_the_first_release_stays_valid(index: TokenIndex) -> None:
    import hashlib

    text = "cm_0123456789abcdef_" + "x" * 43
    old = Token(
        id="0123456789abcdef",
        name="admin",
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        bindings=NODE_OWNER,
        created_at=1.0,
        created_by="",
    )
    index.put(old, NODE_OWNER)
    found = index.authenticate(f"Bearer {text}")
    assert found is not None
    assert found.bindings == NODE_OWNER


def test_expiry_is_to_the_moment(index: TokenIndex, clock: Clock) -> None:
    token = made(clock, expires_at=clock() + 5)
    index.put(token.token, SHOP)
    clock.now += 4.9
    assert index.authenticate(f"Bearer {token.text}")
    clock.now += 0.1
    assert index.authenticate(f"Bearer {token.text}") is None
    assert index.drop_expired() == (token.token.id,)


def test_revocation_and_removal(index: TokenIndex, clock: Clock) -> None:
    import msgspec

    token = made(clock)
    index.put(token.token, SHOP)
    index.put(msgspec.structs.replace(token.token, revoked_at=clock()), SHOP)
    assert index.authenticate(f"Bearer {token.text}") is None
    index.put(token.token, SHOP)
    index.remove([token.token.id, "unknown"])
    assert index.authenticate(f"Bearer {token.text}") is None


def test_idle_sessions_end_and_service_tokens_do_not(clock: Clock) -> None:
    index = TokenIndex(clock, 60.0)
    token, session = made(clock), made(clock, user="ada")
    index.put(token.token, SHOP)
    index.put(session.token, SHOP)
    for _ in range(3):
        clock.now += 50
        assert index.authenticate(f"Bearer {session.text}")
    clock.now += 61
    assert index.authenticate(f"Bearer {session.text}") is None
    assert index.authenticate(f"Bearer {token.text}")


def test_use_is_noted_once_for_each_flush(index: TokenIndex, clock: Clock) -> None:
    token = made(clock)
    index.put(token.token, SHOP)
    assert index.used_at(token.token.id) is None
    clock.now += 1
    index.authenticate(f"Bearer {token.text}")
    assert index.take_used() == {token.token.id: clock()}
    assert index.take_used() == {}
    index.put(token.token, NODE_OWNER)  # other roles are no other use
    assert index.used_at(token.token.id) == clock()


def test_it_costs_microseconds(clock: Clock) -> None:
    index = TokenIndex(time.time, None)
    token = made(clock)
    index.put(token.token, SHOP)
    header = f"Bearer {token.text}"
    best = 1.0
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(200):
            index.authenticate(header)
        best = min(best, (time.perf_counter() - started) / 200)
    assert best < 20e-6


# -- what was checked a moment ago -----------------------------------------------------------------


def test_what_was_checked_is_not_looked_at_again(
    index: TokenIndex, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = made(clock)
    index.put(known.token, SHOP)
    right, wrong = (index.check(f"Bearer {text}") for text in (known.text, known.text[:-1] + "_"))
    assert right.principal is not None and wrong.principal is None
    monkeypatch.setattr(authentication, "bearer_text", None)
    assert index.authenticate(f"Bearer {known.text}", right) is right.principal
    assert index.authenticate("whatever", wrong) is None


@pytest.mark.parametrize("ending", ["revoked", "removed", "other roles", "expired", "cleared"])
def test_what_has_changed_since_is_looked_at(index: TokenIndex, clock: Clock, ending: str) -> None:
    known = made(clock, expires_at=clock() + 0.5)
    index.put(known.token, SHOP)
    bearer = f"Bearer {known.text}"
    checked = index.check(bearer)
    assert checked.principal is not None
    if ending == "revoked":
        index.put(msgspec.structs.replace(known.token, revoked_at=clock()), SHOP)
    elif ending == "removed":
        index.remove([known.token.id])
    elif ending == "other roles":
        index.put(known.token, NODE_OWNER)
    else:
        clock.now += 0.6
        if ending == "cleared":
            index.drop_expired()
    found = index.authenticate(bearer, checked)
    assert found is not checked.principal
    assert (found is not None) is (ending == "other roles")


def test_a_token_made_since_a_check_is_let_in(index: TokenIndex, clock: Clock) -> None:
    known = made(clock)
    checked = index.check(f"Bearer {known.text}")
    index.put(known.token, SHOP)
    assert index.authenticate(f"Bearer {known.text}", checked) is not None


@pytest.mark.parametrize("passed", [1.5, -1.0])
def test_a_check_holds_for_a_moment_only(clock: Clock, passed: float) -> None:
    """A session that nobody uses must not live on by a request that is sent slowly."""
    index = TokenIndex(clock, 1.2)
    session = made(clock, user="ada", expires_at=clock() + 100)
    index.put(session.token, SHOP)
    checked = index.check(f"Bearer {session.text}")
    clock.now += passed
    found = index.authenticate(f"Bearer {session.text}", checked)
    assert (found is None) is (passed > 0)
