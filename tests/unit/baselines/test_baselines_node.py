"""Baselines as a node has them: fed by facts, kept, locked, asked before what can be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from casemate.baselines import Baselines
from casemate.baselines.learned import MAX_VALUES
from casemate.facts import FactStream
from casemate.guard.shapes import id_of
from casemate.model.baseline import Aspect, BaselineState, OnDeviation
from casemate.model.denial import DenialKind, denied_to
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.facts import (
    BaselineDeviation,
    DecoyTouched,
    FunctionPlace,
    FunctionRemoved,
    GrantUsed,
    HostAsked,
    InvocationMeasured,
    ShapesMet,
)
from casemate.model.function import BaselineSettings, FunctionSpec
from casemate.model.grant import Grant, GrantKind
from support.accounts import Clock, MemoryStore

TABLE = Grant(kind=GrantKind.TABLE, name="orders", actions=("get", "put"))
WILD = Grant(
    kind=GrantKind.EGRESS, name="*.cdn.com:443", actions=("connect",), exception="a wildcard"
)
EXACT = Grant(kind=GrantKind.EGRESS, name="api.example.com:443", actions=("connect",))
OF: dict[str, Any] = {"project": "shop", "function": "f", "version": 1}


def version(number: int = 1, *, refuse: bool = True, grants: tuple[Grant, ...] = ()) -> Version:
    on = OnDeviation.REFUSE if refuse else OnDeviation.REPORT
    spec = FunctionSpec(
        name="f",
        handler="app:handler",
        grants=grants or (TABLE, EXACT, WILD),
        baseline=BaselineSettings(on_deviation=on, calls=10, learn=3600.0),
    )
    return Version(
        project="shop",
        function="f",
        number=number,
        digest="0" * 64,
        spec=spec,
        created_at=0.0,
        created_by="user:ada",
    )


class Node:
    """A gateway's baselines on a store in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.told: list[BaselineDeviation] = []
        self.start()

    def start(self) -> None:
        self.facts = FactStream()
        self.facts.listen(BaselineDeviation, self.told.append)
        self.baselines = Baselines(self.store, self.facts, clock=self.clock)
        asyncio.run(self.baselines.load([("shop", "f")]))

    def happen(self, *acts: Any, by: Version | None = None) -> Any:
        """Have a call of `user:ada` do things, which end well, and be looked at."""

        async def run() -> Any:
            answer = self.baselines.admits(by or version(), "user:ada", "inv_1")
            for act in acts:
                if callable(act):
                    answer = act(self.baselines)
                else:
                    self.facts.happened(act)
            self.facts.happened(ended())
            await self.baselines.close()
            return answer

        return asyncio.run(run())

    def learned(self) -> Node:
        """Have it learned what is usual, and locked."""
        self.happen(used("get"), host("a.cdn.com"), host("api.example.com"))
        asyncio.run(self.baselines.lock("shop", "f", "user:ada"))
        assert not self.told
        return self


def ended(**changed: Any) -> InvocationMeasured:
    sizes = {"run_ms": 4.0, "request_bytes": 100, "response_bytes": 300}
    return InvocationMeasured(
        **{"at": 1.0, **OF, "outcome": "ok", "trigger": "invoke", **sizes, **changed}
    )


def used(action: str, grant: str = "table orders") -> GrantUsed:
    return GrantUsed(at=1.0, **OF, grant=grant, action=action)


def host(name: str, *, allowed: bool = True) -> HostAsked:
    return HostAsked(at=1.0, **OF, host=name, port=443, allowed=allowed)


def denied(kind: DenialKind, action: str = "x") -> Any:
    place = FunctionPlace("shop", "f", 1, "inv_1")
    return denied_to(place, at=1.0, kind=kind, action=action, resource="r", reason="not granted")


def calls(caller: str, by: Version) -> Callable[[Baselines], bool]:
    return lambda baselines: baselines.admits(by, caller, "inv_2")


def uses(action: str, by: Version) -> Callable[[Baselines], bool]:
    return lambda baselines: baselines.allows(by, "table orders", action, "inv_2")


@pytest.fixture
def node() -> Node:
    return Node()


def test_learning_refuses_and_tells_nothing(node: Node) -> None:
    for act in (calls("user:eve", version()), uses("put", version())):
        assert node.happen(act)
    node.happen(host("any.cdn.com"), used("put"), ended(run_ms=1e6))
    assert not node.told
    assert node.baselines.shown("shop", "f").state is BaselineState.LEARNING


