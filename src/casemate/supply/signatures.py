"""Whether enough of the right people vouch for a bundle: when it is deployed, and at each start."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from casemate.background import Background
from casemate.model.bundle import BundleManifest
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, InvalidInputError, NotFoundError
from casemate.model.facts import Actor, BundleTampered, Fact, SigningRuleChanged
from casemate.model.signing import NODE_KEY, Attestation, Envelope, SigningRule, Voucher
from casemate.model.still import require_still
from casemate.operations.attestations import (
    CountWaitingAttestations,
    KeepAttestations,
    KeepSigningRule,
    ReadAttestations,
    ReadSigningRules,
    ReadUnattested,
    ReadWaitingSigners,
)
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.signing import (
    SignatureError,
    Vouched,
    comparable_sbom,
    migrated_provenance,
    read_vouched,
    sealed,
)
from casemate.store.interface import Store
from casemate.supply.errors import (
    NotVouchedError,
    too_many,
    unsigned,
    unsigned_ahead,
    unsigned_by_signers,
)
from casemate.supply.keys import BuilderKeys
from casemate.supply.signers import (
    DAY,
    MAX_AGE_SECONDS,
    MAX_AHEAD_SECONDS,
    read_signing,
    require_fresh,
    require_usable,
    signed_for,
    used_signings,
)

KEPT_SECONDS = MAX_AGE_SECONDS + MAX_AHEAD_SECONDS + DAY
"""How long one is known with which nothing was deployed, or what it was deployed as is gone: until
it is too old to be used again."""
MAX_WAITING = 256
"""Of one principal."""
MAX_WAITING_BYTES = 64 << 20
MAX_HELD = 50_000
"""Bundles of which it is remembered that they are vouched for."""
MAX_DEPLOYED = 1000
"""Versions that wait to be looked at; of more the oldest are looked at when they are started."""
_BATCH = 500
_BEGUN = "signing/begun"
_USED = "What was signed with Sigstore was used for another deploy."
_STEP = "Deploy with casemate deploy, which signs."
_ADMITTED_SECONDS = 3600.0


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """What a version can be deployed with."""

    vouchers: tuple[Voucher, ...]
    needed: int


class Signatures:
    """One per gateway. Belongs to its event loop."""

    def __init__(
        self,
        store: Store,
        keys: BuilderKeys,
        happened: Callable[[Fact], None],
        clock: Callable[[], float] = time.time,
        deleting: Callable[[], float] | None = None,
    ) -> None:
        """Keep what is brought in `store`, and forget by `deleting`, without it by `clock`.

        What is forgotten while the clock is ahead could be deployed again once that is right.
        """
        self._store = store
        self.keys = keys
        self._happened = happened
        self._clock = clock
        self._deleting = deleting or clock
        self._rules: dict[str, SigningRule] = {}
        self._held: dict[str, int] = {}
        """Bundles that were found vouched for, and at which revision of the keys."""
        self._told: set[str] = set()
        """Bundles of which it was told that nobody vouches for them."""
        self._admitted: dict[str, float] = {}
        """Bundles that may be started before there is a version of them, and until when."""
        self._deployed: deque[Version] = deque(maxlen=MAX_DEPLOYED)
        """Versions that are to be looked at before anybody wants one started."""
        self._looking = Background()
        self._bringing = asyncio.Lock()
        self._ruling = asyncio.Lock()

    async def load(self) -> None:
        """Read what is stored, and vouch for what was deployed before signatures were asked for."""
        await self.reload()
        if await self._store.read(ReadNodeValue(name=_BEGUN)) is None:
            await self._migrate()
            await self._store.change(KeepNodeValue(name=_BEGUN, value=b"1"))

    async def reload(self) -> None:
        """Read again which keys and rules there are. Raises StoreError."""
        await self.keys.load()
        async with self._ruling:
            found = await self._store.read(ReadSigningRules())
            self._rules = {rule.project: rule for rule in found}

    async def _migrate(self) -> None:
        found = await self._store.read(ReadUnattested())
        if not found:
            return
        # Forgotten with the end of this call: nobody can ever sign with it again.
        key = await self.keys.make_own()
        for start in range(0, len(found), _BATCH):
            batch = tuple(self._migrated(key, *one) for one in found[start : start + _BATCH])
            await self._store.change(KeepAttestations(attestations=batch))

    def _migrated(self, key: Any, digest: str, project: str, function: str) -> Attestation:
        payload = migrated_provenance(
            project, function, digest, builder=key.id, run=uuid.uuid4().hex
        )
        envelope = sealed(payload, (key,))
        said = read_vouched(digest, envelope, None, {key.id: key.public})
        now = self._clock()
        return Attestation(
            digest=digest,
            statement=said.statement,
            keys=(key.id,),
            principal=NODE_KEY,
            at=now,
            provenance=envelope,
            used_at=now,
        )

    # -- what is brought -----------------------------------------------------------------------

    async def bring(
        self, digest: str, provenance: Envelope, sbom: Envelope, *, by: Actor, sigstore: str = ""
    ) -> Attestation:
        """Keep what vouches for a bundle. It has to hold, and be signed by keys known here.

        So has what was signed with Sigstore, by the keys that the project trusts, if any was.

        Raises SignatureError, ConflictError if it was brought before, QuotaError.
        """
        await self._require_room(by)  # before it is read, which can take seconds
        said = await self._read(digest, provenance, sbom)
        self._require_fresh(said)
        signing = ""
        if sigstore:
            root = self.rule(said.project).trusted_root
            found = await asyncio.to_thread(read_signing, digest, sigstore, root, self._clock())
            signing = found.signing
        async with self._bringing:
            await self._require_room(by)
            now = self._clock()
            kept = Attestation(
                digest=digest,
                statement=said.statement,
                keys=tuple(sorted(said.keys)),
                principal=by.principal,
                at=now,
                provenance=provenance,
                sbom=sbom,
                sigstore=sigstore,
                signing=signing,
            )
            await self._store.change(
                KeepAttestations(
                    attestations=(kept,), forget_before=self._deleting() - KEPT_SECONDS
                )
            )
        return kept

    async def _require_room(self, by: Actor) -> None:
        waiting, size = await self._store.read(CountWaitingAttestations(principal=by.principal))
        if waiting >= MAX_WAITING or size >= MAX_WAITING_BYTES:
            raise too_many(by, waiting, size, most=(MAX_WAITING, MAX_WAITING_BYTES))

    async def _read(self, digest: str, provenance: Envelope, sbom: Envelope | None) -> Vouched:
        # An SBOM can have megabytes: not on the event loop.
        named = {one.keyid for one in provenance.signatures}
        public = {name: key for name in named if (key := self.keys.public.get(name)) is not None}
        return await asyncio.to_thread(read_vouched, digest, provenance, sbom, public)

    def _require_fresh(self, said: Vouched) -> None:
        if said.at is None:
            raise SignatureError("It does not say when it was signed.")
        require_fresh(said.at, self._clock(), "It was signed")

    async def of(self, digest: str) -> tuple[Attestation, ...]:
        """Return what a bundle was deployed with."""
        found = await self._store.read(ReadAttestations(digest=digest))
        return tuple(one for one in found if one.used_at is not None)

    # -- deploys -------------------------------------------------------------------------------

    async def admit(
        self, manifest: BundleManifest, *, by: Actor, sbom: Callable[[], Awaitable[dict[str, Any]]]
    ) -> Admitted:
        """Return what `by` can deploy a bundle with; `sbom` makes the SBOM of what is there.

        Raises UnsignedError if those whose word is needed have not given it.
        """
        making: asyncio.Future[bytes] | None = None

        def expected() -> asyncio.Future[bytes]:
            """Return what every signed SBOM has to be; made once, however many there are."""
            nonlocal making
            making = making or asyncio.ensure_future(_comparable(sbom()))
            return making

        digest, rule = manifest.digest(), self.rule(manifest.project)
        brought = await self._store.read(ReadAttestations(digest=digest))
        used, needed = used_signings(brought), rule.threshold if rule.keys else 1
        # Whose keys count is asked before what they have signed is read, and an SBOM made.
        waiting = [
            one
            for one in brought
            if one.used_at is None and one.signing not in used and self._usable(one, rule, by)
        ]
        usable = {key for one in waiting for key in self._usable(one, rule, by)}
        if len(usable) < needed:
            again = any(
                one.used_at is None and one.signing in used and self._usable(one, rule, by)
                for one in brought
            )
            raise unsigned(manifest, rule, len(usable), by, _USED if again else "")
        by_signer = None
        if rule.signers:
            by_signer = await asyncio.to_thread(signed_for, manifest, rule, brought, self._clock)
        vouchers: list[Voucher] = []
        counted: set[str] = set()
        reason = ""
        for one in reversed(waiting):  # the newest first
            if len(counted) >= needed:
                break
            try:
                said = await self._sound(one, manifest, expected)
            except InvalidInputError as error:
                reason = error.message
                continue
            fresh = {key for key in said.keys - counted if self._may(key, rule, by)}
            if fresh:
                counted |= fresh
                vouchers.append(Voucher(statement=said.statement, keys=tuple(sorted(fresh))))
        if len(counted) < needed:
            raise unsigned(manifest, rule, len(counted), by, reason)
        if by_signer and by_signer.statement not in {voucher.statement for voucher in vouchers}:
            vouchers.append(Voucher(statement=by_signer.statement, keys=()))
        self._admitted[digest] = self._clock() + _ADMITTED_SECONDS
        self._forget_admitted()
        return Admitted(vouchers=tuple(vouchers), needed=needed)

    async def require_possible(
        self, project: str, key: str | None, by: Actor, *, sigstore: bool
    ) -> None:
        """Raise what any bundle of a project would be refused for that is signed with `key` alone.

        That is beside what others have brought: their word may be on that very bundle.
        Raises UnsignedError, ConflictError, QuotaError.
        """
        await self._require_room(by)
        if key is not None:
            self.keys.require_unrevoked(key)
        rule = self.rule(project)
        keys = {key} & set(rule.keys)
        signed = sigstore or not rule.signers
        if len(keys) < rule.threshold or not signed:
            waiting = await self._store.read(ReadWaitingSigners())
            known = {one for names, _ in waiting for one in names}
            keys |= {one for one in known & set(rule.keys) if self.keys.counts(one)}
            signed = signed or any(with_sigstore for _, with_sigstore in waiting)
        if len(keys) < rule.threshold:
            raise unsigned_ahead(rule, len(keys), key)
        if not signed:
            raise unsigned_by_signers(rule)

    def _usable(self, kept: Attestation, rule: SigningRule, by: Actor) -> set[str]:
        """Return the keys that `by` can deploy with, of those that are said to have signed."""
        named = {one.keyid for one in kept.provenance.signatures}
        return {key for key in named if self._may(key, rule, by)}

    def _may(self, key: str, rule: SigningRule, by: Actor) -> bool:
        if not rule.keys:
            return self.keys.is_of(key, by.principal)
        return key in rule.keys and self.keys.counts(key)

    async def _sound(
        self,
        kept: Attestation,
        manifest: BundleManifest,
        expected: Callable[[], Awaitable[bytes]],
    ) -> Vouched:
        """Return what an attestation says of just this bundle. Raises SignatureError."""
        said = await self._read(kept.digest, kept.provenance, kept.sbom)
        self._require_fresh(said)
        if (said.project, said.function) != (manifest.project, manifest.function.name):
            raise SignatureError("The provenance is of another function.")
        if said.statement != kept.statement:
            raise SignatureError("The provenance is not the one that was brought.")
        signed = said.sbom
        if signed is None or await asyncio.to_thread(comparable_sbom, signed) != await expected():
            raise SignatureError(
                "The signed SBOM is not that of the bundle.",
                next_step="Build with the release that the node has, and sign again.",
            )
        return said

    def _forget_admitted(self) -> None:
        now = self._clock()
        for digest in [one for one, until in self._admitted.items() if until < now]:
            del self._admitted[digest]

    # -- rules ---------------------------------------------------------------------------------

    def rule(self, project: str) -> SigningRule:
        """Return a project's rule; one that asks for nothing if it has none."""
        return self._rules.get(project) or SigningRule(project=project)

    async def set_rule(self, rule: SigningRule, *, by: Actor) -> SigningRule:
        """Have a project ask for these. Raises NotFoundError, InvalidInputError."""
        require_usable(rule)
        for key in rule.keys:
            if not self.keys.counts(key):
                raise NotFoundError(
                    f"There is no key {key[:12]} in force.",
                    next_step="`casemate keys ls` lists them.",
                )
        kept = rule if rule.keys else msgspec.structs.replace(rule, threshold=0)
        async with self._ruling:
            require_still()
            await self._store.change(KeepSigningRule(rule=kept))
            if kept.asks:
                self._rules[rule.project] = kept
            else:
                self._rules.pop(rule.project, None)
        self._happened(
            SigningRuleChanged(
                at=self._clock(),
                by=by.principal,
                remote_address=by.remote_address,
                project=rule.project,
                keys=kept.keys,
                threshold=kept.threshold,
                signers=kept.signers,
            )
        )
        return kept

    # -- starts --------------------------------------------------------------------------------

    async def require(self, version: Version) -> None:
        """Raise NotVouchedError, and tell of it, unless somebody still vouches for a version.

        What was found once is remembered until a key changes.
        """
        digest = version.digest
        if version.number == 0:
            if self._admitted.get(digest, 0.0) < self._clock():
                raise NotVouchedError(f"Nobody vouches for the bundle {digest}.", next_step=_STEP)
            return
        revision = self.keys.revision
        if self._held.get(digest) == revision:
            return
        problem = await self._problem(digest)
        if problem:
            self._tell(version, problem)
            raise NotVouchedError(
                f"Nobody vouches for the bundle {digest} now: {problem}",
                next_step="Look at casemate verify, then sign it again: casemate deploy --force",
            )
        self._told.discard(digest)
        if len(self._held) >= MAX_HELD:
            self._held.clear()
        self._held[digest] = revision

    def look_ahead(self, versions: Iterable[Version]) -> None:
        """Find out beside everything else what `require` asks of versions just deployed.

        Somebody waits for a first call, and what many packages are said to be takes milliseconds.
        """
        self._deployed.extend(versions)
        self._looking.shared(self._look)

    async def _look(self) -> None:
        while self._deployed:
            # Told by then, or not known: then it is looked at again when it is to start.
            with contextlib.suppress(CasemateError):
                await self.require(self._deployed.popleft())

    async def close(self) -> None:
        """Look at no more."""
        await self._looking.close()

    async def _problem(self, digest: str) -> str:
        """Return why what a bundle was deployed with does not count; empty if it does."""
        keys: set[str] = set()
        needed: list[int] = []
        problem = "it was deployed with no signature that is kept."
        for one in await self.of(digest):
            if not one.keys:  # used for its Sigstore bundle alone
                continue
            try:
                said = await self._read(digest, one.provenance, one.sbom)
            except InvalidInputError as error:
                problem = error.message
                continue
            if said.statement != one.statement or not set(one.keys) <= said.keys:
                problem = "What is kept of its signatures does not belong together."
                continue
            # Of one that was not signed by a person only the node's own word is there.
            owners = {key.principal for name in one.keys for key in self.keys.of_id(name)}
            if said.migrated != (owners == {NODE_KEY}):
                problem = "It has the word of somebody who cannot give it."
                continue
            used_at = one.used_at or 0.0
            counted = {key for key in one.keys if self.keys.counted_at(key, used_at)}
            if not counted:
                problem = "The key that signed it is revoked, and was so when it was deployed."
                continue
            keys |= counted
            needed.append(one.needed)
        if not needed:
            return problem
        if len(keys) < min(needed):
            return f"{len(keys)} of {min(needed)} keys that have to vouch for it count."
        return ""

    def _tell(self, version: Version, problem: str) -> None:
        if version.digest in self._told:
            return
        if len(self._told) < MAX_HELD:
            self._told.add(version.digest)
        self._happened(
            BundleTampered(
                at=self._clock(),
                project=version.project,
                function=version.function,
                version=version.number,
                digest=version.digest,
                what="signature",
                reason=problem,
            )
        )


async def _comparable(sbom: Awaitable[dict[str, Any]]) -> bytes:
    document = await sbom
    return await asyncio.to_thread(comparable_sbom, document)
