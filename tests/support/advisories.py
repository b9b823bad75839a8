"""Records of advisories by hand, and packages to judge by them."""

from __future__ import annotations

from typing import Any

from casemate.advisories import Ecosystem, Package

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
