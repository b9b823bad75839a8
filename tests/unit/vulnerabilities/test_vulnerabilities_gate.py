"""The gate: known holes, and advisories that cannot be relied upon, stop a deploy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vulnerabilities_world import ADA, DAY, World, excepted, manifest, play

from casemate.advisories import Ecosystem
from casemate.model.advisory_facts import AdvisoryExcepted
from casemate.model.denial import Denial, DenialKind
from casemate.model.errors import InvalidInputError, NotFoundError, QuotaError
from casemate.model.vulnerability import AdvisoryRules, Threshold, Verdict
from casemate.store.errors import StoreError
from casemate.vulnerabilities import VulnerableError, packages_of
from casemate.vulnerabilities import exceptions as exceptions_module
from support.advisories import import_records, import_small, record

CVSS = {
    "low": "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
    "medium": "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N",
    "high": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "critical": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
}
Play = Callable[[Any], None]


def rated(word: str, id: str = "GHSA-1", **changes: Any) -> dict[str, Any]:
    return record(id, severity=[{"type": "CVSS_V3", "score": CVSS[word]}], **changes)


@pytest.fixture
def on(tmp_path: Path) -> Play:
    return lambda scene: play(tmp_path, scene)


async def refusal(world: World, *packages: str, name: str = "f") -> str:
    """Return why a deploy is refused; empty if it is not."""
    try:
        made = manifest(*packages, name=name)
        await world.gate.require(made.project, name, packages_of(made), ADA)
    except VulnerableError as error:
        return str(error)
    return ""


def test_a_bundle_without_packages_of_others_needs_nothing(on: Play) -> None:
    async def scene(world: World) -> None:
        assert not await refusal(world)
        assert not world.place.folder.exists()

    on(scene)


def test_without_advisories_the_two_ways_on_are_named(on: Play) -> None:
    async def scene(world: World) -> None:
        why = await refusal(world, "left==1.0")
        assert "advisories import https://osv-vulnerabilities.storage.googleapis.com" in why
        assert "casemate advisories except t/f --without-advisories" in why
        assert str(world.place.folder) not in why
        (denial,) = world.of(Denial)
        assert denial.kind is DenialKind.ADVISORIES and denial.by == ADA.principal
        await world.gate.exceptions.add(excepted("", ""), ADA)
        assert not await refusal(world, "left==1.0")
        assert await refusal(world, "left==1.0", name="g")

    on(scene)


@pytest.mark.parametrize("what", ["old", "partial", "damaged", "cut short", "future"])
def test_advisories_that_cannot_be_relied_upon_are_a_failure(on: Play, what: str) -> None:
    async def scene(world: World) -> None:
        at = time.time() - (8 * DAY if what == "old" else -3600 if what == "future" else 0)
        if what == "partial":
            from casemate.advisories.importing import Wanted, import_advisories

            folder = world.place.folder.parent / "records"
            folder.mkdir()
            import json

            (folder / "a.json").write_text(json.dumps(record(ecosystem="npm")))
            wanted = Wanted(source=str(folder), ecosystems=(Ecosystem.NPM,))
            import_advisories(wanted, world.place)
        else:
            import_records(world.place, record(name="other"), at=at)
        if what == "damaged":
            data = bytearray(world.place.database.read_bytes())
            data[-1] ^= 1
            data[len(data) // 2] ^= 1
            world.place.database.write_bytes(data)
        if what == "cut short":
            size = world.place.database.stat().st_size
            os.truncate(world.place.database, size - 1)
        assert await refusal(world, "left==1.0"), what
        assert not await refusal(world), what

    on(scene)


def test_advisories_about_python_are_all_that_a_node_needs(on: Play) -> None:
    async def scene(world: World) -> None:
        import_records(world.place, record(name="other"), ecosystems=(Ecosystem.PYPI,))
        assert (await world.gate.standing()).good

        npm = record(name="other", ecosystem="npm")
        import_records(world.place, npm, ecosystems=(Ecosystem.NPM,))
        assert not (await world.gate.standing()).good

    on(scene)


@pytest.mark.parametrize("refuse", list(Threshold))
@pytest.mark.parametrize("word", list(CVSS))
def test_the_severity_decides(on: Play, word: str, refuse: Threshold) -> None:
    async def scene(world: World) -> None:
        import_records(world.place, rated(word, name="left"))
        await world.gate.set_rules(AdvisoryRules(refuse=refuse))
        is_refused = list(CVSS).index(word) >= list(Threshold).index(refuse)
        why = await refusal(world, "Left==1.0")
        assert bool(why) is is_refused
        assert not is_refused or ("GHSA-1 in left 1.0" in why and "fixed in 2.0.0" in why)
        assert not await refusal(world, "left==2.0.0")

    on(scene)


def test_malicious_exploited_and_unrated_are_refused_whatever_is_set(
    on: Play, tmp_path: Path
) -> None:
    async def scene(world: World) -> None:
        await world.gate.set_rules(AdvisoryRules(refuse=Threshold.CRITICAL))
        listed = tmp_path / "kev.json"
        listed.write_text('{"vulnerabilities": [{"cveID": "CVE-2026-1"}]}')
        import_records(
            world.place,
            record("MAL-2026-1", name="evil", versions=["1.0"]),
            rated("low", "CVE-2026-1", name="used"),
            record("GHSA-3", name="unrated"),
            rated("high", "GHSA-4", name="fine"),
            exploited=listed,
        )
        assert "malicious" in await refusal(world, "evil==1.0")
        assert "known to be exploited" in await refusal(world, "used==1.0")
        assert "nobody has rated it" in await refusal(world, "unrated==1.0")
        assert not await refusal(world, "fine==1.0")

    on(scene)


def test_an_exception_is_of_one_hole_in_one_package_of_one_function(on: Play) -> None:
    async def scene(world: World) -> None:
        import_records(
            world.place,
            rated("high", "GHSA-1", name="left", aliases=["CVE-2026-9"]),
            rated("high", "GHSA-2", name="right"),
        )
        made = await world.gate.exceptions.add(excepted("cve-2026-9", "Left"), ADA)
        assert not await refusal(world, "left==1.0")
        assert "GHSA-2" in await refusal(world, "left==1.0", "right==1.0")
        assert "GHSA-1" in await refusal(world, "left==1.0", name="g")
        (told,) = world.of(AdvisoryExcepted)
        assert (told.exception, told.by, told.reason) == (made.id, ADA.principal, "not reached")
        judged = await world.gate.judged("t", "f", packages_of(manifest("left==1.0")))
        assert judged.holes[0].verdict is Verdict.EXCEPTED
        await world.gate.exceptions.end("t", "f", made.id)
        assert await refusal(world, "left==1.0")
        with pytest.raises(NotFoundError):
            await world.gate.exceptions.end("t", "f", made.id)

    on(scene)


def test_an_exception_that_has_expired_refuses(on: Play) -> None:
    async def scene(world: World) -> None:
        import_records(world.place, rated("high", name="left"))
        await world.gate.exceptions.add(excepted(seconds=60), ADA)
        assert not await refusal(world, "left==1.0")
        world.ahead = 61
        assert "its exception expired" in await refusal(world, "left==1.0")

    on(scene)


def test_an_exception_of_a_clock_that_was_ahead_is_none_once_it_is_right(on: Play) -> None:
    """It let a known hole live for as many years as the clock was ahead when it was made."""

    async def scene(world: World) -> None:
        import_records(world.place, rated("high", name="left"))
        world.ahead = 3650 * DAY
        await world.gate.exceptions.add(excepted(seconds=DAY), ADA)
        world.ahead = 0
        assert "by a clock that was ahead" in await refusal(world, "left==1.0")

    on(scene)


def test_what_was_accepted_stays_on_record_though_the_clock_was_ahead(on: Play) -> None:
    async def scene(world: World) -> None:
        first = await world.gate.exceptions.add(excepted(), ADA)
        world.ahead = exceptions_module.KEPT_SECONDS + 2 * DAY
        await world.gate.exceptions.add(excepted("GHSA-2"), ADA)
        world.ahead = 0.0
        assert first in world.gate.exceptions.all()

    on(scene)


def test_who_asks_again_has_one_exception_to_withdraw(on: Play, monkeypatch: Any) -> None:
    """The node was killed before it answered: the first one would hold on, known to nobody."""

    async def scene(world: World) -> None:
        import_records(world.place, rated("high", name="left"))
        monkeypatch.setattr(exceptions_module, "MAX_EXCEPTIONS", 2)
        first = await world.gate.exceptions.add(excepted(), ADA)
        again = await world.gate.exceptions.add(excepted(seconds=2 * DAY), ADA)
        assert world.gate.exceptions.all() == (again,) and again.id != first.id
        other = await world.gate.exceptions.add(
            msgspec.structs.replace(excepted(), reason="another"), ADA
        )
        assert set(world.gate.exceptions.all()) == {again, other}
        last = await world.gate.exceptions.add(excepted(), ADA)  # though there is no room for more
        assert set(world.gate.exceptions.all()) == {last, other}
        await world.gate.exceptions.end("t", "f", other.id)
        assert not await refusal(world, "left==1.0")
        await world.gate.exceptions.end("t", "f", last.id)
        assert await refusal(world, "left==1.0")

    on(scene)


def test_exceptions_and_rules_outlive_the_node(on: Play, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        import_records(world.place, rated("medium", name="left"))
        await world.gate.set_rules(AdvisoryRules(refuse=Threshold.MEDIUM))
        made = await world.gate.exceptions.add(excepted(), ADA)
        again = World(tmp_path, world.store)
        await again.gate.load()
        assert again.gate.exceptions.all() == (made,)
        assert not await refusal(again, "left==1.0")
        assert await refusal(again, "left==1.0", name="g")

    on(scene)


def test_a_clock_that_is_set_back_makes_nothing_younger(on: Play) -> None:
    async def scene(world: World) -> None:
        import_small(world.place)
        await world.gate.exceptions.add(excepted(seconds=DAY), ADA)
        world.ahead = 6 * DAY
        await world.gate.note_time()
        assert not await refusal(world, "left==1.0")
        world.ahead = 0
        why = await refusal(world, "left==1.0")
        assert "was it set back?" in why
        assert world.gate.now() - time.time() > 5 * DAY
        await world.gate.note_time(anew=True)  # an operator has imported
        assert not await refusal(world, "left==1.0")

    on(scene)


def test_nodes_keep_the_time_at_once(on: Play, tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        other = World(tmp_path / "other", world.store)
        for each in (world, other):
            await each.gate.load()
        for days in (1, 2, 3):
            for each in (world, other):
                each.ahead = days * DAY
            await other.gate.note_time()
            await world.gate.note_time()  # after what it read is there no more
            assert world.gate.now() - time.time() > (days - 0.01) * DAY
        world.ahead = other.ahead = 0
        assert "was it set back?" in await refusal(world, "left==1.0")

    on(scene)


def test_who_leaves_packages_out_of_the_manifest_is_seen_by_their_folders() -> None:
    made = manifest(files=("deps/Evil_One-1.0.dist-info/METADATA", "code/v/b-2.dist-info/RECORD"))
    found = packages_of(made)
    assert [(each.name, each.version) for each in found.packages] == [
        ("b", "2"),
        ("evil-one", "1.0"),
    ]
    odd = packages_of(manifest(files=("deps/nothing.dist-info/METADATA",)))
    assert not odd.packages and len(odd.unknown) == 1


def test_a_version_that_is_none_is_not_clean(on: Play) -> None:
    async def scene(world: World) -> None:
        import_small(world.place)
        assert "was not looked up" in await refusal(world, "left==what is this")

    on(scene)


def test_an_advisory_that_names_no_versions_is_refused_by_its_id(on: Play) -> None:
    async def scene(world: World) -> None:
        git = [{"type": "GIT", "repo": "https://x", "events": [{"introduced": "0"}]}]
        undecided = record("GHSA-7", name="left")
        undecided["affected"][0]["ranges"] = git
        import_records(world.place, undecided, record(name="other"))
        assert "GHSA-7 in left 1.0" in await refusal(world, "left==1.0")
        await world.gate.exceptions.add(excepted("GHSA-7"), ADA)
        assert not await refusal(world, "left==1.0")

    on(scene)


def test_many_holes_are_named_within_bounds(on: Play) -> None:
    async def scene(world: World) -> None:
        import_records(world.place, *(rated("high", f"GHSA-{n}", name="left") for n in range(40)))
        why = await refusal(world, "left==1.0")
        assert "and 30 more" in why and len(why) < 4000

    on(scene)


def test_what_is_no_exception(on: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        for advisory, package in (("GHSA-1", ""), ("", "left"), ("GHSA-1", "no name!")):
            with pytest.raises(InvalidInputError):
                await world.gate.exceptions.add(excepted(advisory, package), ADA)
        monkeypatch.setattr(exceptions_module, "MAX_EXCEPTIONS", 1)
        await world.gate.exceptions.add(excepted(), ADA)
        with pytest.raises(QuotaError):
            await world.gate.exceptions.add(excepted("GHSA-2"), ADA)

    on(scene)


@pytest.mark.parametrize(
    "name",
    ["advisory exceptions 3", "packages of bundles 9", "advisory settings", "licence rules"],
)
def test_what_cannot_be_read_stops_the_start(tmp_path: Path, name: str) -> None:
    import asyncio

    world = World(tmp_path)
    world.store.values[name] = b"[{"
    with pytest.raises(StoreError):
        asyncio.run(world.gate.load())
