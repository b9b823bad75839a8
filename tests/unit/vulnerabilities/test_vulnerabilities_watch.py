"""What lives is judged again: news are told once, and contained by rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from vulnerabilities_world import ADA, World, excepted, play

from casemate.advisories import Package, judge_all
from casemate.model.advisory_facts import AdvisoriesUnreliable, HoleFound
from casemate.model.errors import ConflictError, NotFoundError, UnavailableError
from casemate.model.vulnerability import AdvisoryRules, QuarantineWhen, Threshold
from casemate.operations.quarantine import QuarantineFunction
from casemate.vulnerabilities import Advisories, Packages
from casemate.vulnerabilities import watch as watch_module
from support.advisories import import_records, record
from support.set_time import Clock
from support.waiting import until

HIGH = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}]}
Play = Callable[[Any], None]


@pytest.fixture
def on(tmp_path: Path) -> Play:
    return lambda scene: play(tmp_path, scene)


def test_a_new_finding_is_told_once(on: Play, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        world.deploy(name="g")
        import_records(world.place, record("GHSA-1", name="other", **HIGH))
        await world.watch.look()
        assert not world.of(HoleFound) and not world.watch.found(None)[0]
        import_records(world.place, record("GHSA-1", name="left", **HIGH))
        await world.watch.look()
        await world.watch.look()
        (fact,) = world.of(HoleFound)
        assert (fact.function, fact.advisory, fact.package) == ("f", "GHSA-1", "left 1.0")
        assert fact.by == "" and fact.verdict == "refused" and fact.fixed == ("2.0.0",)
        ((live,), ()) = world.watch.found("t")
        assert live.hole.id == "GHSA-1" and world.watch.found("u") == ((), ())
        again = World(tmp_path, world.store)
        again.lives, again.bundles = world.lives, world.bundles
        await again.gate.load()
        await again.watch.load()
        await again.watch.look()
        assert not again.told and not again.opened  # packages are remembered

    on(scene)


def test_what_is_malicious_is_contained_and_killed(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("evil==1.0", "left==1.0")
        import_records(
            world.place,
            record("MAL-2026-1", name="evil", versions=["1.0"]),
            record("GHSA-1", name="left", **HIGH),
        )
        await world.watch.look()
        (wanted,) = world.quarantined
        assert wanted.kill and "MAL-2026-1" in wanted.reason and "GHSA-1" not in wanted.reason
        await world.watch.look()  # who releases it knows of it
        assert len(world.quarantined) == 1

    on(scene)


@pytest.mark.parametrize(
    ("when", "names"),
    [
        (QuarantineWhen.NEVER, set()),
        (QuarantineWhen.MALICIOUS, {"evil"}),
        (QuarantineWhen.EXPLOITED, {"evil", "used"}),
        (QuarantineWhen.REFUSED, {"evil", "used", "high"}),
    ],
)
def test_the_rules_say_what_is_contained(
    on: Play, tmp_path: Path, when: QuarantineWhen, names: set[str]
) -> None:
    async def scene(world: World) -> None:
        for name in ("evil", "used", "high", "fine"):
            world.deploy(f"{name}==1.0", name=name)
        listed = tmp_path / "kev.json"
        listed.write_text('{"vulnerabilities": [{"cveID": "CVE-2026-1"}]}')
        await world.gate.set_rules(AdvisoryRules(quarantine=when))
        import_records(
            world.place,
            record("MAL-2026-1", name="evil", versions=["1.0"]),
            record("CVE-2026-1", name="used", **HIGH),
            record("GHSA-3", name="high", **HIGH),
            exploited=listed,
        )
        await world.watch.look()
        assert {each.function for each in world.quarantined} == names
        assert {each.function for each in world.quarantined if each.kill} == names & {"evil"}
        await world.gate.set_rules(AdvisoryRules(quarantine=QuarantineWhen.REFUSED))
        await world.watch.look(again=True)
        assert {each.function for each in world.quarantined} == {"evil", "used", "high"}

    on(scene)


def test_an_exception_holds_off_and_its_end_is_a_finding(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        await world.gate.set_rules(
            AdvisoryRules(refuse=Threshold.LOW, quarantine=QuarantineWhen.REFUSED)
        )
        await world.gate.exceptions.add(excepted(seconds=60), ADA)
        import_records(world.place, record("GHSA-1", name="left", **HIGH))
        await world.watch.look()
        assert not world.quarantined
        assert [fact.verdict for fact in world.of(HoleFound)] == ["excepted"]
        world.ahead = 61
        assert world.gate.exceptions.next_end() is None
        await world.watch.look()
        assert [fact.verdict for fact in world.of(HoleFound)] == ["excepted", "refused"]
        assert "expired" in world.of(HoleFound)[1].reason
        assert len(world.quarantined) == 1

    on(scene)


def test_advisories_that_cannot_be_relied_upon_are_told_once(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        world.deploy(name="g")
        await world.watch.look()
        await world.watch.look()
        (fact,) = world.of(AdvisoriesUnreliable)
        assert fact.reason
        (problem,) = world.watch.found(None)[1]
        assert problem.function == "f"
        import_records(world.place, record(name="other"))
        await world.watch.look()
        assert world.watch.found(None) == ((), ())

    on(scene)


def test_what_could_not_be_judged_is_not_new_afterwards(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        import_records(world.place, record("GHSA-1", name="left", **HIGH))
        await world.watch.look()
        data = world.place.database.read_bytes()
        world.place.database.unlink()
        await world.watch.look()
        world.place.database.write_bytes(data)
        await world.watch.look()
        assert len(world.of(HoleFound)) == 1

    on(scene)


def test_many_at_once_are_told_as_one(on: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(watch_module, "MAX_FACTS", 5)
        for number in range(12):
            world.deploy("left==1.0", name=f"f{number}")
        import_records(world.place, record("GHSA-1", name="left", **HIGH))
        await world.watch.look()
        facts = world.of(HoleFound)
        assert len(facts) == 6 and facts[-1].count == 7

    on(scene)


def test_a_quarantine_that_fails_does_not_hold_up_the_others(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("evil==1.0", name="a")
        world.deploy("evil==1.0", name="b")
        import_records(world.place, record("MAL-1", name="evil", versions=["1.0"]))
        asked: list[str] = []

        async def fail(wanted: QuarantineFunction) -> None:
            asked.append(wanted.function)
            raise ConflictError("no")

        world.watch._quarantine = fail
        await world.watch.look()
        assert asked == ["a", "b"] and len(world.of(HoleFound)) == 2

    on(scene)


def test_an_import_on_the_host_is_noticed(on: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.02)
        world.deploy("evil==1.0")
        await world.watch.start()
        await asyncio.sleep(0.1)
        import_records(world.place, record("MAL-1", name="evil", versions=["1.0"]))
        for _ in range(200):
            if world.quarantined:
                break
            await asyncio.sleep(0.02)
        await world.watch.close()
        assert [each.kill for each in world.quarantined] == [True]

    on(scene)


def test_what_lives_unjudged_by_an_exception_is_named_and_no_news(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        kept = await world.gate.exceptions.add(excepted("", ""), ADA)
        await world.watch.look()
        (problem,) = world.watch.found(None)[1]
        assert (problem.function, problem.exception) == ("f", kept.id)
        assert not world.of(AdvisoriesUnreliable)

    on(scene)


def test_a_bundle_that_cannot_be_read_is_not_one_without_packages(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        import_records(world.place, record(name="other"))

        async def gone(digest: str) -> Packages:
            raise NotFoundError(f"There is no {digest}.")

        world.watch._read = gone
        await world.watch.look()
        (problem,) = world.watch.found(None)[1]
        assert "not known" in problem.problem

    on(scene)


def test_other_rules_are_acted_on_for_what_is_known_already(on: Play) -> None:
    async def scene(world: World) -> None:
        world.deploy("left==1.0")
        import_records(world.place, record("GHSA-1", name="left", **HIGH))
        await world.watch.start()
        await until(lambda: world.of(HoleFound))
        assert not world.quarantined
        node = Advisories(world.gate, world.watch, world.told.append)
        await node.set_rules(AdvisoryRules(quarantine=QuarantineWhen.REFUSED))
        await until(lambda: world.quarantined)
        await world.watch.close()
        assert len(world.of(HoleFound)) == 1

    on(scene)


def test_a_look_that_fails_is_taken_again(on: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.02)
        import_records(world.place, record("MAL-1", name="evil", versions=["1.0"]))
        await world.watch.start()
        await until(lambda: world.watch.judged_at)
        live, failed = world.watch._live, []

        async def fail() -> Any:
            failed.append(True)
            world.watch._live = live
            raise NotFoundError("not now")

        world.watch._live = fail
        world.deploy("evil==1.0")
        world.watch.follow()
        await until(lambda: world.quarantined)
        await world.watch.close()
        assert failed

    on(scene)


def test_packages_are_judged_again_by_other_advisories_only(
    on: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World) -> None:
        judged: list[int] = []

        def counted(lists: Sequence[tuple[Package, ...]], *given: Any, **named: Any) -> Any:
            judged.append(len(lists))
            return judge_all(lists, *given, **named)

        monkeypatch.setattr(watch_module, "judge_all", counted)
        world.deploy("left==1.0")
        import_records(world.place, record("GHSA-1", name="left", **HIGH))
        await world.watch.look()
        await world.gate.exceptions.add(excepted(), ADA)
        await world.gate.set_rules(AdvisoryRules(refuse=Threshold.LOW))
        await world.watch.look()
        assert judged == [1, 0]
        assert [one.hole.verdict for one in world.watch.found(None)[0]] == ["excepted"]
        import_records(world.place, record("GHSA-2", name="left", **HIGH))
        await world.watch.look()
        assert judged == [1, 0, 1]

    on(scene)


def test_a_quarantine_that_failed_is_tried_again(on: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.02)
        world.deploy("evil==1.0")
        import_records(world.place, record("MAL-1", name="evil", versions=["1.0"]))
        quarantine, asked = world.watch._quarantine, []

        async def fail(wanted: QuarantineFunction) -> None:
            asked.append(wanted.function)
            if len(asked) == 3:
                world.watch._quarantine = quarantine
            raise UnavailableError("not now")

        world.watch._quarantine = fail
        await world.watch.start()
        await until(lambda: world.quarantined)
        await asyncio.sleep(0.1)
        await world.watch.close()
        assert asked == ["f", "f", "f"] and len(world.quarantined) == 1
        assert len(world.of(HoleFound)) == 1

    on(scene)


def test_all_is_judged_again_though_the_clock_was_ahead_when_it_was_last(
    on: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World) -> None:
        monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.02)
        monkeypatch.setattr(watch_module, "EVERY_SECONDS", 0.1)
        clock = Clock()
        monkeypatch.setattr(watch_module, "time", clock)
        clock.step(86_400.0)
        await world.watch.start()
        await until(lambda: world.watch.judged_at)
        clock.step(-86_400.0)
        await until(lambda: world.watch.judged_at == clock.now)
        await world.watch.close()

    on(scene)
