"""Records of advisories by hand, and packages to judge by them."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from casemate.advisories import Ecosystem, Package, Place
from casemate.advisories.importing import Wanted, import_advisories

NOW = 1_795_000_000.0
MODIFIED = "2026-11-15T00:00:00Z"

Record = dict[str, Any]


def record(
    id: str = "GHSA-aaaa-bbbb-cccc",
    *,
    name: str = "left",
    ecosystem: str = "PyPI",
    events: list[dict[str, str]] | None = None,
    versions: list[str] | None = None,
    **changes: Any,
) -> Record:
    """Return a record about one package, fixed in 2.0 unless something else is said."""
    affected: Record = {"package": {"ecosystem": ecosystem, "name": name}}
    if events is not None or versions is None:
        events = [{"introduced": "0"}, {"fixed": "2.0.0"}] if events is None else events
        kind = "SEMVER" if ecosystem == "npm" else "ECOSYSTEM"
        affected["ranges"] = [{"type": kind, "events": events}]
    if versions is not None:
        affected["versions"] = versions
    return {
        "schema_version": "1.6.0",
        "id": id,
        "modified": MODIFIED,
        "affected": [affected],
        **changes,
    }


def pypi(name: str, version: str) -> Package:
    return Package(ecosystem=Ecosystem.PYPI, name=name, version=version)


def npm(name: str, version: str) -> Package:
    return Package(ecosystem=Ecosystem.NPM, name=name, version=version)


def import_records(
    place: Place,
    *records: Record,
    at: float | None = None,
    ecosystems: tuple[Ecosystem, ...] = (Ecosystem.PYPI,),
    **how: Any,
) -> None:
    """Have these records, and no others, in force."""
    with tempfile.TemporaryDirectory() as folder:
        for number, each in enumerate(records):
            (Path(folder) / f"{number}.json").write_text(json.dumps(each))
        moment = time.time() if at is None else at
        wanted = Wanted(source=folder, ecosystems=ecosystems, fewer=True, **how)
        import_advisories(wanted, place, clock=lambda: moment)


def import_small(place: Place) -> None:
    """Have advisories in force that say nothing of any package of a test's."""
    import_records(place, record(name="nobody-has-this"))
