"""Pipelines: an ID token of their CI system opens a session, once, and nothing else does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from joserfc.jwk import RSAKey

from casemate.accounts import (
    EscalationError,
    IdTokenError,
    LoginRefusedError,
    OidcProviderError,
    OidcSettingsError,
)
from casemate.accounts import workloads as module
from casemate.accounts.errors import TooManyAttemptsError
from casemate.accounts.oidc.id_token import SKEW
from casemate.accounts.throttle import MAX_DOUBTED_OF_ADDRESS
from casemate.accounts.workloads import MAX_AGE
from casemate.model.back_off import FREE_PER_ADDRESS
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError
from casemate.model.facts import SignedIn
from casemate.model.oidc import OidcSettings
from casemate.model.principal import OWNER, Principal, PrincipalKind, RoleBinding
from casemate.model.workload import MAX_MINUTES, Workload
from support.accounts import World
from support.oidc.published import Published

NODE = "https://node.example.org:8787"
DEVELOPER = RoleBinding(role="developer", project="shop")
OTHER_PROVIDER = OidcSettings(issuer="https://id.example.org", client_id="c")
STRANGER = RSAKey.generate_key(2048, {"kid": "one"})


class Pipelines:
    """A node that trusts one workload of an issuer that is as GitHub's is."""

    def __init__(self) -> None:
        self.issuer = Published()
        # Theirs has neither an authorization nor a token endpoint: nobody logs in there.
        self.issuer.publish(authorization_endpoint=None, token_endpoint=None)
        self.world = World()
        self.facts: list[Any] = []

    @property
    def workloads(self) -> module.Workloads:
        return self.world.accounts.workloads

    def workload(self, **changes: Any) -> Workload:
        given: dict[str, Any] = {
            "name": "shop-main",
            "issuer": self.issuer.issuer,
            "audience": NODE,
            "claims": {"repository": ("example/shop",), "ref": ("refs/heads/main", "refs/tags/1")},
            "bindings": (DEVELOPER,),
            "created_at": self.world.clock(),
            "created_by": "user:ada",
        }
        return Workload(**{**given, **changes})

    def add(self, **changes: Any) -> None:
        by = changes.pop("by", self.world.owner)
        self.world.run(self.workloads.add(self.workload(**changes), by=by))

    def token(self, **changes: Any) -> str:
        now = self.world.clock()
        claims: dict[str, Any] = {
            "aud": NODE,
            "sub": "repo:example/shop:ref:refs/heads/main",
            "iat": now - 5,
            "exp": now + 300,
            "repository": "example/shop",
            "ref": "refs/heads/main",
        }
        return self.issuer.token(**{**claims, **changes})

    def login(self, token: str = "", name: str = "shop-main", remote: str = "10.0.0.9") -> Any:
        return self.world.run(self.workloads.login(name, token or self.token(), remote))


@pytest.fixture
def pipelines() -> Iterator[Pipelines]:
    made = Pipelines()
    yield made
    made.issuer.close()


