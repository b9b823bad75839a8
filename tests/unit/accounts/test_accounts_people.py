"""People: added, changed and removed by those who have as much."""

from __future__ import annotations

import msgspec
import pytest

from casemate.accounts import EscalationError, LastOwnerError, LoginRefusedError
from casemate.accounts.bindings import parse_binding
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from support.accounts import NODE_OWNER, World, function_principal

DEVELOPER = (parse_binding("developer@shop"),)


def owner_only_person(world: World, name: str = "ada") -> None:
    """Leave a person as the only owner."""
    world.person(name, *NODE_OWNER)
    world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))


def as_person(world: World, name: str):
    found = world.who(world.login(name).text)
    assert found is not None
    return found


def test_roles_change_open_sessions_at_once(world: World) -> None:
    world.person("ada", *DEVELOPER)
    session = world.login("ada").text
    assert world.who(session).bindings == DEVELOPER
    world.run(world.accounts.people.set_roles("ada", (), by=world.owner))
    assert world.who(session).bindings == ()
    world.run(world.accounts.people.set_roles("ada", NODE_OWNER, by=world.owner))
    assert world.who(session).bindings == NODE_OWNER
    world.start()
    assert world.who(session).bindings == NODE_OWNER


def test_a_project_is_one_that_people_have_roles_in_and_not_tokens(world: World) -> None:
    def bound() -> list[str]:
        return [name for name in ("shop", "till", "made-up") if world.accounts.is_bound(name)]

    assert bound() == []
    world.person("ada", *DEVELOPER)
    assert bound() == ["shop"]
    made_up = (parse_binding("developer@made-up"),)
    world.run(world.accounts.tokens.add("ci", made_up, None, by=world.owner))
    assert bound() == ["shop"]
    till = (parse_binding("owner@till/f"),)
    world.run(world.accounts.people.set_roles("ada", till, by=world.owner))
    assert bound() == ["till"]
    world.start()
    assert bound() == ["till"]
    world.run(world.accounts.people.remove("ada", by=world.owner))
    assert bound() == []


def test_disabling_ends_sessions_for_good(world: World) -> None:
    world.person("ada", *DEVELOPER)
    session = world.login("ada").text
    world.run(world.accounts.people.set_disabled("ada", True, by=world.owner))
    assert world.who(session) is None
    with pytest.raises(LoginRefusedError):
        world.login("ada")
    world.run(world.accounts.people.set_disabled("ada", False, by=world.owner))
    assert world.who(session) is None
    world.start()
    assert world.who(session) is None
    assert world.who(world.login("ada").text) is not None


def test_removal(world: World) -> None:
    world.person("ada", *DEVELOPER)
    session = world.login("ada").text
    world.run(world.accounts.people.remove("ada", by=world.owner))
    assert world.who(session) is None
    assert world.accounts.principal_of("user:ada") is None
    world.start()
    assert world.who(session) is None
    with pytest.raises(NotFoundError):
        world.run(world.accounts.people.remove("ada", by=world.owner))


def test_a_failing_store_lets_nobody_in(world: World) -> None:
    world.person("ada", *DEVELOPER)
    session = world.login("ada").text
    world.store.fault = UnavailableError("full")
    with pytest.raises(UnavailableError):
        world.run(world.accounts.people.remove("ada", by=world.owner))
    assert world.who(session) is None


def test_a_new_person_of_an_old_name_has_nothing_of_it(world: World) -> None:
    world.person("ada", *NODE_OWNER)
    session = world.login("ada").text
    world.run(world.accounts.people.remove("ada", by=world.owner))
    world.person("ada")
    assert world.who(session) is None
    assert as_person(world, "ada").bindings == ()


@pytest.mark.parametrize("name", ["", "Ada", "ada\n", "a" * 64, "ада", "../x", "user:ada", "-a"])
def test_names(world: World, name: str) -> None:
    with pytest.raises(InvalidInputError):
        world.run(world.accounts.people.add(name, (), by=world.owner))


def test_a_name_is_taken_once_and_roles_must_exist(world: World) -> None:
    world.person("ada")
    with pytest.raises(ConflictError):
        world.run(world.accounts.people.add("ada", (), by=world.owner))
    with pytest.raises(InvalidInputError, match="no role"):
        world.run(world.accounts.people.add("bob", (parse_binding("god"),), by=world.owner))
    world.run(world.accounts.people.add("bob", (parse_binding("deployer"),), by=world.owner))


