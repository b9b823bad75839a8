"""The rule about licences: it refuses a deploy, by expression, and stops nothing that lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vulnerabilities_world import ADA, World, excepted, manifest, play

from casemate.model.advisory_facts import LicencesFound
from casemate.model.denial import Denial, DenialKind
from casemate.model.errors import InvalidInputError
from casemate.model.licence import LicenceRules, PackageLicence, UnknownLicences
from casemate.model.vulnerability import Verdict
from casemate.store.errors import StoreError
from casemate.vulnerabilities import (
    Advisories,
    LicenceError,
    VulnerableError,
    licence_watch,
    packages_of,
    stated,
)
from casemate.vulnerabilities.licences import Licences
from support.advisories import import_records, record

Play = Callable[[Any], None]
MIT = LicenceRules(allowed=("MIT",))
ALLOWED = UnknownLicences.ALLOWED


def states(package: str, expression: str, text: str = "") -> PackageLicence:
    return PackageLicence(package=package, version="1.0", expression=expression, stated=text)


GPL = states("left", "GPL-3.0-only")
BSD = states("left", "", "BSD")


@pytest.fixture
def on(tmp_path: Path) -> Play:
    async def ready(world: World, scene: Any) -> None:
        import_records(world.place, record(name="other"))
        await scene(world)

    return lambda scene: play(tmp_path, lambda world: ready(world, scene))


async def refusal(world: World, *licences: PackageLicence, name: str = "f") -> str:
    """Return why a deploy is refused; empty if it is not."""
    made = manifest(*(f"{one.package}=={one.version}" for one in licences), name=name)
    found = msgspec.structs.replace(packages_of(made), licences=licences)
    try:
        await world.gate.require("t", name, found, ADA)
    except LicenceError as error:
        return f"{error}"
    return ""


def test_without_a_rule_nothing_is_refused(on: Play) -> None:
    async def scene(world: World) -> None:
        assert not await refusal(world, GPL, BSD)
        assert not world.told

    on(scene)


def test_a_refusal_names_package_version_expression_and_the_ways_on(on: Play) -> None:
    async def scene(world: World) -> None:
        await world.gate.licences.set_rules(LicenceRules(allowed=("mit", "isc")))
        why = await refusal(world, states("right", "MIT OR GPL-3.0-only"), GPL)
        assert "left 1.0 (GPL-3.0-only is not among those allowed: ISC, MIT)" in why
        assert "right" not in why
        assert "casemate advisories licences" in why
        assert "except t/f --advisory licence:GPL-3.0-only --package left --for 30d" in why
        (denial,) = world.of(Denial)
        assert (denial.kind, denial.by) == (DenialKind.LICENCE, ADA.principal)
        both = states("left", "GPL-3.0-only AND MIT")
        assert "--advisory 'licence:GPL-3.0-only AND MIT'" in await refusal(world, both)

    on(scene)


def test_unknown_licences_are_refused_unless_the_rule_lets_them_through(on: Play) -> None:
    async def scene(world: World) -> None:
        await world.gate.licences.set_rules(MIT)
        why = await refusal(world, BSD)
        assert "its licence is not known; it states: BSD" in why
        assert "--advisory licence:unknown --package left" in why
        await world.gate.licences.set_rules(LicenceRules(allowed=("MIT",), unknown=ALLOWED))
        assert not await refusal(world, BSD)
        # One of several classifiers that is known counts all the same.
        assert "GPL-3.0-only" in await refusal(world, BSD, GPL)
        await world.gate.licences.set_rules(LicenceRules(allowed=()))
        assert "not among those allowed: none" in await refusal(world, states("left", "MIT"))

    on(scene)


def test_packages_of_which_nothing_was_told_are_unknown(on: Play) -> None:
    async def scene(world: World) -> None:
        await world.gate.licences.set_rules(MIT)
        with pytest.raises(LicenceError, match="it states: not told"):
            await world.gate.require("t", "f", packages_of(manifest("left==1.0")), ADA)

    on(scene)


def test_what_is_said_from_outside_is_read_again() -> None:
    (odd, long, fine) = stated(
        (
            states("Left", "MIT OR ("),
            states("left", "M" * 9_000, "x" * 9_000),
            states("left", "mit"),
        )
    )
    assert (odd.package, odd.expression) == ("left", "")
    assert (long.expression, len(long.stated)) == ("", 80)
    assert fine.expression == "MIT"


def test_an_exception_is_of_one_licence_of_one_package_of_one_function(on: Play) -> None:
    async def scene(world: World) -> None:
        await world.gate.licences.set_rules(MIT)
        made = await world.gate.exceptions.add(
            excepted("licence:gpl-3.0-ONLY", "Left", version="1.0", seconds=60), ADA
        )
        assert not await refusal(world, GPL)
        assert await refusal(world, GPL, name="g")
        assert await refusal(world, states("right", "GPL-3.0-only"))
        assert await refusal(world, states("left", "GPL-3.0-only AND ISC"))
        assert await refusal(world, msgspec.structs.replace(GPL, version="1.1"))
        assert await refusal(world, BSD)
        found = msgspec.structs.replace(packages_of(manifest("left==1.0")), licences=(GPL,))
        (finding,) = (await world.gate.judged("t", "f", found)).licences
        assert (finding.verdict, finding.exception) == (Verdict.EXCEPTED, made.id)
        world.ahead = 61
        assert "its exception expired" in await refusal(world, GPL)

    on(scene)


def test_neither_kind_of_exception_stands_for_the_other(on: Play) -> None:
    async def scene(world: World) -> None:
        await world.gate.licences.set_rules(MIT)
        await world.gate.exceptions.add(excepted("", ""), ADA)
        assert await refusal(world, GPL)
        await world.gate.exceptions.add(excepted("licence:GPL-3.0-only"), ADA)
        assert not await refusal(world, GPL)
        world.place.database.unlink()
        with pytest.raises(VulnerableError):
            await refusal(world, GPL, name="g")

    on(scene)


@pytest.mark.parametrize(
    "wrong", ["", "MIT OR ISC", "(MIT)", "MIT AND", "Nonsense", "GPL-3.0-only+", "\u202eMIT"]
)
def test_what_is_no_licence_is_refused_and_the_rule_stays(on: Play, wrong: str) -> None:
    async def scene(world: World) -> None:
        await world.gate.licences.set_rules(MIT)
        with pytest.raises(InvalidInputError, match="not one licence"):
            await world.gate.licences.set_rules(LicenceRules(allowed=("ISC", wrong)))
        assert world.gate.licences.rules == MIT

    on(scene)


def test_the_rule_outlives_the_node_and_other_nodes_read_it(on: Play) -> None:
    async def scene(world: World) -> None:
        other = Licences(world.store)
        before = world.gate.stamp()
        await world.gate.licences.set_rules(LicenceRules(allowed=("mit", "MIT"), unknown=ALLOWED))
        assert world.gate.stamp() != before
        await other.load()
        assert other.rules == LicenceRules(allowed=("MIT",), unknown=ALLOWED)
        world.store.values["licence rules"] = b'{"allowed":["MIT OR ISC"]}'
        with pytest.raises(StoreError):
            await other.load()
        assert other.rules.allowed == ("MIT",)

    on(scene)


def test_a_stricter_rule_stops_nothing_and_is_told_of_each_function_that_lives(
    on: Play,
) -> None:
    async def scene(world: World) -> None:
        world.licences = (GPL,)
        world.deploy("left==1.0")
        node = Advisories(world.gate, world.watch, world.told.append)
        await world.watch.look()
        assert world.watch.licences(None) == ()
        await node.set_licence_rules(MIT)
        await world.watch.look()
        (one,) = world.watch.licences(None)
        assert (one.project, one.function, one.licence.id) == ("t", "f", "licence:GPL-3.0-only")
        assert world.watch.licences("other") == ()
        assert not world.quarantined
        (fact,) = world.told
        assert isinstance(fact, LicencesFound)
        assert (fact.project, fact.function, fact.version, fact.count) == ("t", "f", 1, 1)
        assert fact.found == ("left 1.0: licence:GPL-3.0-only",) and fact.verdict == "refused"
        assert "GPL-3.0-only is not among those allowed: MIT" in fact.reason
        await world.watch.look()
        assert len(world.told) == 1
        # What is remembered of the bundle is enough for the next node, and for another rule.
        opened = len(world.opened)
        again = World(world.place.folder.parent, world.store)
        await again.gate.load()
        again.lives = world.lives
        await again.watch.load()
        await again.watch.look()
        assert len(again.watch.licences("t")) == 1 and not again.opened and not again.told
        await node.set_licence_rules(LicenceRules())
        await world.watch.look()
        assert world.watch.licences(None) == () and len(world.opened) == opened
        await node.set_licence_rules(MIT)  # what was gone is news again
        await world.watch.look()
        assert len(world.of(LicencesFound)) == 2
        made = await world.gate.exceptions.add(excepted("licence:GPL-3.0-only"), ADA)
        await world.watch.look()
        assert world.of(LicencesFound)[2].verdict == "excepted"
        await world.gate.exceptions.end("t", "f", made.id)
        await world.watch.look()
        assert world.of(LicencesFound)[3].verdict == "refused"

    on(scene)


def test_many_licences_are_told_in_few_facts(on: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        world.licences = tuple(states(f"p{number}", "GPL-3.0-only") for number in range(400))
        for name in ("f", "g", "h"):
            world.deploy("left==1.0", name=name)
        await world.gate.licences.set_rules(MIT)
        await world.watch.look()
        await world.watch.look()
        one, rest = world.of(LicencesFound)
        assert len(one.found) == licence_watch.MAX_NAMED
        assert one.count == licence_watch.MAX_KEPT and rest.count == 2 * licence_watch.MAX_KEPT
        assert rest.function == "" and "casemate advisories live" in rest.reason
        world.lives = []
        await world.watch.look()
        assert not world.watch._licences._told.held

    monkeypatch.setattr(licence_watch, "MAX_FACTS", 1)
    on(scene)


def test_bundles_of_before_are_read_once_there_is_a_rule(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        await world.gate.inventory.put(world.lives[0].digest, packages_of(manifest("left==1.0")))
        await world.watch.look()
        assert world.opened == []
        world.licences = (states("left", "MIT"),)
        await world.gate.licences.set_rules(MIT)
        await world.watch.look()
        await world.watch.look()
        assert len(world.opened) == 1 and world.watch.licences(None) == ()

    on(scene)