def test_a_job_gets_its_roles_for_a_quarter_of_an_hour(pipelines: Pipelines) -> None:
    signed_in: list[SignedIn] = []
    pipelines.add()
    pipelines.workloads._happened = lambda fact: signed_in.append(fact)  # type: ignore[arg-type,return-value]
    issued = pipelines.login()
    who = pipelines.world.who(issued.text)
    assert who is not None and who.bindings == (DEVELOPER,)
    assert who.kind is PrincipalKind.TOKEN
    [fact] = signed_in
    assert (fact.by, fact.method) == (who.text, "workload:shop-main")
    assert fact.remote_address == "10.0.0.9"
    assert pipelines.world.accounts.answerable(who.text) == "workload:shop-main"
    pipelines.world.clock.now += 15 * 60
    assert pipelines.world.who(issued.text) is None
    # What it used before is the workload's still, of whose budget it is.
    pipelines.world.run(pipelines.world.accounts.flush())
    assert pipelines.world.accounts.answerable(who.text) == "workload:shop-main"


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "https://other.example.org"},
        {"aud": [NODE, "https://other.example.org"]},
        {"aud": None},
        {"aud": []},
        {"aud": {NODE: 1}},
        {"iss": "https://token.actions.githubusercontent.com"},
        {"iss": None},
        {"repository": "example/shop2"},
        {"repository": "Example/shop"},
        {"repository": ["example/shop"]},
        {"repository": None},
        {"ref": "refs/heads/main2"},
        {"ref": "refs/pull/1/merge"},
        {"ref": None},
        {"ref": {"a": 1}},
        {"exp": 1_700_000_000.0 - SKEW},
        {"iat": 1_700_000_000.0 - MAX_AGE - SKEW - 1},
        {"iat": 1_700_000_000.0 + SKEW + 1},
        {"exp": None},
    ],
)
def test_no_other_token_opens_anything(pipelines: Pipelines, change: dict[str, Any]) -> None:
    pipelines.add()
    with pytest.raises(IdTokenError) as caught:
        pipelines.login(pipelines.token(**change))
    assert "example/shop" not in str(caught.value) and "refs/" not in str(caught.value)
    assert pipelines.world.denials, "a refusal is on record"
    assert all(t.created_by == "node" for t in pipelines.world.accounts.tokens.all())


def test_claims_may_have_several_values_and_be_no_text(pipelines: Pipelines) -> None:
    claims = {"project_id": ("42",), "ref_protected": ("true",), "ref": ("a", "b")}
    pipelines.add(claims=claims)
    right = {"project_id": 42, "ref_protected": True, "ref": "b", "aud": [NODE]}
    assert pipelines.login(pipelines.token(**right))
    for wrong in ({"ref_protected": False}, {"project_id": 42.0}, {"project_id": "042"}):
        with pytest.raises(IdTokenError):
            pipelines.login(pipelines.token(**{**right, **wrong}))


def test_the_key_of_a_stranger_signs_nothing(pipelines: Pipelines) -> None:
    pipelines.add()
    with pytest.raises(IdTokenError, match="signature"):
        pipelines.login(pipelines.token(key=STRANGER))


def test_each_token_works_once(pipelines: Pipelines) -> None:
    pipelines.add()
    token = pipelines.token()
    pipelines.login(token)
    with pytest.raises(LoginRefusedError, match="used before"):
        pipelines.login(token)
    # Base64 has several spellings of the last character: another text, the same signature.
    respelt = _respelt(token)
    with pytest.raises(LoginRefusedError):
        pipelines.login(respelt)
    # Nor after the node was started anew, nor once the session is over.
    pipelines.world.start()
    with pytest.raises(LoginRefusedError, match="used before"):
        pipelines.login(token)
    late = pipelines.token(exp=pipelines.world.clock() + 5000)
    pipelines.login(late)
    pipelines.world.clock.now += 20 * 60
    pipelines.world.run(pipelines.world.accounts.flush())
    with pytest.raises(LoginRefusedError, match="used before"):
        pipelines.login(late)


def _respelt(token: str) -> str:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 256 bytes of signature leave four bits of the last of 342 digits without a meaning.
    return token[:-1] + digits[digits.index(token[-1]) ^ 1]


def test_a_token_is_for_one_workload_of_its_issuer(pipelines: Pipelines) -> None:
    pipelines.add()
    pipelines.add(name="other", audience="https://other.example.org")
    with pytest.raises(LoginRefusedError, match="audience"):
        pipelines.login(name="other")
    with pytest.raises(LoginRefusedError, match="No workload of that name"):
        pipelines.login(name="nobody")


def test_an_issuer_that_does_not_answer(pipelines: Pipelines) -> None:
    pipelines.add()
    pipelines.issuer.answers.clear()
    with pytest.raises(OidcProviderError) as caught:
        pipelines.login()
    assert "workloads ls" in (caught.value.next_step or "")
    with pytest.raises(OidcProviderError):
        pipelines.add(name="second")
    assert [each.name for each in pipelines.workloads.all()] == ["shop-main"]


