"""The list of what an image is made of, as CycloneDX 1.6: packages of both kinds, by digest."""

from __future__ import annotations

import json
import uuid
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.image.distribution import DistributionPackage

SBOM = "usr/share/doc/casemate/sbom.cdx.json"


def sbom(packages: list[DistributionPackage], site_packages: Path, distribution: str) -> bytes:
    """Return the SBOM of an image. There is no time in it."""
    installed = sorted(distributions(path=[str(site_packages)]), key=lambda one: one.name)
    components = [_of_distribution(one, distribution) for one in packages]
    components += [_of_python(one) for one in installed]
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": "image", "name": "casemate-image"}
        },
        "components": components,
    }
    named = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": f"urn:uuid:{named}"}, indent=1).encode() + b"\n"


def _of_distribution(package: DistributionPackage, distribution: str) -> dict[str, Any]:
    system = distribution.partition("-")[0]
    purl = (
        f"pkg:deb/{system}/{package.name}@{quote(package.version, safe='')}"
        f"?arch={package.architecture}&distro={distribution}"
    )
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
    }


def _of_python(package: Distribution) -> dict[str, Any]:
    purl = f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version}"
    record = (package.read_text("RECORD") or "").encode()
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": sha256(record).hexdigest()}],
        "properties": [{"name": "casemate:hash-of", "value": "the package's RECORD"}],
    }
