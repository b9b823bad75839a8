"""Which system calls are usual of a function: learned, locked, asked about, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_baselines_node import OF, Node, denied, ended
from test_baselines_node import version as any_version

from casemate.baselines import Baselines, Learned, starting
from casemate.baselines.learned import MAX_VALUES
from casemate.kernel.system_calls import NOTABLE
from casemate.model.baseline import Aspect
from casemate.model.denial import DenialKind
from casemate.model.deployment import Version
from casemate.model.facts import FunctionRemoved, SystemCallsMet


def version(number: int = 1, *, refuse: bool = True, looks: bool = True) -> Version:
    made = any_version(number, refuse=refuse)
    baseline = msgspec.structs.replace(made.spec.baseline, system_calls=looks)
    return msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, baseline=baseline))


def made(*names: str, by: int = 1) -> SystemCallsMet:
    return SystemCallsMet(**{"at": 1.0, **OF, "version": by}, met=names)


BEGUN = made()


def asks(by: Version) -> Callable[[Baselines], Any]:
    return lambda baselines: baselines.calls(by)


def asked(*usual: str) -> tuple[str, ...]:
    return tuple(name for name in NOTABLE if name not in usual)


class Watched(Node):
    """A gateway that is told of changes, as the client of its sandboxes is."""

    def start(self) -> None:
        super().start()
        self.changed: list[tuple[str, str]] = []
        self.baselines.on_calls_changed = lambda *key: self.changed.append(key)

    def lock(self) -> None:
        asyncio.run(self.baselines.lock("shop", "f", "user:ada"))

    def learn(self, *names: str) -> Watched:
        """Learn some, and lock."""
        self.happen(BEGUN, made(*names), by=version())
        self.lock()
        assert not self.told
        return self


@pytest.fixture
def node() -> Watched:
    return Watched()


def test_there_is_room_for_all_of_them_and_the_page_says_how_many() -> None:
    assert len(NOTABLE) <= MAX_VALUES
    page = Path(__file__).parents[3] / "docs/explanation/baselines.md"
    assert f"which of {len(NOTABLE)} notable system calls" in page.read_text()


def test_nothing_is_asked_unless_a_manifest_says_so(node: Watched) -> None:
    off = version(looks=False)
    assert node.happen(asks(off), by=off) == ((), True)
    node.learn("unlink")
    assert node.happen(asks(off), by=off) == ((), True)


def test_they_are_learned_and_then_refused(node: Watched) -> None:
    assert node.happen(asks(version()), by=version()) == (NOTABLE, False)
    node.happen(BEGUN, made("unlink", "mkdir"), by=version())
    usual = asked("unlink", "mkdir")
    assert node.happen(asks(version()), by=version()) == (usual, False), "while it learns"
    node.lock()
    assert node.happen(asks(version()), by=version()) == (usual, True)
    told = version(refuse=False)
    assert node.happen(asks(told), by=told) == (usual, False), "it is told, and let through"
    node.start()
    assert node.happen(asks(version()), by=version()) == (usual, True), "also after a restart"
    shown = {each.aspect: each.values for each in node.baselines.shown("shop", "f").usual}
    assert shown[Aspect.SYSTEM_CALL] == ("mkdir", "unlink")


def test_what_is_not_usual_is_told_and_not_learned(node: Watched) -> None:
    node.learn("unlink").happen(
        made("unlink"), made("connect"), made("connect"),
        denied(DenialKind.SYSTEM_CALL, "mkdir"), by=version(),
    )  # fmt: skip
    told = [(each.kind, each.value, each.refused) for each in node.told]
    assert told == [("system-call", "connect", False), ("system-call", "mkdir", True)]
    assert node.happen(asks(version()), by=version())[0] == asked("unlink")


@pytest.mark.parametrize("kind", [DenialKind.SYSTEM_CALL, DenialKind.INJECTION, DenialKind.EGRESS])
def test_who_is_denied_something_meanwhile_teaches_nothing(node: Watched, kind: DenialKind) -> None:
    """Whoever makes every call there is while it is learned, and tries one that is denied."""
    node.happen(BEGUN, *(made(name) for name in NOTABLE), denied(kind), by=version())
    assert node.happen(asks(version()), by=version()) == (NOTABLE, False)
    node.happen(made("unlink"), by=version())
    assert node.happen(asks(version()), by=version()) == (asked("unlink"), False)


def test_without_a_look_nothing_is_refused(node: Watched) -> None:
    """A lock from before, and a host where nobody can be asked."""
    node.happen(by=version())
    node.lock()
    assert node.happen(asks(version()), by=version()) == (NOTABLE, False)
    node.happen(BEGUN, by=version())
    assert node.happen(asks(version()), by=version()) == (NOTABLE, False), "not after the lock"


def test_a_function_that_makes_none_is_refused_all(node: Watched) -> None:
    node.learn()
    assert node.happen(asks(version()), by=version()) == (NOTABLE, True)


def test_it_is_learned_for_a_whole_time_though_it_begins_late(node: Watched) -> None:
    for _ in range(9):
        node.happen()
    node.happen(BEGUN, by=version())
    assert node.baselines.shown("shop", "f").calls == 1
    for _ in range(9):
        node.happen(BEGUN, by=version())
    assert node.baselines.shown("shop", "f").state.value == "locked"


def test_newer_code_may_make_others_until_it_is_locked_again(node: Watched) -> None:
    node.learn("unlink")
    newer = version(2)
    assert node.happen(asks(newer)) == (asked("unlink"), False)
    # Its import comes before its first call.
    node.happen(made(by=2), made("mkdir", by=2))
    assert not node.told
    node.happen(made("connect", by=1), by=newer)
    assert [each.value for each in node.told] == ["connect"], "the older one may not"
    usual = asked("unlink", "mkdir")
    assert node.happen(asks(version()), by=newer) == (usual, True)
    assert node.happen(asks(newer), by=newer) == (usual, False)
    node.lock()
    assert node.happen(asks(newer), by=newer) == (usual, True)


def test_processes_are_replaced_when_they_are_to_ask_about_others(node: Watched) -> None:
    node.happen(BEGUN, by=version())
    assert not node.changed
    node.happen(made("unlink"), by=version())
    assert node.changed == [("shop", "f")]
    node.happen(made("unlink"), by=version())
    assert len(node.changed) == 1, "what is known changes nothing"
    node.lock()
    asyncio.run(node.baselines.reset("shop", "f"))
    assert len(node.changed) == 3
    assert node.happen(asks(version()), by=version()) == (NOTABLE, False)


def test_what_is_learned_anew_is_refused_again(node: Watched) -> None:
    node.learn("unlink")
    asyncio.run(node.baselines.reset("shop", "f"))
    node.happen(made("mkdir"), by=version())
    node.lock()
    assert node.happen(asks(version()), by=version()) == (asked("mkdir"), True)


def test_a_flood_of_names_is_bounded(node: Watched) -> None:
    """A gateway that was taken over may tell what it likes: as much as there is room for."""
    node.happen(BEGUN, made(*(f"call{number}" for number in range(10_000))), by=version())
    shown = node.baselines.shown("shop", "f")
    [usual] = [each for each in shown.usual if each.aspect is Aspect.SYSTEM_CALL]
    assert len(usual.values) == MAX_VALUES and usual.left_out
    assert starting.calls(Learned(since=0.0), version()) == (NOTABLE, False)
    assert node.happen(asks(version()), by=version())[0] == NOTABLE, "and asks as before"


def test_a_removed_function_leaves_nothing(node: Watched) -> None:
    node.learn("unlink")
    gone = FunctionRemoved(at=1.0, by="user:ada", project="shop", function="f", version=0)
    node.happen(lambda _: node.facts.happened(gone))
    node.happen(ended())
    assert node.happen(asks(version()), by=version()) == (NOTABLE, False)
