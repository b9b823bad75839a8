"""The keys with which bundles are signed: whose they are, and whether they count.

In memory, written through to the store. One key can be of several principals: a person, and the
token on the same machine. To be revoked it is revoked for all of them.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable

import msgspec

from casemate.model.errors import ConflictError, NotFoundError, QuotaError
from casemate.model.facts import Actor, BuilderKeyAdded, BuilderKeyRevoked, Fact
from casemate.model.signing import NODE_KEY, BuilderKey
from casemate.model.still import require_still
from casemate.operations.attestations import KeepBuilderKey, ReadBuilderKeys
from casemate.signing import SigningKey, key_id, require_proof, require_public
from casemate.store.interface import Store

MAX_IN_FORCE = 32
"""Of one principal. With one more the oldest is revoked: builds that begin from nothing, as those
of CI, make a key each."""
MAX_KEPT = 10_000
"""Of one principal, revoked ones among them, which have to be known for good."""
_REPLACED = "replaced: there were as many newer ones as one may have"


class BuilderKeys:
    """One per gateway. Belongs to its event loop."""

    def __init__(
        self,
        store: Store,
        happened: Callable[[Fact], None],
        there_since: Callable[[str], float | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep keys in `store`. `there_since` tells since when there is a principal, if it is."""
        self._store = store
        self._happened = happened
        self._there_since = there_since
        self._clock = clock
        self._keys: dict[str, dict[str, BuilderKey]] = {}
        self._changing = asyncio.Lock()
        self.public: dict[str, bytes] = {}
        """Raw public keys by their ids, of all there are."""
        self.revision = 1
        """Counts up with each change."""

    async def load(self) -> None:
        """Read what is stored; at any time."""
        async with self._changing:
            found = await self._store.read(ReadBuilderKeys())
            keys: dict[str, dict[str, BuilderKey]] = {}
            for key in found:
                keys.setdefault(key.id, {})[key.principal] = key
            public = {key.id: base64.b64decode(key.public) for key in found}
            self._keys, self.public = keys, public
            self.revision += 1

    def _take_over(self, key: BuilderKey) -> None:
        self._keys.setdefault(key.id, {})[key.principal] = key
        self.public[key.id] = base64.b64decode(key.public)
        self.revision += 1

    def all(self) -> tuple[BuilderKey, ...]:
        """Return all, oldest first."""
        every = [key for owners in self._keys.values() for key in owners.values()]
        return tuple(sorted(every, key=lambda key: (key.added_at, key.id, key.principal)))

    def of_id(self, key_id: str) -> tuple[BuilderKey, ...]:
        """Return a key as each of its principals has it."""
        return tuple(self._keys.get(key_id, {}).values())

    def is_of(self, key_id: str, principal: str) -> bool:
        """Tell whether a key is in force, and of a principal who may come in and is the same."""
        key = self._keys.get(key_id, {}).get(principal)
        since = self._there_since(principal)
        return (
            key is not None
            and key.revoked_at is None
            and since is not None
            and since <= key.added_at
        )

    def counts(self, key_id: str) -> bool:
        """Tell whether a key is in force, of anybody who may come in."""
        return any(self.is_of(key_id, principal) for principal in self._keys.get(key_id, {}))

    def counted_at(self, key_id: str, moment: float) -> bool:
        """Tell whether what was deployed with a key at a moment still has its word."""
        owners = self.of_id(key_id)
        return bool(owners) and all(key.since is None or moment < key.since for key in owners)

    def require_unrevoked(self, key_id: str) -> None:
        """Raise ConflictError for a key that was revoked, whoever had it."""
        if any(key.revoked_at is not None for key in self.of_id(key_id)):
            raise ConflictError(
                f"The key {key_id[:12]} was revoked.",
                next_step="Make another: where you build, remove the file of the old one "
                "(`~/.config/casemate/builder.key`, or what CASEMATE_BUILDER_KEY names), and "
                "deploy again.",
            )

    # -- changes -------------------------------------------------------------------------------

    async def enrol(
        self, public: str, proof: str, name: str, *, by: Actor, token: str
    ) -> BuilderKey:
        """Have a key be one of `by`, who shows the token with that id; return it.

        Raises InvalidInputError for what is no key or no proof, ConflictError for one that was
        revoked, QuotaError.
        """
        raw = require_public(public)
        require_proof(raw, token, proof)
        identity = key_id(raw)
        async with self._changing:
            require_still()
            known = self._keys.get(identity, {})
            self.require_unrevoked(identity)
            if self.is_of(identity, by.principal):
                return known[by.principal]
            since = self._there_since(by.principal)
            own = [key for key in self.all() if key.principal == by.principal]
            if len(own) >= MAX_KEPT:
                raise QuotaError(
                    f"{by.principal} has had {len(own)} keys, expected at most {MAX_KEPT}.",
                    next_step="Keep one key and use it again: CASEMATE_BUILDER_KEY names its file.",
                )
            key = BuilderKey(
                id=identity,
                principal=by.principal,
                public=public,
                name=name,
                # A clock that was set back, or is behind that of the node where who asks was
                # added, would make it a key of somebody who had the name before.
                added_at=max(self._clock(), since or 0.0),
            )
            await self._keep(key)
            self._happened(
                BuilderKeyAdded(
                    at=key.added_at,
                    by=by.principal,
                    remote_address=by.remote_address,
                    key=identity,
                    first=not own,
                )
            )
            in_force = [one for one in own if one.revoked_at is None and one.id != identity]
            for old in in_force[: max(0, len(in_force) + 1 - MAX_IN_FORCE)]:
                await self._revoke_one(old, _REPLACED, None, by)
            return key

    async def revoke(
        self, identity: str, reason: str, since: float | None, *, by: Actor
    ) -> tuple[BuilderKey, ...]:
        """Revoke a key for all whose it is; return it as each of them has it.

        Revoked again, `since` can only go back. NotFoundError if there is none.
        """
        async with self._changing:
            require_still()
            owners = self.of_id(identity)
            if not owners or any(key.principal == NODE_KEY for key in owners):
                raise NotFoundError(
                    f"There is no key {identity[:12]}.", next_step="`casemate keys ls` lists them."
                )
            for key in owners:
                await self._revoke_one(key, reason, since, by)
            return self.of_id(identity)

    async def _revoke_one(
        self, key: BuilderKey, reason: str, since: float | None, by: Actor
    ) -> None:
        now = self._clock()
        moment = now if since is None else min(since, now)
        if key.since is not None:
            moment = min(moment, key.since)
        await self._keep(
            msgspec.structs.replace(
                key, revoked_at=now, revoked_by=by.principal, reason=reason, since=moment
            )
        )
        self._happened(
            BuilderKeyRevoked(
                at=now,
                by=by.principal,
                remote_address=by.remote_address,
                key=key.id,
                since=moment,
                reason=reason,
            )
        )

    async def make_own(self) -> SigningKey:
        """Return a new key of the node itself. Its private half is kept nowhere."""
        made = SigningKey.made()
        async with self._changing:
            await self._keep(
                BuilderKey(
                    id=made.id,
                    principal=NODE_KEY,
                    public=base64.b64encode(made.public).decode(),
                    name="for what was deployed before signatures were asked for",
                    added_at=self._clock(),
                )
            )
        return made

    async def _keep(self, key: BuilderKey) -> None:
        await self._store.change(KeepBuilderKey(key=key))
        self._take_over(key)
