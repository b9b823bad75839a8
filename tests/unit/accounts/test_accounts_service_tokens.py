"""Service tokens: no more than their maker, no longer than allowed, and over at once."""

from __future__ import annotations

import pytest

from casemate.accounts import (
    DAY,
    EscalationError,
    LastOwnerError,
    LoginRefusedError,
    service_tokens,
    token_id_of,
    totp,
)
from casemate.accounts.bindings import parse_binding
from casemate.model.account import ENDED_KEPT
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.operations.accounts import RevokeTokens
from support.accounts import NODE_OWNER, PASSWORD, World, function_principal, secret_of

SHOP = (parse_binding("developer@shop"),)


def add(world: World, *bindings: str, days: float | None = 1, by=None, name: str = "ci"):
    expires_at = None if days is None else world.clock() + days * DAY
    found = tuple(map(parse_binding, bindings))
    return world.run(world.accounts.tokens.add(name, found, expires_at, by=by or world.owner))


def test_made_used_revoked(world: World) -> None:
    issued = add(world, "invoker@shop")
    assert issued.text not in repr(issued)
    found = world.who(issued.text)
    assert found is not None
    assert found.text == f"token:{issued.token.id}"
    assert found == world.accounts.principal_of(found.text)
    world.run(world.accounts.tokens.revoke(issued.token.id, by=world.owner))
    assert world.who(issued.text) is None
    assert world.accounts.principal_of(found.text) is None
    world.start()
    assert world.who(issued.text) is None
    world.run(world.accounts.tokens.revoke(issued.token.id, by=world.owner))
    with pytest.raises(NotFoundError):
        world.run(world.accounts.tokens.revoke("0" * 16, by=world.owner))


def test_what_a_maker_cannot_give(world: World) -> None:
    maker = world.who(add(world, "developer@shop").text)
    for wanted in ("owner", "developer", "developer@other", "auditor@shop"):
        with pytest.raises(EscalationError):
            add(world, wanted, by=maker, name="more")
    assert world.who(add(world, "developer@shop/cart", by=maker, name="less").text)
    with pytest.raises(EscalationError):
        add(world, "invoker", by=function_principal(), name="f")


def test_expiry(world: World) -> None:
    for days in (0, -1, 366, 1e6):
        with pytest.raises(InvalidInputError):
            add(world, "invoker", days=days)
    assert world.who(add(world, "invoker", days=365, name="year").text)
    forever = add(world, "invoker", days=None, name="forever")
    assert forever.token.expires_at is None
    world.person("dev", *SHOP)
    dev = world.who(world.login("dev").text)
    with pytest.raises(EscalationError, match="owners"):
        add(world, "developer@shop", days=None, by=dev, name="dev")
    issued = add(world, "developer@shop", days=1, by=dev, name="dev")
    world.clock.now += DAY
    assert world.who(issued.text) is None


def test_a_token_makes_none_that_outlives_it(world: World) -> None:
    maker = world.who(add(world, "owner", days=2).text)
    for days in (3, None):
        with pytest.raises(EscalationError, match="outlive"):
            add(world, "owner", days=days, by=maker, name="next")
    assert add(world, "owner", days=1, by=maker, name="next")


def test_a_revoked_maker_makes_none(world: World) -> None:
    issued = add(world, "owner")
    maker = world.who(issued.text)
    world.run(world.accounts.tokens.revoke(issued.token.id, by=world.owner))
    with pytest.raises(EscalationError, match="changed"):
        add(world, "owner", by=maker, name="late")


def test_names_and_roles(world: World) -> None:
    add(world, "invoker")
    with pytest.raises(ConflictError):
        add(world, "invoker")
    with pytest.raises(InvalidInputError, match="no role"):
        add(world, name="none")
    with pytest.raises(InvalidInputError):
        add(world, "emperor", name="x")
    with pytest.raises(InvalidInputError):
        add(world, "invoker", name="Not A Name")


def test_the_last_owner_token_stays(world: World) -> None:
    with pytest.raises(LastOwnerError):
        world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))
    soon = add(world, "owner", days=0.5, name="soon")
    with pytest.raises(LastOwnerError):
        world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))
    world.run(world.accounts.tokens.revoke(soon.token.id, by=world.owner))
    add(world, "owner", days=30, name="other")
    world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))
    add_project_owner = parse_binding("owner@shop")
    assert add_project_owner not in NODE_OWNER


def test_last_use_is_shown_and_stored(world: World) -> None:
    issued = add(world, "invoker")
    assert world.accounts.tokens.used_at(issued.token) is None
    world.clock.now += 5
    world.who(issued.text)
    assert world.accounts.tokens.used_at(issued.token) == world.clock()
    world.run(world.accounts.flush())
    assert world.store.by_id[issued.token.id].last_used_at == world.clock()
    world.start()
    assert world.accounts.tokens.used_at(world.accounts.tokens.one(issued.token.id))


