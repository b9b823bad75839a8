"""A node's keys and attestations on a store in memory, with a clock of its own."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from casemate.model.bundle import BundleManifest
from casemate.model.deployment import NewVersion, Version
from casemate.model.facts import Actor, Fact
from casemate.model.signing import Envelope
from casemate.operations.deployments import KeepVersions
from casemate.signing import SigningKey, proof_of
from support.core import spec
from support.signing import SqlAttestations, attestation
from support.signing import signatures as made_signatures

ADA, BOB, CI = (Actor(name, "192.0.2.7") for name in ("user:ada", "user:bob", "token:c1"))
SBOM = b'{"bomFormat":"CycloneDX","metadata":{}}'
NOW = 1_800_000_000.0


def manifest(project: str = "t", function: str = "f", **changes: Any) -> BundleManifest:
    return BundleManifest(project=project, function=spec(function, **changes), lock_sha256=None)


class Node:
    """Keys and attestations on a store in memory."""

    def __init__(self) -> None:
        self.store = SqlAttestations()
        self.told: list[Fact] = []
        self.since: dict[str, float] = dict.fromkeys((ADA[0], BOB[0], CI[0]), 0.0)
        self.now = NOW
        self.ahead = 0.0
        """By how many seconds its clock is ahead."""
        self.open()

    def open(self) -> None:
        """Begin anew on what is stored."""
        self.signatures = made_signatures(
            self.store,
            self.told.append,
            self.since.get,
            lambda: self.now + self.ahead,
            lambda: self.now,
        )
        self.keys = self.signatures.keys

    async def enrol(self, by: Actor, key: SigningKey | None = None) -> SigningKey:
        key = key or SigningKey.made()
        public = base64.b64encode(key.public).decode()
        await self.keys.enrol(public, proof_of(key, "aa"), "laptop", by=by, token="aa")
        return key

    async def bring(
        self,
        by: Actor,
        key: SigningKey,
        what: BundleManifest | None = None,
        sigstore: str = "",
        **changes: Any,
    ) -> dict[str, Any]:
        what = what or manifest()
        sent = attestation(what, SBOM, key=key, **{"at": self.now + self.ahead, **changes})
        await self.send(by, what, sent, sigstore)
        return sent

    async def send(
        self, by: Actor, what: BundleManifest, sent: dict[str, Any], sigstore: str = ""
    ) -> None:
        envelopes = [msgspec.convert(sent[n], Envelope) for n in ("provenance", "sbom")]
        await self.signatures.bring(what.digest(), *envelopes, by=by, sigstore=sigstore)

    async def deploy(
        self, by: Actor, what: BundleManifest | None = None, sbom: bytes = SBOM
    ) -> Version:
        what = what or manifest()

        async def document() -> dict[str, Any]:
            return msgspec.json.decode(sbom)

        admitted = await self.signatures.admit(what, by=by, sbom=document)
        new = NewVersion(
            project=what.project,
            function=what.function.name,
            digest=what.digest(),
            spec=what.function,
            vouchers=admitted.vouchers,
            needed=admitted.needed,
        )
        (version,) = await self.store.change(KeepVersions(versions=(new,), by=by.principal))
        for voucher in admitted.vouchers:  # by the clock of the test
            self.store.connection.execute(
                "UPDATE attestation SET used_at = ? WHERE statement = ?",
                (self.now, voucher.statement),
            )
        return version

    def facts(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.told if type(fact) is kind]


Scene = Callable[[Node], Awaitable[None]]
OnNode = Callable[[Scene], None]


def play(scene: Scene) -> None:
    """Play a scene on a new node."""

    async def run() -> None:
        await asyncio.wait_for(scene(Node()), 20)

    asyncio.run(run())
