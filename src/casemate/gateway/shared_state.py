"""The state of a node that is one of many: a PostgreSQL, and an S3-compatible store.

Which cluster it is the vault says: all of its nodes have one vault. A database and a bucket belong
to one cluster, and refuse every other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Sequence

from casemate.blobs import S3Store, credentials_of, parse_s3_url
from casemate.blobs.s3_client import S3Client
from casemate.blobs.s3_url import PLAINTEXT
from casemate.data.postgresql.data import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.folder.folders import Folders
from casemate.folder.presence import FENCE, mark_shared
from casemate.gateway.fetched_bundles import FetchedBundles
from casemate.gateway.known_projects import KnownProjects
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.gateway.shared_vault import VaultKeeper, vault_part
from casemate.gateway.state import State
from casemate.model.errors import UnavailableError
from casemate.model.processes import OBJECTS_VARIABLE, STORE_VARIABLE, GatewayConfig
from casemate.nodes import Among, IdentityFile, Self
from casemate.postgresql.fence import Fence
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreForeignError
from casemate.store.postgresql.store import PostgresqlStore
from casemate.vault import VaultClient, VaultUnavailableError
from casemate.vault.key_material import take_variable

_CACHE_SHARE = 10
"""What part of the data folder's file system the copies of bundles may take: one of so many."""


async def open_shared(
    config: GatewayConfig, folders: Folders, vault: VaultClient, own: Self
) -> State:
    """Open what the environment names. Raises CasemateError, with nothing left open."""
    unproved = config.unproved_store
    settings = Settings.of_url(take_variable(STORE_VARIABLE).decode(), weak_tls_accepted=unproved)
    place = parse_s3_url(
        take_variable(OBJECTS_VARIABLE).decode(), frozenset({PLAINTEXT} if unproved else ())
    )
    cluster = (await vault.status()).vault
    async with contextlib.AsyncExitStack() as opened:
        places = opened.enter_context(contextlib.ExitStack())
        fence = await asyncio.to_thread(_open_fence, folders, config.accepted_losses)
        places.callback(fence.close)
        store = await asyncio.to_thread(_open_store, settings, cluster, fence)
        opened.push_async_callback(store.close)
        opened.callback(await _share_vault(config, vault, store))
        client = S3Client(place, credentials_of(os.environ))
        objects = await asyncio.to_thread(S3Store, client, cluster)
        places.callback(objects.close)
        nodes = Among(store, IdentityFile(folders.data), own, shared=store)
        await nodes.begin()
        opened.push_async_callback(nodes.close)
        known = KnownProjects(store)
        data = await PostgresqlProjectData.open(
            Cluster(settings, cluster, _holder(nodes), fence),
            lambda project: objects.blobs(f"objects/{project}"),
            vault.data_key,
            on_created=known.add,
        )
        bundles = FetchedBundles(
            SealedFolder(folders.bundles),
            objects.blobs("bundles"),
            store.bundle_rows(),
            capacity=shutil.disk_usage(folders.bundles).total // _CACHE_SHARE,
        )
        places.callback(bundles.close)
        await asyncio.to_thread(mark_shared, folders)
        opened.pop_all()
    return State(
        store=store,
        nodes=nodes,
        known=known,
        data=data,
        bundles=bundles,
        parts=(vault_part(vault, data.take_newest_keys),),
        shipped=store.shipped_records(),
        sweep_bundles=bundles.sweep,
        close_places=places.close,
    )


def _open_fence(folders: Folders, accepted: Sequence[str]) -> Fence:
    try:
        return Fence(folders.data / FENCE, accepted)
    except OSError as error:
        raise UnavailableError(
            f"{folders.data / FENCE}, which says what the database has acknowledged, cannot be "
            f"used: {error.strerror or error}.",
            next_step="see to the disk of the data folder, and whose the file is",
        ) from error


def _open_store(settings: Settings, cluster: str, fence: Fence) -> PostgresqlStore:
    try:
        return PostgresqlStore.open(settings, cluster=cluster, fence=fence)
    except StoreForeignError as error:
        raise StoreForeignError(
            error.message,
            next_step="To have this node join the cluster that is there, start it with an empty "
            "data folder and that cluster's master key; else give it a database of its own.",
        ) from error


async def _share_vault(
    config: GatewayConfig, vault: VaultClient, store: PostgresqlStore
) -> Callable[[], None]:
    """Have the vault be the cluster's; return what ends that. Raises VaultError."""
    if config.vault_keeper is None:
        raise VaultUnavailableError(
            "The gateway was given no way to answer the vault.", next_step="start the node anew"
        )
    loop = asyncio.get_running_loop()
    keeper = VaultKeeper(
        socket.socket(fileno=config.vault_keeper),
        loop,
        store.vault_rows(),
        # The gateway begins anew without a vault, with another connection of each kind.
        lost=vault.close,
    )
    try:
        await vault.follow()
    except BaseException:
        keeper.close()
        raise
    return keeper.close


def _holder(nodes: Among) -> Holder:
    membership = nodes.membership
    return Holder(membership.id, str(membership.incarnation))
