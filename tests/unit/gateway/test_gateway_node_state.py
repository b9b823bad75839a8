"""What the audit of the node looks at: gathered part by part, and no part hides another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.access_reviews import Reviews, holders
from casemate.detection.shipped import shipped_rules
from casemate.gateway import function_states, node_state
from casemate.gateway.function_states import FunctionStates, exceptions_of, unused_grants
from casemate.gateway.node_state import TOUCH_RULES, LookedAt, NodeLook
from casemate.kernel import clock
from casemate.model.denial import GrantUse
from casemate.model.deployment import DeployedFunction, Version
from casemate.model.errors import UnavailableError
from casemate.model.function import (
    ErrorException,
    FunctionSpec,
    GuardException,
    GuardMode,
    Isolation,
    Logs,
    Unmasked,
)
from casemate.model.grant import Grant, GrantKind
from casemate.node_audit.state import NodeState, Settings
from support.accounts import World
from support.parts import KeptValues

DAY = 86_400.0
GRANT = Grant(kind=GrantKind.BUCKET, name="in", actions=("read", "write"))


def version(number: int = 1, **spec: Any) -> Version:
    return Version(
        project="shop",
        function=f"f{number}",
        number=1,
        digest="a" * 64,
        spec=FunctionSpec(name=f"f{number}", handler="app:handler", **spec),
        created_at=5.0,
        created_by="user:ada",
    )


def use(action: str) -> GrantUse:
    return GrantUse(
        project="shop",
        function="f1",
        version=1,
        grant=GRANT.text,
        action=action,
        first_at=1.0,
        last_at=2.0,
        count=1,
    )


def test_what_was_never_used_is_told_action_by_action() -> None:
    assert list(unused_grants((GRANT,), (use("read"),))) == ["bucket in write"]
    assert list(unused_grants((GRANT,), (use("read"), use("write")))) == []


def test_what_a_manifest_goes_without_is_told_with_why() -> None:
    spec = FunctionSpec(
        name="f",
        handler="app:handler",
        isolation=Isolation.INSTANCE,
        guard=(
            GuardException(sink="sql", location="app.py:2", mode=GuardMode.BLOCK, reason="kept"),
            GuardException(sink="sql", location="app.py:3", reason="old"),
        ),
        errors=(
            ErrorException(place="/price", what="traceback", reason="known"),
            ErrorException(place="*", what="*", reason="all"),
        ),
        logs=Logs(unmasked=(Unmasked(kind="email", reason="wanted"),)),
        grants=(
            Grant(kind=GrantKind.EGRESS, name="*.x:1", actions=("connect",), exception="many"),
        ),
    )
    found = list(exceptions_of(spec))
    assert found == [
        'the guard only reports sql at app.py:3 ("old")',
        'answers of /price may show traceback ("known")',
        'answers may show what is sealed elsewhere ("all")',
        'logs show email unmasked ("wanted")',
        'egress *.x:1 is granted widely ("many")',
        "one process serves many calls (isolation = instance)",
    ]
    assert list(exceptions_of(FunctionSpec(name="f", handler="app:handler"))) == []


class Functions:
    """A control service, catalogue, store and signatures with so many functions."""

    def __init__(self, count: int, voucher: str = "user:ada") -> None:
        self.versions = [version(number, grants=(GRANT,)) for number in range(count)]
        self.voucher = voucher
        self.read_of: list[str] = []
        self.flushed = 0

    async def functions(self) -> tuple[DeployedFunction, ...]:
        return tuple(
            DeployedFunction(project="shop", name=v.function, versions=(v,), aliases=())
            for v in self.versions
        )

    def most_live(self, _project: str, function: str) -> Version:
        return next(v for v in self.versions if v.function == function)

    def closure(self, *_: Any) -> Any:
        return SimpleNamespace(public=False)

    async def read(self, operation: Any) -> Any:
        self.read_of.append(operation.function)
        return (use("read"),)

    async def of(self, _digest: str) -> Any:
        return (SimpleNamespace(principal=self.voucher),)

    async def flush(self) -> None:
        self.flushed += 1

    def look(self) -> tuple[Any, ...]:
        states = FunctionStates(self, self, self, self, self.flush)  # type: ignore[arg-type]
        settings = Settings(address="x", loopback=True, tls=False)
        found: tuple[Any, ...] = asyncio.run(states.look(NodeState(now=1.0, settings=settings)))[
            "functions"
        ]
        return found


def test_functions_are_looked_at_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_states, "MAX_FUNCTIONS", 3)
    functions = Functions(5, voucher="node")
    found = functions.look()
    assert [one.unused for one in found] == [("bucket in write",)] * 3 + [None] * 2
    assert [one.vouched for one in found] == [False] * 3 + [True] * 2
    assert len(functions.read_of) == 3 and functions.flushed == 1
    monkeypatch.setattr(function_states, "CLOSE_SECONDS", -1.0)
    assert all(one.unused is None for one in Functions(2).look())


def looked_at(world: World, folder: Path, **more: Any) -> Any:
    """Return parts of a node of which all but the accounts are gone."""

    class Gone:
        def __getattr__(self, name: str) -> Any:
            raise UnavailableError(f"{name} is gone")

    config = SimpleNamespace(
        host="0.0.0.0",
        started_at=5.0,
        tls=False,
        learn=False,
        accepted_risks=("plaintext",),
        accepted_losses=(),
        trusted_proxies=(),
        protections=(),
        pythons={"3.12": "3.12.1"},
    )
    given: dict[str, Any] = dict.fromkeys(LookedAt._fields, Gone())
    given |= {
        "config": config,
        "folder": folder,
        "address": "http://0.0.0.0:1",
        "tls": None,
        "accounts": world.accounts,
        "health": lambda: SimpleNamespace(parts=()),
        "uses": _nothing,
        "nodes": _alone,
        **more,
    }
    return LookedAt(**given)


async def _alone() -> None:
    """Nodes that share a store: there are none."""


async def _nothing() -> None:
    return None


def test_what_is_gone_is_told_by_name_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    world = World()
    state = asyncio.run(NodeLook(looked_at(world, tmp_path))())
    assert state.tokens is not None and [one.name for one in state.tokens] == ["bootstrap"]
    assert state.disk_free and state.hosts and state.versions["Casemate"]
    assert state.functions is None and state.exceptions is None and state.backup_at is None
    assert not state.settings.loopback and state.settings.accepted_risks == ("plaintext",)
    named = {note.partition(":")[0] for note in state.notes}
    assert {"functions", "advisories", "store and vault", "alerts", "decoys"} <= named
    assert "host" not in named and "accounts" not in named


def test_what_hangs_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def alerts(self) -> Any:
            await asyncio.Event().wait()

        async def findings(self, _wanted: Any) -> Any:
            await asyncio.Event().wait()

        status = None

    monkeypatch.setattr(node_state, "PART_SECONDS", 0.2)
    look = NodeLook(looked_at(World(), tmp_path, monitor=Hanging()))
    began = time.monotonic()
    state = asyncio.run(look())
    assert time.monotonic() - began < 30
    assert "alerts: TimeoutError" in state.notes and state.channels is None


def test_tokens_in_force_are_told_apart_from_those_that_are_over(tmp_path: Path) -> None:
    world = World()
    world.clock.now = time.time()
    world.start()
    bindings = world.owner.bindings

    async def work() -> None:
        tokens = world.accounts.tokens
        gone = await tokens.add("gone", bindings, None, by=world.owner)
        await tokens.revoke(gone.token.id, by=world.owner)
        await tokens.add("ended", bindings, world.clock.now + 5, by=world.owner)
        await world.accounts.people.add("eve", bindings, by=world.owner)
        eve = world.accounts.principal_of("user:eve")
        assert eve is not None
        await tokens.add("left", bindings, None, by=eve)
        await world.accounts.people.set_disabled("eve", True, by=world.owner)

    world.run(work())
    parts = looked_at(world, tmp_path)
    look = NodeLook(parts)
    settings = Settings(address="x", loopback=True, tls=False)
    state = NodeState(now=time.time() + 60, settings=settings)
    found = asyncio.run(look._accounts(state))
    assert {one.name: one.maker_gone for one in found["tokens"]} == {
        "bootstrap": False,
        "left": True,
    }
    assert found["people"] == ()


def test_reviews_are_told_with_when_they_are_due_and_by_whom_they_were(tmp_path: Path) -> None:
    world = World()
    world.clock.now = time.time()
    world.start()
    reviews = Reviews(KeptValues())  # type: ignore[arg-type]

    class NoFunctions:
        async def functions(self) -> tuple[()]:
            return ()

    async def work() -> tuple[Any, Any]:
        look = NodeLook(looked_at(world, tmp_path, control=NoFunctions(), reviews=reviews))
        state = NodeState(now=time.time(), settings=Settings(address="x", loopback=True, tls=False))
        before = (await look._reviews(state))["reviews"]
        [holder] = holders(world.accounts, (), time.time())
        await reviews.keep(holder, by="token:x", reason="mine", own=True)
        return before, (await look._reviews(state))["reviews"]

    [before], [after] = asyncio.run(work())
    assert (before.kind, before.own, before.project) == ("token", False, "")
    assert after.own and after.due > before.due


def test_the_rules_by_which_touches_are_found_are_there() -> None:
    assert set(TOUCH_RULES) <= {rule.about.name for rule in shipped_rules().rules}


def test_the_kernel_says_whether_its_clock_is_kept_right() -> None:
    assert clock.is_synchronised() in (True, False)
