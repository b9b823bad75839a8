"""What is a touch and what is none; what is told of it, and how much of a flood."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from casemate.accounts.credential import new_text
from casemate.decoys import Watch, made
from casemate.decoys.watching import MAX_PENDING
from casemate.model.decoy import DecoyKind
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import Actor, DecoyTouched, GrantsApproved, GrantUsed, HostAsked
from casemate.model.principal import Resource, ResourceKind
from casemate.recorder.folding import Folding

KEY = bytes(range(32))
SHOP, MAIL = made(KEY, "shop", 1), made(KEY, "mail", 1)
EVE = Actor("user:eve", "203.0.113.9")
FUNCTION: dict[str, Any] = {
    "at": 1.0,
    "by": "function:shop/report",
    "project": "shop",
    "function": "report",
    "version": 3,
}


def touches(*acts: Callable[[Watch], None], off: frozenset[DecoyKind] = frozenset()) -> list[Any]:
    """Return what is told when these things happen."""
    told: list[Any] = []

    async def run() -> None:
        watch = Watch(told.append)
        watch.replace("shop", [(1, SHOP)], off)
        watch.replace("mail", [(1, MAIL)], frozenset())
        for act in acts:
            act(watch)
        assert told == [], "nothing is told while who touched it waits for an answer"
        await asyncio.sleep(0.05)

    asyncio.run(run())
    return told


def denial(resource: str, kind: DenialKind = DenialKind.CAPABILITY) -> Denial:
    return Denial(
        **FUNCTION, kind=kind, action="secret:read", resource=resource, reason="not granted"
    )


def asked(host: str, *, allowed: bool = False) -> HostAsked:
    return HostAsked(**FUNCTION, host=host, port=443, allowed=allowed)


def presented(text: str) -> Callable[[Watch], None]:
    return lambda watch: watch.on_credential(text, "203.0.113.9", "/api/")


TOUCHES: dict[str, tuple[str, Callable[[Watch], None]]] = {
    "a function asks for the secret": (
        "shop/secret/1",
        lambda w: w.on_denial(denial(f"secret:shop/{SHOP.secret}")),
    ),
    "a function is let have the secret": (
        "shop/secret/1",
        lambda w: w.on_use(GrantUsed(**FUNCTION, grant=f"secret {SHOP.secret}", action="read")),
    ),
    "a person names the secret": (
        "shop/secret/1",
        lambda w: w.on_resource(
            Resource(kind=ResourceKind.SECRET, project="shop", name=SHOP.secret), "secret:list", EVE
        ),
    ),
    "a function asks for the table": (
        "shop/row/1",
        lambda w: w.on_denial(denial(f"table:shop/{SHOP.table}")),
    ),
    "a person names the table": (
        "shop/row/1",
        lambda w: w.on_resource(
            Resource(kind=ResourceKind.TABLE, project="shop", name=SHOP.table), "table:query", EVE
        ),
    ),
    "a function asks for the host": ("shop/host/1", lambda w: w.on_host(asked(SHOP.host))),
    "a function is let reach the host": (
        "shop/host/1",
        lambda w: w.on_host(asked(SHOP.host, allowed=True)),
    ),
    "a function asks for another project's host": (
        "mail/host/1",
        lambda w: w.on_host(asked(MAIL.host)),
    ),
    "the token": ("shop/token/1", presented(f"Bearer {SHOP.token}")),
    "the token in lower case and with spaces": (
        "shop/token/1",
        presented(f"bearer   {SHOP.token} "),
    ),
    "the token by another scheme": ("shop/token/1", presented(f"Token {SHOP.token}")),
    "the token cut off": ("shop/token/1", presented(f"Bearer {SHOP.token[:30]}")),
    "the token with another end": ("shop/token/1", presented(f"Bearer {SHOP.token[:-6]}AAAAAA")),
    "the token's id alone": ("shop/token/1", presented(f"Bearer cm_{SHOP.token_id}")),
}


@pytest.mark.parametrize(("decoy", "act"), TOUCHES.values(), ids=TOUCHES)
def test_a_touch_is_told(decoy: str, act: Callable[[Watch], None]) -> None:
    [told] = touches(act)
    assert isinstance(told, DecoyTouched)
    assert (told.decoy, told.count) == (decoy, 1)
    assert told.action and told.by


def test_who_and_from_where_is_told() -> None:
    [by_token] = touches(presented(f"Bearer {SHOP.token}"))
    assert (by_token.by, by_token.remote_address, by_token.project, by_token.action) == (
        *("anonymous:public", "203.0.113.9", "shop", "present:/api/"),
    )
    [by_function] = touches(TOUCHES["a function asks for another project's host"][1])
    assert (by_function.by, by_function.project, by_function.function, by_function.version) == (
        *("function:shop/report", "shop", "report", 3),
    )


def test_nothing_of_what_it_opens_is_told() -> None:
    for _, act in TOUCHES.values():
        [told] = touches(act)
        for text in (SHOP.token, SHOP.token_id, SHOP.secret, SHOP.table, SHOP.host, MAIL.host):
            assert text not in str(told)


NONE: dict[str, Callable[[Watch], None]] = {
    "another secret": lambda w: w.on_denial(denial("secret:shop/stripe")),
    "a name that begins alike": lambda w: w.on_denial(denial(f"secret:shop/{SHOP.secret}x")),
    "another project's secret of that name": lambda w: w.on_denial(
        denial(f"secret:mail/{SHOP.secret}")
    ),
    "a bucket of that name": lambda w: w.on_denial(denial(f"bucket:shop/{SHOP.secret}")),
    "an injection that names it": lambda w: w.on_denial(
        denial(f"secret:shop/{SHOP.secret}", DenialKind.INJECTION)
    ),
    "below the host": lambda w: w.on_host(asked(f"x.{SHOP.host}")),
    "another token": presented(f"Bearer cm_{'0' * 16}_{'A' * 49}"),
    "no token": presented("Basic dXNlcjpwYXNzd29yZA=="),
    "nothing": presented(""),
    "the token's secret without its id": presented(f"Bearer {SHOP.token[20:]}"),
    "a granted secret": lambda w: w.on_use(
        GrantUsed(**FUNCTION, grant="secret stripe", action="read")
    ),
    "another project's use of the name": lambda w: w.on_use(
        GrantUsed(**{**FUNCTION, "project": "mail"}, grant=f"secret {SHOP.secret}", action="read")
    ),
}


@pytest.mark.parametrize("act", NONE.values(), ids=NONE)
def test_what_is_no_touch(act: Callable[[Watch], None]) -> None:
    assert touches(act) == []


@pytest.mark.parametrize("kind", DecoyKind)
def test_what_is_off_is_not_watched_for(kind: DecoyKind) -> None:
    acts = [act for decoy, act in TOUCHES.values() if decoy == f"shop/{kind.value}/1"]
    assert acts
    assert touches(*acts, off=frozenset({kind})) == []


def test_the_old_ones_are_watched_for_and_a_third_generation_replaces_them() -> None:
    told: list[Any] = []
    newer, newest = made(KEY, "shop", 2), made(KEY, "shop", 3)

    async def run() -> None:
        watch = Watch(told.append)
        watch.replace("shop", [(1, SHOP), (2, newer)], frozenset())
        watch.on_host(asked(SHOP.host))
        watch.on_host(asked(newer.host))
        watch.flush()
        watch.replace("shop", [(3, newest)], frozenset())
        watch.on_host(asked(SHOP.host))
        watch.on_host(asked(newest.host))
        watch.flush()

    asyncio.run(run())
    assert [each.decoy for each in told] == ["shop/host/1", "shop/host/2", "shop/host/3"]


def test_a_flood_is_one_fact_with_its_count() -> None:
    [told] = touches(*[presented(f"Bearer {SHOP.token}")] * 5000)
    assert told.count == 5000


def test_a_flood_of_addresses_is_bounded_and_none_is_lost() -> None:
    def flood(watch: Watch) -> None:
        for number in range(3 * MAX_PENDING):
            watch.on_credential(
                f"Bearer {SHOP.token}", f"10.0.{number >> 8}.{number & 255}", "route"
            )

    told = touches(flood)
    assert len(told) == MAX_PENDING
    assert sum(each.count for each in told) == 3 * MAX_PENDING


def test_the_recorder_folds_touches_within_its_window() -> None:
    folding = Folding()
    [told] = touches(presented(f"Bearer {SHOP.token}"))
    assert [folding.passes(told) for _ in range(4)] == [True, False, False, False]
    [(fact, count)] = folding.close_window()
    assert isinstance(fact, DecoyTouched)
    assert count == 3


@pytest.mark.alone
def test_looking_takes_as_long_whether_it_is_a_touch_or_not() -> None:
    other = new_text()[1]
    taken: dict[str, float] = {}

    async def run() -> None:
        watch = Watch(lambda _: None)
        watch.replace("shop", [(1, SHOP)], frozenset())
        for token in (SHOP.token, other) * 20:
            began = time.perf_counter()
            for _ in range(500):
                watch.on_credential(f"Bearer {token}", "203.0.113.9", "/api/")
            each = (time.perf_counter() - began) / 500
            taken[token] = min(taken.get(token, each), each)
            watch.flush()  # which nobody waits for

    asyncio.run(run())
    assert abs(taken[SHOP.token] - taken[other]) < 5e-6, "of the 500 of a request"


@pytest.mark.parametrize(("kind", "name"), [("secret", SHOP.secret), ("table", SHOP.table)])
def test_a_manifest_that_is_granted_a_decoy_is_told_of_its_function(kind: str, name: str) -> None:
    """Whoever wrote it would have somebody else set the secret, and be taken for the intruder."""
    deployed = {**FUNCTION, "by": "user:ada", "remote_address": "203.0.113.9"}
    added = ("bucket photos", f"{kind} {name}")
    [touch] = touches(lambda watch: watch.on_approved(GrantsApproved(**deployed, added=added)))
    assert (touch.by, touch.function, touch.remote_address) == (
        "function:shop/report",
        "report",
        "",
    )
    other = {**deployed, "project": "mail"}
    assert touches(lambda watch: watch.on_approved(GrantsApproved(**other, added=added))) == []
