"""What functions say that they load: held against the bundle, bounded, kept once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.evidence import MAX_OCCURRENCES
from casemate.supply import EvidenceKeeper
from support.core import version
from support.signing import SqlAttestations

ONE = version(digest="a" * 64)
OWNERS = {f"deps/lib/m{n}.py": ("lib", "1.0") for n in range(60)} | {
    "deps/late.py": ("late", "2.0"),
    "deps/never.py": ("never", "3.0"),
}


class Place:
    def __init__(self) -> None:
        self.store = SqlAttestations()
        self.asked = 0
        self.fault: Exception | None = None
        self.now = 7.0
        self.keeper = EvidenceKeeper(self.store, self.owners, lambda: self.now)

    async def owners(self, digest: str) -> Mapping[str, tuple[str, str]]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return OWNERS


def test_what_is_loaded_when_is_kept_of_each_package() -> None:
    async def scene() -> None:
        place = Place()
        place.keeper.note(ONE, ["lib/m1.py", "lib/m2.py"], False)
        place.keeper.note(ONE, ["late.py"], True)
        place.keeper.note(ONE, ["lib/m4.py"], True)  # too soon: it comes again
        place.now += 60
        place.keeper.note(ONE, ["lib/m3.py"], True)
        await place.keeper.settle()
        found = await place.keeper.of(ONE.digest)
        seen = {p.name: (p.at_import, p.at_call, p.occurrences) for p in found.packages}
        paths = tuple(f"deps/lib/m{n}.py" for n in (1, 2, 3))
        assert seen == {
            "lib": (True, True, paths),
            "late": (False, True, ("deps/late.py",)),
            "never": (False, False, ()),
        }
        assert found.observed_at == 67.0

    asyncio.run(scene())


def test_what_is_known_costs_no_write() -> None:
    async def scene() -> None:
        place = Place()
        for _ in range(100):
            place.keeper.note(ONE, ["lib/m1.py"], False)
            await place.keeper.settle()
        assert place.asked == 1

    asyncio.run(scene())


def test_lies_are_bounded_and_name_nothing_that_is_not_there() -> None:
    async def scene() -> None:
        place = Place()
        lies = [f"lib/m{n}.py" for n in range(60)]
        lies += ["../../etc/passwd", "", "code/app.py", "\ud800", "x" * 10_000, "lib/nowhere.py"]
        place.keeper.note(ONE, lies, False)
        await place.keeper.settle()
        found = await place.keeper.of(ONE.digest)
        assert {p.name for p in found.packages} == {"lib", "late", "never"}
        assert len(found.packages[1].occurrences) == MAX_OCCURRENCES
        # Another story for each call: no more of them wait than may.
        for number in range(1000):
            place.keeper.note(ONE, [f"lib/m{number % 60}.py", str(number)], True)
        assert len(place.keeper._waiting) == 1
        await place.keeper.settle()

    asyncio.run(scene())


def test_what_cannot_be_kept_now_is_kept_when_it_is_seen_again() -> None:
    async def scene() -> None:
        place = Place()
        for fault in (NotFoundError("gone"), UnavailableError("the disk is full")):
            place.fault = fault
            place.keeper.note(ONE, ["late.py"], False)
            await place.keeper.settle()
        place.fault = None
        place.keeper.note(ONE, ["late.py"], False)
        await place.keeper.settle()
        assert (await place.keeper.of(ONE.digest)).of("late").at_import

    asyncio.run(scene())


def test_evidence_of_bundles_that_no_version_has_goes() -> None:
    async def scene() -> None:
        place = Place()
        place.keeper.note(ONE, ["late.py"], False)
        await place.keeper.settle()
        place.keeper.note(version(digest="b" * 64), ["late.py"], False)
        await place.keeper.settle()
        (kept,) = place.store.connection.execute("SELECT count(*) FROM bundle_evidence").fetchone()
        assert kept == 1

    asyncio.run(scene())