def test_one_that_is_removed_is_out_at_once(pipelines: Pipelines) -> None:
    pipelines.add()
    first, second = pipelines.login(), pipelines.login(pipelines.token(jti="2"))
    assert pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
    assert pipelines.world.who(first.text) is None and pipelines.world.who(second.text) is None
    with pytest.raises(LoginRefusedError):
        pipelines.login(pipelines.token(jti="3"))
    with pytest.raises(NotFoundError):
        pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
    pipelines.world.start()
    assert pipelines.workloads.all() == ()
    pipelines.add()
    assert pipelines.world.who(first.text) is None


def test_one_that_is_removed_while_keys_are_fetched_gets_nothing(pipelines: Pipelines) -> None:
    pipelines.add()

    async def claims(trusted: Workload, id_token: str) -> dict[str, Any]:
        found = await genuine(trusted, id_token)
        await pipelines.workloads.remove("shop-main", by=pipelines.world.owner)
        await pipelines.workloads.add(pipelines.workload(), by=pipelines.world.owner)
        return found

    genuine = pipelines.workloads._claims
    pipelines.workloads._claims = claims  # type: ignore[method-assign]
    with pytest.raises(LoginRefusedError, match="just changed"):
        pipelines.login()


def test_they_are_there_after_a_restart(pipelines: Pipelines) -> None:
    pipelines.add()
    issued = pipelines.login()
    pipelines.world.start()
    assert pipelines.workloads.all() == (pipelines.workload(),)
    assert pipelines.world.who(issued.text) is not None
    assert pipelines.login(pipelines.token(jti="2"))


def test_it_is_known_when_one_signed_in_last(pipelines: Pipelines) -> None:
    pipelines.add()
    assert pipelines.workloads.seen_at("shop-main") is None
    pipelines.login()
    at = pipelines.world.clock()
    pipelines.world.clock.now += 3600
    pipelines.world.run(pipelines.world.accounts.flush())
    assert pipelines.workloads.seen_at("shop-main") == at, "its token is over and forgotten"
    pipelines.world.start()
    assert pipelines.workloads.seen() == {"shop-main": at}
    pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
    pipelines.add()
    assert pipelines.workloads.seen() == {}, "another one of that name"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"claims": {}}, "everybody at the issuer"),
        ({"claims": {"ref": ("refs/heads/main",)}}, "everybody at the issuer"),
        ({"claims": {"repository": ("example/*",)}}, "no patterns"),
        ({"claims": {f"c{n}": ("1",) for n in range(16)} | {"sub": ("x",)}}, "at most 16"),
        ({"bindings": ()}, "no role"),
        ({"bindings": (RoleBinding(role=OWNER),)}, "cannot own the node"),
        ({"bindings": (RoleBinding(role="made-up", project="shop"),)}, "no role 'made-up'"),
        ({"audience": ""}, "audience"),
        ({"audience": "a\nb"}, "audience"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": MAX_MINUTES + 1}, "minutes"),
    ],
)
def test_what_is_not_trusted(pipelines: Pipelines, change: dict[str, Any], error: str) -> None:
    with pytest.raises(InvalidInputError, match=error):
        pipelines.add(**change)
    assert pipelines.workloads.all() == () and pipelines.issuer.requests == []


def test_issuers_that_are_not_trusted(pipelines: Pipelines) -> None:
    for issuer in (
        *("http://ci.example.org", "https://u:p@ci.example.org", "ftp://a", ""),
        # What is looked up would be a part of the query: any address that echoes is an issuer.
        *("https://ci.example.org/show?page=", "https://ci.example.org?", "https://ci#x"),
    ):
        with pytest.raises(OidcSettingsError):
            pipelines.add(issuer=issuer)


