from __future__ import annotations

from casemate.advisories import KnownHoles
from support.advisories import record


def test_what_installing_asks(bring, place) -> None:
    bring(
        record(name="left"),
        record("MAL-2026-1", name="bad", versions=["1.0"]),
        record("MAL-2026-2", name="worse", versions=[]),
    )
    with KnownHoles(place) as known:
        assert known.mends("left", "2.0") == "GHSA-aaaa-bbbb-cccc"
        assert known.mends("left", "2.0.1") is None
        assert known.mends("left", "nonsense") is None
        assert known.mends("right", "2.0") is None
        assert known.malicious("left", "1.0") is None
        assert known.malicious("bad", "1.0") == "MAL-2026-1"
        assert known.malicious("bad", "1.1") is None
        assert known.malicious("worse", "7") == "MAL-2026-2"


def test_what_is_an_attack_mends_nothing(bring, place) -> None:
    bring(record("MAL-2026-1", name="bad"))
    with KnownHoles(place) as known:
        assert known.mends("bad", "2.0.0") is None


def test_without_advisories_nothing_is_known(place) -> None:
    with KnownHoles(place) as known:
        assert known.mends("left", "2.0") is None
        assert known.malicious("bad", "1.0") is None


def test_damaged_advisories_exempt_nothing(bring, place) -> None:
    bring(record(name="left"))
    place.database.write_bytes(place.database.read_bytes()[:-1000].replace(b"left", b"lost"))
    with KnownHoles(place) as known:
        assert known.mends("left", "2.0") is None
