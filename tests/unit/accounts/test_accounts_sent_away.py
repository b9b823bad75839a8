"""Since when somebody may do nothing any more: what they had kept until then is not done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from casemate.accounts import Accounts
from casemate.model.account import ENDED_KEPT
from casemate.model.nodes import MAX_CLOCK_OFF
from casemate.model.principal import ANONYMOUS, RoleBinding
from support.accounts import World


def token(revoked_at: float | None = None, user: str | None = None) -> Any:
    return SimpleNamespace(revoked_at=revoked_at, user=user)


def user(created_at: float, disabled_at: float | None = None) -> Any:
    return SimpleNamespace(created_at=created_at, disabled_at=disabled_at)


KNOWN: Any = SimpleNamespace(
    _directory=SimpleNamespace(
        tokens={
            "good": token(),
            "gone": token(50.0),
            **{f"eve{n}": token(at, "eve") for n, at in enumerate((40.0, 60.0, None))},
            "ada1": token(70.0, "ada"),
        },
        users={"ada": user(10.0), "bob": user(10.0, 30.0)},
        sessions_ended={"eve": 60.0, "ada": 70.0},
        shared=False,
    )
)


@pytest.mark.parametrize(
    ("who", "since"),
    [
        ("token:good", None),
        ("token:gone", 50.0),
        ("token:forgotten", None),  # its time was over, long ago
        ("user:ada", 10.0),  # a session that ended is no end of hers; who had her name before is
        ("user:bob", 30.0),
        ("user:eve", 60.0),  # removed with her sessions
        ("user:nobody", float("inf")),
        ("function:t/f", None),
        ("anonymous:public", None),
        ("", None),
    ],
)
def test_since_when(who: str, since: float | None) -> None:
    assert Accounts.sent_away(KNOWN, who) == since


def test_what_was_kept_by_another_clock_than_that_of_who_disables_is_kept_before() -> None:
    """A node's clock may be behind that of the database, by which its person had it kept."""
    directory = SimpleNamespace(**{**vars(KNOWN._directory), "shared": True})
    shared: Any = SimpleNamespace(_directory=directory)
    assert Accounts.sent_away(shared, "user:bob") == 30.0 + MAX_CLOCK_OFF
    assert Accounts.sent_away(shared, "token:gone") == 50.0  # which has a time of the database's


def test_when_the_last_session_ended_is_known_of_who_is_removed_and_not_for_ever(
    world: World,
) -> None:
    world.person("ada")
    for _ in range(3):
        world.login("ada")
    assert world.accounts.sent_away("user:ada") == world.accounts.people.one("ada").created_at
    world.run(world.accounts.people.remove("ada", by=world.owner))
    removed_at = world.clock()
    assert world.accounts.sent_away("user:ada") == removed_at
    assert world.start().sent_away("user:ada") == removed_at, "read from the store"
    world.clock.now += ENDED_KEPT
    world.run(world.accounts.flush())
    assert world.accounts.sent_away("user:ada") == float("inf")


def test_who_gets_the_name_of_another_has_it_later_though_the_clock_was_set_back(
    world: World,
) -> None:
    """Else what the other had kept, and signs with, would be of who has the name now."""
    world.person("ada")
    world.login("ada")
    had = world.clock()
    world.run(world.accounts.people.remove("ada", by=world.owner))
    world.clock.now -= 7200
    world.person("ada")
    assert (world.accounts.there_since("user:ada") or 0.0) >= had
    assert (world.accounts.sent_away("user:ada") or 0.0) >= had


def test_who_had_something_kept_has_the_roles_of_now_and_a_token_also_once_its_time_is_over(
    world: World,
) -> None:
    world.person("ada", RoleBinding(role="invoker"))
    keeper = world.accounts.as_keeper("user:ada")
    assert keeper is not None and keeper.bindings == (RoleBinding(role="invoker"),)
    world.run(world.accounts.people.set_roles("ada", (), by=world.owner))
    without = world.accounts.as_keeper("user:ada")
    assert without is not None and without.bindings == ()
    issued = world.run(
        world.accounts.tokens.add(
            "ci", (RoleBinding(role="invoker"),), world.clock() + 60.0, by=world.owner
        )
    )
    who = f"token:{issued.token.id}"
    world.clock.now += 3600
    assert world.accounts.principal_of(who) is None, "it lets nobody in"
    over = world.accounts.as_keeper(who)
    assert over is not None and (over.text, over.expires_at) == (who, None)
    assert [binding.role for binding in over.bindings] == ["invoker"]
    for nobody in ("token:forgotten", "function:t/f", ""):
        assert world.accounts.as_keeper(nobody) is None
    assert world.accounts.as_keeper(ANONYMOUS.text) is ANONYMOUS
