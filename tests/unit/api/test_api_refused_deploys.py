"""What clients say that they refused to deploy fills no journal, and is lost in none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from casemate.api import refused_deploys
from casemate.api.refused_deploys import EXAMPLES, MAX_FOLDED, MAX_PRINCIPALS, RefusedDeploys
from casemate.model.denial import Denial, DenialKind, denied_on
from casemate.model.facts import Actor
from casemate.model.principal import Resource, ResourceKind
from casemate.recorder.denials import OTHERS


def refused(name: str, project: str = "shop", kind: DenialKind = DenialKind.LICENCE) -> Denial:
    return denied_on(
        Resource(kind=ResourceKind.FUNCTION, project=project, name=name),
        at=1.0,
        kind=kind,
        by=Actor("token:dee", "127.0.0.1"),
        action="function:deploy",
        reason="the client sent nothing",
    )


def play(scene: Callable[[Callable[..., None], list[Any], RefusedDeploys], Any]) -> None:
    async def run() -> None:
        told: list[Any] = []
        notes = RefusedDeploys()

        def note(denial: Denial, who: str = "user:dee") -> None:
            notes.note(denial, who, told.append)

        done = scene(note, told, notes)
        if asyncio.iscoroutine(done):
            await done
        notes.flush()

    asyncio.run(run())


def test_the_first_are_told_by_their_names_and_the_others_as_one() -> None:
    """Before: one request told of a hundred, and somebody of 14,000 in half a minute."""

    def scene(note: Any, told: list[Any], notes: RefusedDeploys) -> None:
        for number in range(5000):
            note(refused(f"f{number}"))
        assert [one.function for one in told] == [f"f{number}" for number in range(EXAMPLES)]
        notes.flush()
        (rest,) = told[EXAMPLES:]
        assert (rest.count, rest.resource, rest.project) == (5000 - EXAMPLES, OTHERS, "shop")
        assert (rest.by, rest.kind, rest.function) == ("token:dee", DenialKind.LICENCE, "")
        notes.flush()
        assert len(told) == EXAMPLES + 1

    play(scene)


def test_projects_and_kinds_are_told_apart_as_far_as_they_are_few() -> None:
    def scene(note: Any, told: list[Any], notes: RefusedDeploys) -> None:
        for _ in range(EXAMPLES):
            note(refused("f"))
        for number in range(3 * MAX_FOLDED):
            note(refused("f", project=f"p{number}"))
        note(refused("f", kind=DenialKind.GRANTS))
        notes.flush()
        rest = told[EXAMPLES:]
        assert {one.project for one in rest} == {f"p{n}" for n in range(MAX_FOLDED)} | {""}
        assert sum(one.count for one in rest) == 3 * MAX_FOLDED + 1
        assert {one.kind for one in rest if not one.project} == {
            DenialKind.LICENCE,
            DenialKind.GRANTS,
        }

    play(scene)


def test_each_principal_has_a_bound_of_its_own_and_all_of_them_one() -> None:
    def scene(note: Any, told: list[Any], notes: RefusedDeploys) -> None:
        for number in range(MAX_PRINCIPALS):
            note(refused("f"), f"user:{number}")
        assert len(told) == MAX_PRINCIPALS
        for number in range(1000):
            note(refused("f"), f"user:beyond-{number}")
        assert len(told) == MAX_PRINCIPALS + EXAMPLES
        notes.flush()
        assert told[-1].count == 1000 - EXAMPLES and len(told) == MAX_PRINCIPALS + EXAMPLES + 1

    play(scene)


def test_what_was_counted_is_told_when_the_period_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_deploys, "PERIOD", 0.01)

    async def scene(note: Any, told: list[Any], notes: RefusedDeploys) -> None:
        for round_ in (1, 2):
            for _ in range(EXAMPLES + 5):
                note(refused("f"))
            while len(told) < round_ * (EXAMPLES + 1):
                await asyncio.sleep(0.005)
            assert told[-1].count == 5

    play(scene)
