"""Vouching for bundles as `casemate deploy` does, with one key for the whole run."""

from __future__ import annotations

import base64
import re
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from casemate import __version__
from casemate.model.bundle import BundleManifest
from casemate.sbom import sbom as sbom_of
from casemate.signing import SigningKey, proof_of, provenance_of, sbom_statement, sealed

KEY = SigningKey.made()


def attestation(
    manifest: BundleManifest,
    document: bytes,
    *,
    key: SigningKey = KEY,
    at: float | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the envelopes of a bundle, as the API takes them; `changes` are of the provenance."""
    made = sbom_statement(manifest, document)
    said = provenance_of(
        manifest,
        made,
        **{
            "builder": key.id,
            "at": time.time() if at is None else at,
            "run": uuid.uuid4().hex,
            "version": __version__,
            **changes,
        },
    )
    return {
        "provenance": msgspec.to_builtins(sealed(said, (key,))),
        "sbom": msgspec.to_builtins(sealed(made, (key,))),
    }


def enrolment(token: str, key: SigningKey = KEY) -> dict[str, str]:
    """Return what enrols a key for whoever shows a token."""
    match = re.search(r"cm_([0-9a-f]{16})_", token)
    return {
        "public": base64.b64encode(key.public).decode(),
        "proof": proof_of(key, match.group(1) if match else "none"),
    }


def document_of(manifest: BundleManifest, files: dict[str, bytes]) -> bytes:
    """Return the SBOM of a bundle in memory."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path, content in files.items():
            if path.startswith("deps/"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        return sbom_of(folder, manifest)


def attest(
    client: httpx2.Client,
    url: str,
    manifest: BundleManifest,
    document: bytes,
    *,
    key: SigningKey = KEY,
) -> httpx2.Response:
    """Sign a bundle and bring that to a node, with the key if the node does not know it."""
    token = client.headers.get("authorization", "")
    return client.put(
        f"{url}/api/v1/bundles/{manifest.digest()}/attestation",
        json=attestation(manifest, document, key=key) | enrolment(token, key),
    )