def test_nobody_trusts_with_more_than_they_have(pipelines: Pipelines) -> None:
    weak = Principal(kind=PrincipalKind.TOKEN, id="0" * 16, bindings=(DEVELOPER,))
    with pytest.raises(EscalationError):
        pipelines.add(by=weak, bindings=(RoleBinding(role="operator", project="shop"),))
    # Nor with what they had when their request began.
    with pytest.raises(EscalationError, match="just changed"):
        pipelines.add(by=weak)
    assert pipelines.workloads.all() == ()


def test_their_number_is_bounded(pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch) -> None:
    pipelines.add()
    with pytest.raises(ConflictError, match="already"):
        pipelines.add()
    monkeypatch.setattr(module, "MAX_WORKLOADS", 1)
    with pytest.raises(ConflictError, match="most"):
        pipelines.add(name="second")
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    for number in "12":
        pipelines.login(pipelines.token(jti=number))
    with pytest.raises(ConflictError, match="most"):
        pipelines.login(pipelines.token(jti="3"))
    pipelines.world.clock.now += 15 * 60
    assert pipelines.login(pipelines.token(jti="4"))
    monkeypatch.setattr(module, "MAX_USED", 1)
    with pytest.raises(ConflictError):
        pipelines.login(pipelines.token(jti="5"))


def test_guesses_are_slowed(pipelines: Pipelines) -> None:
    pipelines.add()
    for _ in range(FREE_PER_ADDRESS):
        with pytest.raises(IdTokenError):
            pipelines.login(pipelines.token(ref="x"))
    with pytest.raises(TooManyAttemptsError):
        pipelines.login(pipelines.token(ref="x"))
    assert pipelines.login(remote="10.0.0.10")


def test_who_fails_at_an_address_keeps_no_pipeline_of_it_out(pipelines: Pipelines) -> None:
    """Jobs of many projects come from one address: a runner's, a proxy's that is not known."""
    pipelines.add()
    for number in range(FREE_PER_ADDRESS + 5):
        with pytest.raises((IdTokenError, TooManyAttemptsError)):
            pipelines.login(pipelines.token(ref="x", jti=str(number)))
    used = pipelines.token()
    assert pipelines.login(used)
    for token in (used, pipelines.token(ref="x"), "x.y.z"):
        with pytest.raises(TooManyAttemptsError):
            pipelines.login(token)
    with pytest.raises(TooManyAttemptsError):
        pipelines.login(name="none")
    throttle = pipelines.workloads._attempts
    assert not throttle._doubted
    throttle._doubted["10.0.0.9"] = MAX_DOUBTED_OF_ADDRESS
    with pytest.raises(TooManyAttemptsError):
        pipelines.login(pipelines.token(jti="a"))
    throttle._doubted.clear()
    assert pipelines.login(pipelines.token(jti="a"))


def test_a_store_that_fails_trusts_nobody(pipelines: Pipelines) -> None:
    pipelines.world.store.fault = CasemateError("the disk is full")
    with pytest.raises(CasemateError):
        pipelines.add()
    assert pipelines.workloads.all() == ()
    pipelines.world.store.fault = None
    pipelines.add()
    pipelines.world.store.fault = CasemateError("the disk is full")
    with pytest.raises(CasemateError):
        pipelines.login()
    with pytest.raises(CasemateError):
        pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
    assert len(pipelines.workloads.all()) == 1
    pipelines.world.store.fault = None
    assert pipelines.login(), "what was not given was not used up"


def test_what_is_stored_holds_no_token(pipelines: Pipelines) -> None:
    pipelines.add()
    token = pipelines.token()
    issued = pipelines.login(token)
    stored = repr(pipelines.world.store.values) + repr(pipelines.world.store.by_id)
    assert token not in stored and issued.text not in stored
    signed = hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest()
    assert issued.token.name == f"shop-main-{signed[:16]}"
    assert msgspec.json.decode(pipelines.world.store.values[module.SETTINGS])


