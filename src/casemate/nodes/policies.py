"""Custom policies as other nodes may have changed them."""

from __future__ import annotations

import asyncio

from casemate.operations.policies import ReadPolicies
from casemate.policy.interface import ManagedPolicy
from casemate.store.interface import Store

TOPICS = frozenset({"policy_file"})


async def renew(store: Store, policy: ManagedPolicy) -> None:
    """Put in force what is stored; `policy.changes` is held.

    Raises StoreError, PolicyError: then what was in force stays.
    """
    files = await store.read(ReadPolicies())
    if files != policy.files:
        policy.activate(await asyncio.to_thread(policy.prepare, files))


async def reload(store: Store, policy: ManagedPolicy) -> None:
    """Do so at any time."""
    async with policy.changes:
        await renew(store, policy)
