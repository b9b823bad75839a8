"""Vouching for bundles as `casemate deploy` does, with one key for the whole run."""

from __future__ import annotations

import base64
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from casemate import __version__
from casemate.model.bundle import BundleManifest
from casemate.model.deployment import Version
from casemate.model.facts import Actor, Fact
from casemate.model.signing import SigningRule
from casemate.operations.declaration import Operation
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.sbom import sbom as sbom_of
from casemate.signing import SigningKey, proof_of, provenance_of, sbom_statement, sealed
from casemate.store.sqlite import attestations, deployments, schema
from casemate.supply import Admitted, BuilderKeys, Signatures
from support.memory_database import in_memory

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


class SqlAttestations:
    """The part of a store that keeps keys and attestations: its SQL, in memory."""

    def __init__(self) -> None:
        self.connection = in_memory(
            (
                *(*schema._DEPLOYMENTS, *schema._ATTESTATIONS),
                *(*schema._TRIALS, *schema._SIGNERS),
            )
        )
        self.values: dict[str, bytes] = {}

    async def read(self, operation: Operation[Any]) -> Any:
        return self._do(operation)

    async def change(self, operation: Operation[Any]) -> Any:
        self.connection.execute("BEGIN")
        try:
            done = self._do(operation)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return done

    def _do(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, ReadNodeValue):
            return self.values.get(operation.name)
        if isinstance(operation, KeepNodeValue):
            self.values[operation.name] = operation.value
            return None
        parts = (attestations.performs, deployments.performs)
        perform = next(p.by_type[type(operation)] for p in parts if type(operation) in p.by_type)
        return perform(self.connection, operation)


class AnybodysWord:
    """Lets everything be deployed, for tests that are about something else."""

    def stamp(self, project: str) -> tuple[int, SigningRule]:
        return (0, SigningRule(project=project))

    async def require(self, manifest: BundleManifest, by: Actor) -> Admitted:
        return Admitted(vouchers=(), needed=1)

    async def require_possible(
        self, project: str, function: str, key: str | None, by: Actor, *, sigstore: bool
    ) -> None:
        """Any key will do."""

    def look_ahead(self, versions: Sequence[Version]) -> None:
        """There is nothing to look at."""


def signatures(
    store: SqlAttestations | None = None,
    happened: Callable[[Fact], None] = lambda _fact: None,
    there_since: Callable[[str], float | None] = lambda _principal: 0.0,
    clock: Callable[[], float] = time.time,
    deleting: Callable[[], float] | None = None,
) -> Signatures:
    """Return what judges signatures, on a store in memory; everybody is there."""
    kept = store or SqlAttestations()
    keys = BuilderKeys(kept, happened, there_since, clock)
    return Signatures(kept, keys, happened, clock, deleting)
