"""Writes the SBOM of a bundle: CycloneDX 1.6 in JSON, the same bytes for the same bundle."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from casemate import __version__
from casemate.model.bundle import BundleManifest
from casemate.model.evidence import Evidence
from casemate.sbom.distributions import Distribution, distributions, needed
from casemate.sbom.environment import environment_of
from casemate.sbom.licences import licences_of

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/casemate/bundle")
_MAX_DESCRIPTION = 500
_ROOT = "bundle"


def sbom(bundle: Path, manifest: BundleManifest) -> bytes:
    """Return the SBOM of the bundle in a folder. Raises SbomError.

    There is no time in it, and its serial number is made of the bundle's digest.
    """
    digest = manifest.digest()
    found, rest = distributions(bundle, manifest)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [{"type": "application", "name": "casemate", "version": __version__}]
            },
            "component": _root(manifest, digest, rest),
        },
        "components": [_component(each) for each in found],
        "dependencies": _dependencies(found, manifest),
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def with_evidence(document: bytes, evidence: Evidence) -> bytes:
    """Return an SBOM with what was seen of its packages while the bundle ran.

    What was seen changes; so that is not in the SBOM that is signed.
    """
    found = json.loads(document)
    for component in found["components"]:
        seen = evidence.of(component["name"])
        if seen is None:
            continue
        loaded = [
            how for how, is_so in (("import", seen.at_import), ("call", seen.at_call)) if is_so
        ]
        component.setdefault("properties", []).append(
            {"name": "casemate:loaded-at", "value": ",".join(loaded) or "never"}
        )
        if seen.occurrences:
            component["evidence"] = {
                "occurrences": [{"location": path} for path in seen.occurrences]
            }
    return json.dumps(found, indent=2).encode() + b"\n"


def _root(manifest: BundleManifest, digest: str, rest: int) -> dict[str, Any]:
    function = manifest.function
    properties = {
        "casemate:handler": function.handler,
        "casemate:python": function.python or "",
        "casemate:lock-sha256": manifest.lock_sha256 or "",
        "casemate:files": str(len(manifest.files)),
        "casemate:dependency-files-of-no-package": str(rest),
    }
    return {
        "type": "application",
        "bom-ref": _ROOT,
        "group": manifest.project,
        "name": function.name,
        "version": digest[:12],
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "properties": _properties(properties),
    }


def _component(found: Distribution) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": found.package.purl,
        "name": found.package.name,
        "version": found.package.version,
    }
    summary = " ".join(str(found.metadata["Summary"] or "").split())[:_MAX_DESCRIPTION]
    if summary and summary != "UNKNOWN":
        component["description"] = summary
    component["hashes"] = [{"alg": "SHA-256", "content": found.content}]
    licences = licences_of(found.metadata)
    if licences:
        component["licenses"] = licences
    component["purl"] = found.package.purl
    component["properties"] = _properties(
        {
            "casemate:files": str(found.files),
            "casemate:bytes": str(found.size),
            "casemate:native-files": str(found.native),
            "casemate:hash-of": "sha256sum lines of the package's files, sorted by path",
        }
    )
    return component


def _dependencies(found: Sequence[Distribution], manifest: BundleManifest) -> list[dict[str, Any]]:
    refs = {each.package.name: each.package.purl for each in found}
    edges = needed(found, environment_of(manifest))
    listed = [
        {"ref": refs[name], "dependsOn": [refs[other] for other in edges[name]]} for name in refs
    ]
    return [{"ref": _ROOT, "dependsOn": [refs[name] for name in _first(edges)]}, *listed]


def _first(edges: dict[str, list[str]]) -> list[str]:
    """Return what the function itself needs: what nothing else does, and one of each circle."""
    first = sorted(edges.keys() - {other for others in edges.values() for other in others})
    reached: set[str] = set()
    waiting = list(first)
    for name in [None, *sorted(edges)]:
        if name is not None and name not in reached:
            first.append(name)
            waiting.append(name)
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached.add(one)
                waiting += edges[one]
    return sorted(first)


def _properties(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]