def test_nobody_gives_more_than_it_has(world: World) -> None:
    world.person("dev", *DEVELOPER)
    dev = as_person(world, "dev")
    people = world.accounts.people
    for wanted in ("owner", "developer", "owner@shop", "auditor@shop", "developer@other"):
        with pytest.raises(EscalationError):
            world.run(people.add("eve", (parse_binding(wanted),), by=dev))
        with pytest.raises(EscalationError):
            world.run(people.set_roles("dev", (parse_binding(wanted),), by=dev))
    with pytest.raises(EscalationError):
        world.run(people.add("eve", NODE_OWNER, by=function_principal()))


def test_nobody_takes_over_who_can_do_more(world: World) -> None:
    world.person("dev", *DEVELOPER)
    world.person("boss", *NODE_OWNER)
    dev, people = as_person(world, "dev"), world.accounts.people
    for attempt in (
        lambda: people.reset("boss", by=dev),
        lambda: people.set_disabled("boss", True, by=dev),
        lambda: people.remove("boss", by=dev),
        lambda: people.set_roles("boss", (), by=dev),
    ):
        with pytest.raises(EscalationError):
            world.run(attempt())


def test_what_was_lost_meanwhile_does_not_count(world: World) -> None:
    world.person("boss", *NODE_OWNER)
    boss = as_person(world, "boss")
    world.run(world.accounts.people.set_roles("boss", (), by=world.owner))
    with pytest.raises(EscalationError, match="changed"):
        world.run(world.accounts.people.add("eve", NODE_OWNER, by=boss))


def test_the_last_owner_stays(world: World) -> None:
    owner_only_person(world)
    ada, people = as_person(world, "ada"), world.accounts.people
    for attempt in (
        lambda: people.remove("ada", by=ada),
        lambda: people.set_disabled("ada", True, by=ada),
        lambda: people.set_roles("ada", (parse_binding("owner@shop"),), by=ada),
        lambda: people.set_roles("ada", (), by=ada),
        lambda: people.reset("ada", by=ada),
    ):
        with pytest.raises(LastOwnerError):
            world.run(attempt())
    assert as_person(world, "ada").bindings == NODE_OWNER


def test_an_owner_who_has_not_enrolled_is_no_way_in(world: World) -> None:
    world.run(world.accounts.people.add("ada", NODE_OWNER, by=world.owner))
    with pytest.raises(LastOwnerError):
        world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))


def test_an_owner_whom_a_provider_knows_is_one_only_with_that_provider(world: World) -> None:
    from casemate.accounts.provider_login import SETTINGS

    world.store.values[SETTINGS] = b'{"issuer":"https://id.example.org","client_id":"c"}'
    world.start()
    world.run(
        world.accounts.people.add("ada", NODE_OWNER, by=world.owner, oidc_subject="248289761001")
    )
    world.run(world.accounts.tokens.revoke(world.owner.id, by=world.owner))
    ada = world.accounts.principal_of("user:ada")
    assert ada is not None
    with pytest.raises(LastOwnerError):
        world.run(world.accounts.provider.set_settings(None, by=ada))


def test_subjects_need_a_provider_and_are_reset_there(world: World) -> None:
    with pytest.raises(ConflictError, match="provider"):
        world.run(world.accounts.people.add("ada", (), by=world.owner, oidc_subject="1"))


def test_tokens_that_somebody_made_are_told(world: World) -> None:
    world.person("dev", *DEVELOPER)
    dev = as_person(world, "dev")
    issued = world.run(world.accounts.tokens.add("ci", DEVELOPER, world.clock() + 86400, by=dev))
    assert world.accounts.people.tokens_made_by("dev") == (issued.token,)
    world.run(world.accounts.people.remove("dev", by=world.owner))
    assert world.accounts.people.tokens_made_by("dev") == (issued.token,)


def test_nothing_secret_is_stored_in_the_clear(world: World) -> None:
    code = world.run(world.accounts.people.add("ada", (), by=world.owner))
    assert code is not None
    assert code.encode() not in msgspec.json.encode(list(world.store.by_name.values()))
    world.run(world.enrol("ada", code))
    text = world.login("ada").text
    stored = msgspec.json.encode(
        [list(world.store.by_name.values()), list(world.store.by_id.values())]
    )
    secret = world.secrets["ada"]
    for planted in (text.encode(), text[20:63].encode(), secret, secret.hex().encode()):
        assert planted not in stored
    assert world.owner_text.encode() not in stored