def made(world: World, maker, name: str, role: str = "owner"):
    """Make a token with another one's text, as the API does."""
    text = f"Bearer {maker.text}"
    expires_at = world.clock() + DAY / 2
    return world.run(
        world.accounts.tokens.add(
            name,
            (parse_binding(role),),
            expires_at,
            by=world.accounts.authenticate(text),
            made_with=token_id_of(text),
        )
    )


def test_revoking_takes_the_whole_line(world: World) -> None:
    stolen = add(world, "owner", name="stolen")
    child = made(world, stolen, "child")
    grandchild = made(world, child, "grandchild", "invoker@shop")
    bystander = add(world, "invoker@shop", name="bystander")
    ended = world.run(world.accounts.tokens.revoke(stolen.token.id, by=world.owner))
    assert [token.id for token in (ended.token, *ended.line)] == [
        stolen.token.id,
        child.token.id,
        grandchild.token.id,
    ]
    for _ in range(2):
        assert [world.who(t.text) for t in (stolen, child, grandchild)] == [None] * 3
        assert world.who(bystander.text)
        world.start()  # it is so after a restart, too


def test_a_line_that_began_before_a_revocation_ends_by_another(world: World) -> None:
    """A child whose maker was revoked by a version that left it: revoking again takes it."""
    stolen = add(world, "owner", name="stolen")
    child = made(world, stolen, "child")
    alone = RevokeTokens(ids=(stolen.token.id,))
    world.run(world.accounts._directory.apply(lambda: ((alone,), None)))
    assert world.who(child.text)
    world.run(world.accounts.tokens.revoke(stolen.token.id, by=world.owner))
    assert world.who(child.text) is None


def test_a_stolen_session_takes_along_what_was_made_with_it(world: World) -> None:
    world.person("ada", *NODE_OWNER)
    stolen, other = world.login("ada"), world.login("ada")
    bad, good = made(world, stolen, "bad"), made(world, other, "good")
    world.run(world.accounts.tokens.revoke(stolen.token.id, by=world.owner))
    assert world.who(bad.text) is None
    assert world.who(good.text)
    assert world.run(world.accounts.sessions.logout(f"Bearer {other.text}"))
    assert world.who(other.text) is None
    assert world.who(good.text), "logging out ends a session, not what was made in it"


@pytest.mark.parametrize("begun", [False, True])
def test_no_code_to_enrol_with_outlives_the_line_that_made_it(world: World, begun: bool) -> None:
    stolen = add(world, "owner", name="stolen")
    child = made(world, stolen, "child")
    people, enrolment = world.accounts.people, world.accounts.enrolment
    world.person("old", *SHOP)
    by_child = {
        "by": world.accounts.authenticate(f"Bearer {child.text}"),
        "made_with": child.token.id,
    }
    by_stolen = {
        "by": world.accounts.authenticate(f"Bearer {stolen.text}"),
        "made_with": stolen.token.id,
    }
    codes = {
        "eve": world.run(people.add("eve", NODE_OWNER, **by_child)),
        "old": world.run(people.reset("old", **by_stolen)),
        "ada": world.run(people.add("ada", NODE_OWNER, by=world.owner)),
    }
    assert world.run(people.add("in", NODE_OWNER, **by_stolen))
    uris = {}
    if begun:
        for name, code in codes.items():
            uris[name] = world.run(enrolment.begin(name, str(code), PASSWORD, "10.0.0.9"))
    ended = world.run(world.accounts.tokens.revoke(stolen.token.id, by=world.owner))
    assert (ended.codes, ended.people) == (("eve", "in", "old"), ())
    for name in ("eve", "old"):
        with pytest.raises(LoginRefusedError):
            if begun:
                number = totp.code_at(secret_of(uris[name]), int(world.clock() // 30))
                world.run(enrolment.confirm(name, str(codes[name]), number, "10.0.0.9"))
            else:
                world.run(enrolment.begin(name, str(codes[name]), PASSWORD, "10.0.0.9"))
    world.start()
    with pytest.raises(LoginRefusedError):
        world.run(world.accounts.enrolment.begin("eve", str(codes["eve"]), PASSWORD, "10.0.0.9"))
    world.run(world.enrol("ada", str(codes["ada"])))
    assert world.login("ada")
    again = world.run(world.accounts.people.reset("old", by=world.owner))
    world.run(world.enrol("old", again))


def test_who_has_enrolled_by_a_stolen_token_is_named(world: World) -> None:
    """Not disabled: with the node's first token everybody is added, and it is revoked then."""
    first = add(world, "owner", name="first")
    by = world.accounts.authenticate(f"Bearer {first.text}")
    adding = world.accounts.people.add("ada", NODE_OWNER, by=by, made_with=first.token.id)
    world.run(world.enrol("ada", str(world.run(adding))))
    world.start()
    ended = world.run(world.accounts.tokens.revoke(first.token.id, by=world.owner))
    assert (ended.codes, ended.people) == ((), ("ada",))
    assert world.login("ada")


def test_a_token_that_was_just_revoked_adds_and_resets_nobody(world: World) -> None:
    world.person("old", *SHOP)
    stolen = add(world, "owner", name="stolen")
    by = world.accounts.authenticate(f"Bearer {stolen.text}")
    world.run(world.accounts.tokens.revoke(stolen.token.id, by=world.owner))
    with pytest.raises(EscalationError, match="changed"):
        world.run(world.accounts.people.add("eve", (), by=by, made_with=stolen.token.id))
    with pytest.raises(EscalationError, match="changed"):
        world.run(world.accounts.people.reset("old", by=by, made_with=stolen.token.id))
    assert world.login("old")


def test_a_session_that_has_ended_makes_nothing(world: World) -> None:
    world.person("ada", *NODE_OWNER)
    session = world.login("ada")
    asking = world.accounts.authenticate(f"Bearer {session.text}")
    world.run(world.accounts.tokens.revoke(session.token.id, by=world.owner))
    with pytest.raises(EscalationError, match="changed"):
        world.run(
            world.accounts.tokens.add(
                "late",
                (parse_binding("invoker@shop"),),
                world.clock() + DAY,
                by=asking,
                made_with=session.token.id,
            )
        )


def test_the_last_owner_is_counted_without_the_line(world: World) -> None:
    child = world.run(
        world.accounts.tokens.add(
            "child", NODE_OWNER, world.clock() + 30 * DAY, by=world.owner, made_with=world.owner.id
        )
    )
    with pytest.raises(LastOwnerError):
        world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))
    assert world.who(child.text)