DEVIATIONS: dict[str, tuple[Any, Aspect, str]] = {
    "a host": (host("b.cdn.com"), Aspect.HOST, "b.cdn.com:443"),
    "a host that is denied": (host("evil.com", allowed=False), Aspect.HOST, "evil.com:443"),
    "an action of a grant": (used("put"), Aspect.GRANT, "table orders put"),
    "a grant": (used("read", "secret stripe"), Aspect.GRANT, "secret stripe read"),
    "a trigger": (ended(trigger="schedule"), Aspect.TRIGGER, "schedule"),
    "a long run": (ended(run_ms=9000.0), Aspect.DURATION, "2^14"),
    "a large event": (ended(request_bytes=1 << 20), Aspect.REQUEST, "2^21"),
    "a large answer": (ended(response_bytes=1 << 20), Aspect.RESPONSE, "2^21"),
    "a small answer": (ended(response_bytes=1), Aspect.RESPONSE, "2^1"),
    "a system call": (denied(DenialKind.SYSTEM_CALL, "ptrace"), Aspect.SYSTEM_CALL, "ptrace"),
    "a sink": (denied(DenialKind.INJECTION, "guard:sql"), Aspect.SINK, "guard:sql"),
}


@pytest.mark.parametrize(("act", "aspect", "value"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_a_deviation_is_told_once(node: Node, act: Any, aspect: Aspect, value: str) -> None:
    node.learned().happen(act, act, act)
    [told] = node.told
    assert (told.kind, told.value, told.project, told.function) == (aspect, value, "shop", "f")


TWINS: dict[str, Any] = {
    "the same": used("get"),
    "a host": host("a.cdn.com"),
    "a little more": ended(run_ms=9.0, request_bytes=200, response_bytes=900),
    "a call that failed": ended(outcome="timeout", run_ms=1e5, response_bytes=0),
    "another function's": GrantUsed(at=1.0, project="shop", function="g", grant="x", action="y"),
    "a denied capability, which has a fact of its own": denied(DenialKind.CAPABILITY),
}


@pytest.mark.parametrize("act", TWINS.values(), ids=TWINS)
def test_what_is_usual_is_not_told(node: Node, act: Any) -> None:
    node.learned().happen(act)
    assert node.told == []


@pytest.mark.parametrize("refuse", [True, False], ids=["refuse", "report"])
def test_a_caller_is_refused_if_the_manifest_says_so(node: Node, refuse: bool) -> None:
    node.learned()
    by = version(refuse=refuse)
    assert node.happen(calls("user:ada", by), by=by)
    assert node.told == []
    assert node.happen(calls("user:eve", by), by=by) is not refuse
    [told] = node.told
    assert (told.kind, told.value, told.refused) == ("caller", "user:eve", refuse)


@pytest.mark.parametrize("refuse", [True, False], ids=["refuse", "report"])
def test_a_grant_is_refused_before_it_is_used(node: Node, refuse: bool) -> None:
    node.learned()
    by = version(refuse=refuse)
    assert node.happen(uses("get", by), by=by)
    assert node.happen(uses("put", by), by=by) is not refuse
    assert [told.refused for told in node.told] == [True] * refuse


def test_hosts_are_refused_by_what_the_proxy_is_told(node: Node) -> None:
    grants = (EXACT, WILD, Grant(kind=GrantKind.EGRESS, name="x.com:443", actions=("connect",)))
    assert node.baselines.narrowed(version(), grants) == grants, "while it learns"
    node.learned()
    assert node.baselines.narrowed(version(refuse=False), grants) == grants
    assert [each.name for each in node.baselines.narrowed(version(), grants)] == [
        "api.example.com:443",
        "a.cdn.com:443",
    ]


def test_what_a_new_version_was_approved_for_is_learned_and_the_rest_is_not(node: Node) -> None:
    node.learned()
    secret = Grant(kind=GrantKind.SECRET, name="stripe", actions=("read",))
    new = version(2, grants=(TABLE, EXACT, WILD, secret))
    node.happen(used("read", "secret stripe"), by=new)
    assert node.told == []
    assert node.baselines.shown("shop", "f").differences == ("+ secret stripe read",)
    node.happen(used("put"), by=new)
    assert [told.value for told in node.told] == ["table orders put"], "it starts from its parent's"


def test_an_older_version_takes_nothing_back(node: Node) -> None:
    node.happen(by=version(5))
    node.happen(by=version(2, grants=(TABLE,)))
    shown = node.baselines.shown("shop", "f")
    assert (shown.version, shown.differences) == (5, ())


POISONS: dict[str, Any] = {
    **{kind.value: denied(kind) for kind in (
        DenialKind.SYSTEM_CALL, DenialKind.CAPABILITY, DenialKind.EGRESS, DenialKind.INJECTION,
    )},
    "decoy": DecoyTouched(at=1.0, **OF, kind="host", decoy="shop/host/1", action="x"),
}  # fmt: skip


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_who_is_at_work_while_it_learns_does_not_become_usual(node: Node, poison: Any) -> None:
    node.happen(host("evil.cdn.com"), poison, used("put"))
    shown = node.baselines.shown("shop", "f")
    assert shown.withheld == 1 and shown.calls == 0
    assert not any(usual.values for usual in shown.usual)
    asyncio.run(node.baselines.lock("shop", "f", "user:ada"))
    node.happen(host("evil.cdn.com"))
    assert "evil.cdn.com:443" in {told.value for told in node.told}


def test_a_denial_of_a_caller_poisons_nothing(node: Node) -> None:
    node.happen(denied(DenialKind.AUTHENTICATION), denied(DenialKind.LOAD))
    assert node.baselines.shown("shop", "f").calls == 1, "strangers cannot keep it from learning"


def test_it_locks_after_so_many_calls(node: Node) -> None:
    node.happen(*[ended()] * 8)
    assert node.baselines.shown("shop", "f").state is BaselineState.LEARNING
    node.happen()
    shown = node.baselines.shown("shop", "f")
    assert (shown.state, shown.locked_by) == (BaselineState.LOCKED, "node")


def test_it_locks_after_some_time_if_anything_was_learned(node: Node) -> None:
    node.happen(denied(DenialKind.CAPABILITY))
    node.clock.now += 7200.0
    node.happen(denied(DenialKind.CAPABILITY))
    assert node.baselines.shown("shop", "f").state is BaselineState.LEARNING
    node.happen()
    assert node.baselines.shown("shop", "f").state is BaselineState.LOCKED


def test_it_locks_in_time_though_it_began_by_a_clock_that_was_ahead(node: Node) -> None:
    now, node.clock.now = node.clock.now, node.clock.now + 10 * 365 * 86_400.0
    node.happen()
    node.clock.now = now
    node.happen()
    node.clock.now += 7200.0
    node.happen()
    assert node.baselines.shown("shop", "f").state is BaselineState.LOCKED


def test_it_outlives_a_restart(node: Node) -> None:
    before = node.learned().baselines.shown("shop", "f")
    node.start()
    assert node.baselines.shown("shop", "f") == before
    node.happen(host("b.cdn.com"))
    assert [told.value for told in node.told] == ["b.cdn.com:443"]


def test_one_that_is_damaged_begins_anew(node: Node) -> None:
    node.learned()
    [name] = [name for name in node.store.values if name.startswith("baseline")]
    node.store.values[name] = b'{"since": "x"}'
    node.start()
    with pytest.raises(NotFoundError):
        node.baselines.shown("shop", "f")
    assert node.happen(calls("user:eve", version()))


def test_a_reset_learns_anew_and_is_kept(node: Node) -> None:
    node.learned()
    asyncio.run(node.baselines.reset("shop", "f"))
    node.start()
    shown = node.baselines.shown("shop", "f")
    assert (shown.state, shown.calls, shown.version) == (BaselineState.LEARNING, 0, 1)
    assert node.happen(calls("user:eve", version())) and not node.told


def test_another_function_of_a_removed_ones_name_has_nothing_of_it(node: Node) -> None:
    node.learned()
    node.happen(FunctionRemoved(at=1.0, project="shop", function="f", version=3))
    assert node.baselines.shown("shop", "f").calls, "one version of it is gone"
    asyncio.run(_removed(node))
    node.start()
    with pytest.raises(NotFoundError):
        node.baselines.shown("shop", "f")


async def _removed(node: Node) -> None:
    node.facts.happened(FunctionRemoved(at=1.0, project="shop", function="f"))
    await node.baselines.close()


def test_what_cannot_be_kept_waits_and_is_kept_later(node: Node) -> None:
    node.store.fault = CasemateError("the disk is full")
    node.happen(used("get"))
    with pytest.raises(CasemateError):
        asyncio.run(node.baselines.lock("shop", "f", "user:ada"))
    node.store.fault = None
    asyncio.run(node.baselines.look())
    node.start()
    assert node.baselines.shown("shop", "f").calls == 1


def test_nothing_is_known_of_what_was_never_called(node: Node) -> None:
    for ask in (
        lambda: asyncio.run(node.baselines.lock("shop", "ghost", "user:ada")),
        lambda: asyncio.run(node.baselines.reset("shop", "ghost")),
        lambda: node.baselines.shown("shop", "ghost"),
    ):
        with pytest.raises(NotFoundError):
            ask()


def met(*shapes: str, refused: tuple[str, ...] = ()) -> ShapesMet:
    return ShapesMet(at=1.0, **OF, met=shapes, refused=refused)


USUAL, OTHER = "sql select a from t where id = ?", "sql drop table t"


def shapes(by: Version) -> Callable[[Baselines], Any]:
    return lambda baselines: baselines.shapes(by)


def test_shapes_are_learned_and_then_refused_by_the_zygote() -> None:
    node = Node()
    assert node.happen(met(USUAL), shapes(version())) == ((), False)
    assert node.happen(shapes(version())) == ((id_of(USUAL),), False), "while it learns"
    node.learned()
    for by, strict in ((version(), True), (version(refuse=False), False)):
        assert node.happen(shapes(by), by=by) == ((id_of(USUAL),), strict)
    node.start()
    assert node.happen(shapes(version())) == ((id_of(USUAL),), True), "also after a restart"


def test_a_shape_that_is_not_usual_is_told_and_not_learned() -> None:
    node = Node()
    node.happen(met(USUAL))
    node.learned()
    node.happen(met(USUAL, OTHER), met(refused=(OTHER, "sql other")))
    told = [(each.kind, each.value, each.refused) for each in node.told]
    let_through, refused = ("shape", OTHER, False), ("shape", OTHER, True)
    assert told == [let_through, refused, ("shape", "sql other", True)], "once an hour each"
    assert node.happen(shapes(version()))[0] == (id_of(USUAL),)


def test_who_is_denied_something_teaches_no_shape() -> None:
    node = Node()
    node.happen(met(OTHER), denied(DenialKind.INJECTION))
    assert node.happen(shapes(version())) == ((), False)


def test_newer_code_may_put_other_things_together_until_it_is_locked_again() -> None:
    node = Node()
    node.happen(met(USUAL))
    node.learned()
    newer = version(2)
    assert node.happen(met(OTHER), shapes(newer), by=newer)[1] is False
    assert not node.told
    asyncio.run(node.baselines.lock("shop", "f", "user:ada"))
    assert node.happen(shapes(newer), by=newer) == (tuple(sorted(map(id_of, (USUAL, OTHER)))), True)


def test_where_there_is_no_room_for_all_shapes_none_is_refused() -> None:
    node = Node()
    for start in range(0, 200, 20):
        node.happen(met(*(f"sql {number}" for number in range(start, start + 20))))
    asyncio.run(node.baselines.lock("shop", "f", "user:ada"))
    known, strict = node.happen(shapes(version()))
    assert len(known) == MAX_VALUES and not strict


def days(node: Node, *gaps: float) -> list[str]:
    """Call once after each of so many days; return what was told of pauses."""
    for gap in gaps:
        node.clock.now += gap * 86_400.0
        node.happen()
        node.start()
    return [each.value for each in node.told if each.kind == Aspect.DORMANT]


def test_a_function_that_wakes_after_a_month_is_told_once(node: Node) -> None:
    assert days(node, 1, 0.1, 28.9, 3) == []
    node.happen(calls("user:ada", version()), calls("user:ada", version()))
    assert days(node, 31) == ["31 days"]
    node.happen(calls("user:ada", version()))
    assert days(node, 0.1, 1, 200) == ["31 days", "200 days"]


def test_a_clock_that_jumps_tells_of_a_pause_once_at_most(node: Node) -> None:
    assert days(node, 1, 365, -365, 365, -400) == ["365 days", "365 days"]
    assert days(node, 0.1, 1, 2) == ["365 days", "365 days"]


def test_learning_anew_does_not_hide_a_pause(node: Node) -> None:
    assert days(node, 1) == []
    asyncio.run(node.baselines.reset("shop", "f"))
    assert days(node, 40) == ["40 days"]


def test_a_day_s_calls_are_kept_once(node: Node) -> None:
    node.learned()
    days(node, 1)
    written: list[Any] = []
    change = node.store.change
    node.store.change = lambda what: written.append(what) or change(what)  # type: ignore[method-assign,func-returns-value]
    node.happen(*[calls("user:ada", version())] * 100)
    assert len(written) <= 1
