"""Figures are bounded in number, and whoever names what is not there makes none."""

from __future__ import annotations

import time

from casemate.metrics import Registry
from casemate.metrics.registry import MAX_FUNCTIONS, MAX_TRIED, OTHER
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import AliasMoved, FunctionRemoved, GrantUsed, VersionDeployed
from casemate.model.invocation import Outcome
from casemate.model.metrics import LARGEST, MAX_NAMES, Told


def denial(project: str, function: str, count: int = 1) -> Denial:
    return Denial(
        at=time.time(),
        by="user:ada",
        project=project,
        function=function,
        kind=DenialKind.EGRESS,
        action="egress:connect",
        resource="host:x:1",
        reason="r",
        count=count,
    )


def test_functions_beyond_the_bound_are_counted_together() -> None:
    registry = Registry()
    for number in range(MAX_FUNCTIONS + 100):
        registry.of("p", f"f{number}").outcomes[Outcome.OK] += 1
    assert len(registry) == MAX_FUNCTIONS
    told = registry.others.told()
    assert (told.project, told.function, told.calls) == ("", OTHER, 100)
    assert registry.of("p", "f0") is registry.of("p", "f0")


def test_a_function_that_is_not_there_has_no_figures_of_its_own() -> None:
    registry = Registry(lambda project, function: function == "real")
    for number in range(1000):
        registry.of("p", f"guess-{number}").outcomes[Outcome.NOT_FOUND] += 1
        registry.note_denial(denial("p", f"guess-{number}"))
    registry.of("p", "real").outcomes[Outcome.OK] += 1
    assert [figures.function for figures in registry] == ["real"]
    assert registry.others.outcomes[Outcome.NOT_FOUND] == 1000
    assert registry.others.denials == {"egress": 1000}


def test_a_removed_function_makes_room() -> None:
    registry = Registry()
    registry.of("p", "f")
    registry.note_removal(FunctionRemoved(at=1.0, project="p", function="f", version=3))
    assert len(registry) == 1  # only one version of it is gone
    registry.note_removal(FunctionRemoved(at=1.0, project="p", function="f"))
    assert len(registry) == 0


def test_denials_and_connections_are_counted_with_how_many_they_stand_for() -> None:
    registry = Registry()
    registry.note_denial(denial("p", "f", count=7))
    registry.note_use(
        GrantUsed(at=1.0, project="p", function="f", grant="egress x", action="connect", count=4)
    )
    registry.note_use(
        GrantUsed(at=1.0, project="p", function="f", grant="bucket b", action="read", count=9)
    )
    told = registry.of("p", "f").told()
    assert told.denials == {"egress": 7}
    assert told.connections == 4


def test_own_measurements_are_bounded_in_names_and_stay_finite() -> None:
    own = Registry().of("p", "f").own
    for number in range(MAX_NAMES + 5):
        own.add((Told(f"n{number}", "", 1, 1.0, 1.0, 1.0),))
    assert len(own.told()) == MAX_NAMES
    assert own.refused == 5
    own.add((Told("n0", "", 1, LARGEST, LARGEST, LARGEST),))
    own.add((Told("n0", "", 1, LARGEST, LARGEST, LARGEST),))
    assert own.refused == 6  # the sum would not be finite any more
    for unsound in (
        Told("n1", "", 1, float("nan"), 0.0, 0.0),
        Told("n1", "", 1, 0.0, 1.0, -1.0),
        Told("n1", "", 1, 0.0, 0.0, float("inf")),
    ):
        before = own.told()["n1"]
        own.add((unsound,))
        assert own.told()["n1"] == before


def test_own_measurements_add_up() -> None:
    own = Registry().of("p", "f").own
    assert own.told() == {}
    own.add((Told("n", "kg", 2, 5.0, 2.0, 3.0),))
    own.add((Told("n", "kg", 1, -1.0, -1.0, -1.0),))
    told = own.told()["n"]
    assert (told.count, told.sum, told.least, told.most, told.unit) == (3, 4.0, -1.0, 3.0, "kg")


def moved(function: str, *versions: int, alias: str = "live") -> AliasMoved:
    targets = tuple((version, 50.0) for version in versions)
    return AliasMoved(at=1.0, project="p", function=function, alias=alias, targets=targets)


def sharing(registry: Registry, function: str) -> list[int]:
    return [one.version for one in registry.of("p", function).told().versions]


def test_versions_are_told_apart_while_they_share() -> None:
    registry = Registry(shared=lambda _, function: (3, 4) if function == "before" else ())
    assert sharing(registry, "before") == [3, 4]  # known from what is deployed, after a restart
    registry.note_move(moved("f", 1, 2))
    assert sharing(registry, "f") == [1, 2]
    registry.note_move(moved("f", 7, 8, alias="beta"))
    assert sharing(registry, "f") == [1, 2]
    registry.note_move(moved("f", *range(1, 17)))
    assert sharing(registry, "f") == [13, 14, 15, 16]
    registry.note_move(moved("f", 2))
    assert sharing(registry, "f") == []
    registry.note_move(moved("f", 1, 2))
    registry.note_deploy(
        VersionDeployed(at=1.0, project="p", function="f", version=3, digest="a" * 64)
    )
    assert sharing(registry, "f") == []


def test_one_that_is_tried_is_told_apart_whatever_others_there_are() -> None:
    registry = Registry()
    for number in range(MAX_FUNCTIONS + 1):
        registry.of("p", f"f{number}")
    for number in range(MAX_TRIED + 10):
        registry.note_move(moved(f"tried{number}", 1, 2))
    assert sharing(registry, "tried0") == [1, 2]
    assert len(registry) == MAX_FUNCTIONS + MAX_TRIED
    assert registry.of("p", f"tried{MAX_TRIED}") is registry.others
    assert not registry.others.versions