def test_what_its_sessions_made_ends_with_it(pipelines: Pipelines) -> None:
    pipelines.add()
    session = pipelines.login()
    child = _made_with(pipelines, session)
    grandchild = _made_with(pipelines, child)
    ended = pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
    assert ended == 1, "sessions are counted, not what they made"
    for each in (session, child, grandchild):
        assert pipelines.world.who(each.text) is None
    pipelines.world.start()
    assert pipelines.world.who(child.text) is None and pipelines.world.who(grandchild.text) is None


def _made_with(pipelines: Pipelines, maker: Any) -> Any:
    by = pipelines.world.who(maker.text)
    assert by is not None
    tokens = pipelines.world.accounts.tokens
    name = f"made-{len(tokens.all())}"
    made = tokens.add(name, (DEVELOPER,), by.expires_at, by=by, made_with=maker.token.id)
    return pipelines.world.run(made)


def test_a_removal_that_is_cut_short_can_be_asked_again(
    pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its changes the store does not take: no session is left of one that is gone."""
    pipelines.add()
    session = pipelines.login()
    change, failing = pipelines.world.store.change, {"RevokeTokens"}

    async def fail(operation: Any) -> Any:
        if type(operation).__name__ in failing:
            raise CasemateError("the disk is full")
        return await change(operation)

    monkeypatch.setattr(pipelines.world.store, "change", fail)
    for kind in ("RevokeTokens", "KeepNodeValue"):
        failing = {kind}
        with pytest.raises(CasemateError, match="full"):
            pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
        assert [each.name for each in pipelines.workloads.all()] == ["shop-main"]
    failing = set()
    pipelines.world.run(pipelines.workloads.remove("shop-main", by=pipelines.world.owner))
    pipelines.world.start()
    assert pipelines.world.who(session.text) is None and pipelines.workloads.all() == ()


@pytest.mark.parametrize("started_anew", [False, True])
def test_a_token_of_a_clock_that_goes_ahead_works_once(
    pipelines: Pipelines, started_anew: bool
) -> None:
    """Its age is counted from what it says: it is remembered for as long as it could be used."""
    pipelines.add()
    begun = pipelines.world.clock.now
    token = pipelines.token(iat=begun + SKEW, exp=begun + 10 * 3600)
    pipelines.login(token)
    pipelines.world.clock.now = begun + MAX_AGE + SKEW + 1
    pipelines.world.run(pipelines.world.accounts.flush())
    if started_anew:
        pipelines.world.start()
    pipelines.login(pipelines.token(jti="2"))
    with pytest.raises(LoginRefusedError, match="used before"):
        pipelines.login(token)
    pipelines.world.clock.now = begun + MAX_AGE + 2 * SKEW + 1
    with pytest.raises(IdTokenError, match="expired"):
        pipelines.login(token)


def test_a_token_that_was_used_opens_no_other_workload(pipelines: Pipelines) -> None:
    pipelines.add()
    pipelines.add(name="other", claims={"repository": ("example/shop",)})
    token = pipelines.token()
    pipelines.login(token)
    with pytest.raises(LoginRefusedError, match="used before"):
        pipelines.login(token, name="other")
    pipelines.world.start()
    with pytest.raises(LoginRefusedError, match="used before"):
        pipelines.login(token, name="other")
    assert pipelines.login(pipelines.token(jti="2"), name="other")


def test_a_session_gives_nothing_that_outlives_it(pipelines: Pipelines) -> None:
    """By roles of one's own it may manage accounts: what it has for minutes it gives nobody."""
    deployer = RoleBinding(role="deployer")
    world = pipelines.world
    people = world.accounts.people
    world.run(people.add("bob", (deployer,), by=world.owner))
    world.run(people.set_disabled("bob", True, by=world.owner))
    pipelines.add(bindings=(deployer,))
    session = pipelines.login()
    by = world.who(session.text)
    assert by is not None
    tokens = world.accounts.tokens
    made = tokens.add("made", (deployer,), by.expires_at, by=by, made_with=session.token.id)
    child = world.who(world.run(made).text)
    for each in (by, child):
        assert each is not None
        for work in (
            pipelines.workloads.add(pipelines.workload(name="mine", bindings=(deployer,)), by=each),
            people.add("eve", (deployer,), by=each),
            people.set_roles("bob", (deployer,), by=each),
            people.reset("bob", by=each),
            people.set_disabled("bob", False, by=each),
        ):
            with pytest.raises(EscalationError, match="comes from a pipeline"):
                world.run(work)
    world.run(people.set_roles("bob", (), by=by))  # what is taken lasts as well, and may
    assert [each.name for each in pipelines.workloads.all()] == ["shop-main"]
    assert [each.name for each in people.all()] == ["bob"]


def test_a_thief_whose_session_ends_while_an_issuer_is_slow_trusts_nobody(
    pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = pipelines.world
    world.person("ada", RoleBinding(role=OWNER))
    stolen = world.login("ada")
    by = world.who(stolen.text)
    assert by is not None
    genuine = module.KeySource.discovery

    async def slow(source: Any) -> Any:
        await world.accounts.tokens.revoke(stolen.token.id, by=world.owner)
        return await genuine(source)

    monkeypatch.setattr(module.KeySource, "discovery", slow)
    with pytest.raises(EscalationError, match="just changed"):
        world.run(pipelines.workloads.add(pipelines.workload(), by=by, made_with=stolen.token.id))
    assert pipelines.workloads.all() == ()


@pytest.mark.parametrize("settings", [OTHER_PROVIDER, None])
def test_a_thief_whose_session_ends_while_a_provider_is_slow_sets_none(
    pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch, settings: OidcSettings | None
) -> None:
    """Its owner's roles are as they were: it is the session that is gone."""
    world = pipelines.world
    world.person("ada", RoleBinding(role=OWNER))
    stolen = world.login("ada")
    by = world.who(stolen.text)
    assert by is not None

    async def slow(_source: Any) -> None:
        await world.accounts.tokens.revoke(stolen.token.id, by=world.owner)

    monkeypatch.setattr(module.KeySource, "discovery", slow)
    if settings is None:
        world.run(slow(None))
    before = world.accounts.provider.settings
    with pytest.raises(EscalationError, match="just changed"):
        world.run(world.accounts.provider.set_settings(settings, by=by, made_with=stolen.token.id))
    assert world.accounts.provider.settings == before


def test_who_has_no_session_any_more_changes_nobody(pipelines: Pipelines) -> None:
    """Another node may have ended it a moment ago."""
    world = pipelines.world
    world.person("ada", RoleBinding(role=OWNER))
    world.person("bob", DEVELOPER)
    pipelines.add()
    stolen = world.login("ada")
    by = world.who(stolen.text)
    assert by is not None
    world.run(world.accounts.tokens.revoke(stolen.token.id, by=world.owner))
    people, shown = world.accounts.people, {"by": by, "made_with": stolen.token.id}
    for work in (
        people.set_roles("bob", (), **shown),
        people.take_roles("bob", None, **shown),
        people.set_disabled("bob", True, **shown),
        people.remove("bob", **shown),
        world.accounts.workloads.remove("shop-main", **shown),
    ):
        with pytest.raises(EscalationError, match="just changed"):
            world.run(work)
    assert people.roles_of("bob") == (DEVELOPER,)
    assert [each.name for each in pipelines.workloads.all()] == ["shop-main"]


class Gone(dict[str, Any]):
    """Everything in it is gone by the time that it is looked up by its name."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)


def test_listing_looks_nobody_up_who_may_be_gone_by_then(pipelines: Pipelines) -> None:
    """An access review lists on another thread than the one that changes."""
    pipelines.add()
    accounts = pipelines.world.accounts
    pipelines.world.run(accounts.people.add("bob", (DEVELOPER,), by=pipelines.world.owner))
    accounts._directory.users = Gone(accounts._directory.users)
    pipelines.workloads._trusted = Gone(pipelines.workloads._trusted)
    assert [each.name for each in accounts.people.all()] == ["bob"]
    assert [each.name for each in pipelines.workloads.all()] == ["shop-main"]