def test_a_line_is_revoked_also_where_one_of_it_ended_long_ago(world: World) -> None:
    """The store forgets tokens a month after their end, while the node goes on."""
    maker = add(world, "developer@shop", days=90, name="maker")
    by = world.who(maker.text)
    assert by is not None
    made = [
        world.run(
            world.accounts.tokens.add(
                name, SHOP, world.clock() + days * DAY, by=by, made_with=maker.token.id
            )
        )
        for name, days in (("short", 1), ("long", 80))
    ]
    for _ in range(24 * 32):
        world.clock.now += DAY / 24
        world.run(world.accounts.flush())
        short = world.store.by_id.get(made[0].token.id)
        if short is not None and (short.expires_at or 0) < world.clock() - ENDED_KEPT:
            del world.store.by_id[short.id]
    assert made[0].token.id not in world.store.by_id
    world.run(world.accounts.tokens.revoke(maker.token.id, by=world.owner))
    world.start()
    assert world.who(maker.text) is None and world.who(made[1].text) is None


def test_one_account_has_so_many_tokens_in_force_by_whatever_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever may make one fills the memory of all nodes by making others."""
    monkeypatch.setattr(service_tokens, "MAX_TOKENS", 3)
    world.person("dev", *SHOP)
    session = world.login("dev")

    def more(name: str, text: str, made_with: str):
        by = world.who(text)
        assert by is not None
        return world.run(
            world.accounts.tokens.add(name, SHOP, world.clock() + 60, by=by, made_with=made_with)
        )

    first = more("a", session.text, session.token.id)
    more("b", session.text, session.token.id)
    more("c", first.text, first.token.id)
    for text, made_with in ((session.text, session.token.id), (first.text, first.token.id)):
        with pytest.raises(ConflictError, match="3 tokens are in force"):
            more("d", text, made_with)
    world.run(world.accounts.tokens.revoke(first.token.id, by=world.owner))
    more("d", session.text, session.token.id)


def test_no_line_is_so_long_that_nobody_answers_for_its_end(world: World) -> None:
    """Else whoever has a budget would be out of it by making tokens with tokens."""
    world.person("dev", *SHOP)
    session = world.login("dev")
    text, made_with, number = session.text, session.token.id, 0
    with pytest.raises(EscalationError, match="times"):
        while number < 20:
            by = world.who(text)
            assert by is not None
            assert world.accounts.answerable(by.text) == "user:dev"
            issued = world.run(
                world.accounts.tokens.add(
                    f"t{number}", SHOP, world.clock() + 60, by=by, made_with=made_with
                )
            )
            text, made_with, number = issued.text, issued.token.id, number + 1
    by = world.who(text)
    assert by is not None and world.accounts.answerable(by.text) == "user:dev"


def test_one_is_known_still_once_a_clock_that_was_set_forward_is_right_again() -> None:
    """It was forgotten by then, at the next look of some seconds."""
    believed = [0.0]
    world = World(deleting=lambda: believed[0])
    believed[0] = world.clock()
    issued = add(world, "invoker@shop", days=90)
    world.clock.now += 200 * DAY
    assert world.who(issued.text) is None
    world.run(world.accounts._directory.flush_usage())
    world.clock.now -= 200 * DAY
    assert world.who(issued.text) is not None
    world.clock.now += 200 * DAY
    believed[0] = world.clock()
    world.run(world.accounts._directory.flush_usage())
    world.clock.now -= 200 * DAY
    assert world.who(issued.text) is None
