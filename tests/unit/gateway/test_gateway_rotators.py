"""Functions that set secrets outside: honest, lying, hanging, failing; and what ends afterwards."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.gateway import rotators
from casemate.gateway.held_back import HeldBack
from casemate.gateway.rotators import Rotators
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.grant import Grant, GrantKind
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, Sealed
from casemate.rotations import Asked

ASKED = Asked(secret="key", version=2, former=1)


def version(function: str, *names: str, project: str = "shop") -> Any:
    grants = tuple(Grant(kind=GrantKind.SECRET, name=each, actions=("read",)) for each in names)
    return SimpleNamespace(project=project, function=function, spec=SimpleNamespace(grants=grants))


def ask(body: Any, outcome: Outcome = Outcome.OK, granted: tuple[str, ...] = ("key",)) -> Any:
    """Have a function asked; return what it was sent."""
    sent: list[RawInvocation] = []

    async def run(raw: RawInvocation) -> Sealed:
        sent.append(raw)
        if body == "hangs":
            await asyncio.Event().wait()
        return Sealed(outcome=outcome, response=HttpResponse(200, (), body), error_id="err_1")

    catalogue: Any = SimpleNamespace(
        most_live=lambda _p, f: version("setter", *granted) if f == "setter" else None
    )
    asyncio.run(asyncio.wait_for(Rotators(catalogue, run).ask("shop", "setter", ASKED), 10))
    return sent[0]


def test_it_is_called_along_the_path_and_told_of_no_value() -> None:
    raw = ask(b'{"set": true, "more": [1]}')
    assert json.loads(raw.body) == {"step": "set", "secret": "key", "version": 2, "former": 1}
    assert raw.caller is not None and raw.caller.principal.text == "trigger:shop/setter/inbox"
    assert raw.credential is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"true", b"{}", b'{"set": false}', b'{"set": 1}', b'{"set": "true"}'),
        b'{"set": null}',
        b'[{"set": true}]',
        b'{"set": true',
        b"\xff",
        b"[" * 4000,
        b'{"set": true}' + b" " * rotators.MAX_ANSWER_BYTES,
    ],
)
def test_whatever_else_it_answers_it_has_not_set_it(body: bytes) -> None:
    with pytest.raises(ConflictError, match="The one before stays in use"):
        ask(body)


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.OK])
def test_one_that_fails_has_not_set_it(outcome: Outcome) -> None:
    with pytest.raises(ConflictError, match=outcome.value):
        ask(b'{"set": true}', outcome)


def test_one_that_hangs_is_waited_for_so_long_and_no_longer(monkeypatch: Any) -> None:
    monkeypatch.setattr(rotators, "ROTATOR_SECONDS", 0.05)
    with pytest.raises(ConflictError, match="no answer"):
        ask("hangs")


def test_an_answer_that_is_a_stream_is_none() -> None:
    async def forever() -> Any:
        while True:
            yield b"x" * 65536

    with pytest.raises(ConflictError):
        ask(forever())


def test_one_that_is_not_granted_it_or_not_there_is_not_called() -> None:
    with pytest.raises(ConflictError, match="not granted the secret key"):
        ask(b'{"set": true}', granted=("other",))
    nobody: Any = SimpleNamespace(most_live=lambda *_: None)
    with pytest.raises(NotFoundError):
        Rotators(nobody, None).require("shop", "gone", "key")  # type: ignore[arg-type]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_may_hold_the_former_value_ends_and_nothing_else(at_once: bool) -> None:
    done: list[tuple[str, str, str]] = []
    versions = [
        *(version("pay", "key"), version("cart", "other"), version("send", "other", "key")),
        version("pay", "key", project="theirs"),
    ]
    restrictions, rotations = SimpleNamespace(), SimpleNamespace()
    HeldBack(
        restrictions,  # type: ignore[arg-type]
        rotations,  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
        SimpleNamespace(reached=lambda: versions),  # type: ignore[arg-type]
        SimpleNamespace(
            kill=lambda p, f: done.append(("kill", p, f)),
            renew=lambda p, f: done.append(("renew", p, f)),
        ),  # type: ignore[arg-type]
        SimpleNamespace(renew=lambda p, s: done.append(("connect", p, s))),  # type: ignore[arg-type]
    )
    rotations.changed("shop", "key", at_once)
    how = "kill" if at_once else "renew"
    assert sorted(done[:-1]) == [(how, "shop", "pay"), (how, "shop", "send")]
    assert done[-1] == ("connect", "shop", "key")
