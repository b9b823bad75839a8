"""What this installation is made of, as CycloneDX 1.6: its packages, and their C libraries."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import uuid
from importlib.metadata import Distribution
from typing import Any

from casemate import __version__
from casemate.advisories import Ecosystem, Package
from casemate.maintenance.installed import OWN, installed, needs_of
from casemate.maintenance.libraries import libraries
from casemate.sbom.licences import licences_of

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/casemate/node")
_ROOT = "node"
_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){1,3}[a-z]?")


def own_sbom() -> bytes:
    """Return the SBOM of what `casemate serve` would run here.

    There is no time in it: the same installation gives the same bytes.
    """
    found = installed()
    components = [_component(name, each) for name, each in sorted(found.items()) if name != OWN]
    components += [_interpreter(), *_libraries()]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": _ROOT,
                "name": OWN,
                "version": __version__,
            }
        },
        "components": components,
        "dependencies": _dependencies(found),
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{serial}"
    return json.dumps(document, indent=2).encode() + b"\n"


def _component(name: str, each: Distribution) -> dict[str, Any]:
    package = Package(ecosystem=Ecosystem.PYPI, name=name, version=each.version)
    record = each.read_text("RECORD") or ""
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": name,
        "version": each.version,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(record.encode()).hexdigest()}],
        "purl": package.purl,
        "properties": [{"name": "casemate:hash-of", "value": "the package's RECORD"}],
    }
    licences = licences_of(each.metadata)  # type: ignore[arg-type]
    if licences:
        component["licenses"] = licences
    return component


def _interpreter() -> dict[str, Any]:
    version = platform.python_version()
    return {
        "type": "platform",
        "bom-ref": f"python@{version}",
        "name": "python",
        "version": version,
        "purl": f"pkg:generic/python@{version}",
    }


def _libraries() -> list[dict[str, Any]]:
    """Return the C libraries, with what has them: a scanner of packages does not see them."""
    found = []
    for each in libraries():
        said = _NUMBER.search(each.version or "")
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": f"{each.name} in {each.bundled_in} for {each.use}",
            "name": each.name,
            "properties": [
                {"name": "casemate:bundled-in", "value": each.bundled_in},
                {"name": "casemate:use", "value": each.use},
            ],
        }
        if each.version:
            component["version"] = each.version
        if said is not None:
            component["purl"] = f"pkg:generic/{each.name.lower()}@{said.group()}"
        found.append(component)
    return found


def _dependencies(found: dict[str, Distribution]) -> list[dict[str, Any]]:
    refs = {
        name: _ROOT
        if name == OWN
        else Package(ecosystem=Ecosystem.PYPI, name=name, version=each.version).purl
        for name, each in found.items()
    }
    return [
        {
            "ref": refs[name],
            "dependsOn": sorted({refs[other] for other in needs_of(found[name]) if other in refs}),
        }
        for name in sorted(found)
    ]
