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
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from casemate.blobs import BlobsForeignError, S3Store, credentials_of, parse_s3_url
from casemate.blobs.credentials import Credentials
from casemate.blobs.identity import require_not_anothers
from casemate.blobs.s3_client import S3Client
from casemate.blobs.s3_url import PLAINTEXT, S3Url
from casemate.data.postgresql.binding import MAIN, Binding
from casemate.data.postgresql.databases import Cluster
from casemate.data.postgresql.placed import PlacedProjectData
from casemate.data.terms import Holder
from casemate.folder.folders import Folders
from casemate.folder.presence import FENCE, PROOF, mark_shared
from casemate.gateway.bucket_watch import BucketWatch, asking
from casemate.gateway.fetched_bundles import FetchedBundles
from casemate.gateway.known_projects import KnownProjects
from casemate.gateway.project_moves import ProjectMoves
from casemate.gateway.project_places import ProjectPlaces
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.gateway.shared_vault import VaultKeeper, vault_part
from casemate.gateway.state import State
from casemate.model.errors import UnavailableError
from casemate.model.processes import (
    DATABASES_VARIABLE,
    OBJECTS_VARIABLE,
    STORE_VARIABLE,
    GatewayConfig,
)
from casemate.nodes import Among, IdentityFile, Self
from casemate.postgresql.fence import Fence
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreForeignError, StoreMovedError
from casemate.store.interface import Store
from casemate.store.postgresql.proofs import Proofs, SeenFile
from casemate.store.postgresql.proofs.seen import DAMAGED
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.value import KeptValue
from casemate.vault import VaultClient, VaultStatus, VaultUnavailableError
from casemate.vault.interface import Purpose
from casemate.vault.key_material import take_variable
from casemate.vault.state import NEW

_BUCKET = "bucket"
"""The store's value that says which one the cluster has. It is not moved (migration.tables)."""
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
    others = _databases(unproved=unproved)
    status = await vault.status()
    cluster = status.vault
    async with contextlib.AsyncExitStack() as opened:
        places = opened.enter_context(contextlib.ExitStack())
        credentials = credentials_of(os.environ)
        client = S3Client(place, credentials)
        places.callback(client.close)
        await asyncio.to_thread(require_not_anothers, client, cluster)
        fence = await asyncio.to_thread(_open_fence, folders, config.accepted_losses)
        places.callback(fence.close)
        store = await asyncio.to_thread(_open_store, settings, status, fence)
        opened.push_async_callback(store.close)
        opened.callback(await _share_vault(config, vault, store))
        seen = await asyncio.to_thread(_open_seen, folders, config.accepted_losses)
        places.callback(seen.close)
        proofs = await _proved(config, vault, store, seen)
        objects = await open_objects(client, cluster, store)
        places.callback(objects.close)
        watch = _watch(places, place, credentials, cluster, objects.bucket)
        nodes = Among(store, IdentityFile(folders.data), own, shared=store)
        await nodes.begin()
        opened.push_async_callback(nodes.close)
        known = KnownProjects(store)
        where, bindings = await _open_places(store, others)
        fences = {MAIN: fence}
        for name in others:
            fences[name] = await _fence_of(name, folders, config.accepted_losses)
            places.callback(fences[name].close)
        data = await PlacedProjectData.open(
            _clusters(cluster, _holder(nodes), {MAIN: settings, **others}, fences, bindings, where),
            lambda project: objects.blobs(f"objects/{project}"),
            vault.data_key,
            where,
            on_created=known.add,
        )
        where.on_changed = data.follow_places
        bundles = _bundles(folders, objects, store)
        places.callback(bundles.close)
        await asyncio.to_thread(mark_shared, folders)
        opened.pop_all()
    return State(
        store=store,
        nodes=nodes,
        known=known,
        data=data,
        databases=data.databases,
        moves=ProjectMoves(where, data),
        bundles=bundles,
        parts=(vault_part(vault, data.take_newest_keys), where.part()),
        shipped=store.shipped_records(),
        numbers=store.number_rows(),
        sweep_bundles=bundles.sweep,
        bucket=watch.problems,
        tell_refusals=partial(setattr, proofs, "on_refused"),
        close_places=places.close,
    )


async def open_objects(client: S3Client, cluster: str, store: Store) -> S3Store:
    """Open the cluster's bucket, the one that was there first. Raises BlobsError, StoreError."""
    value = KeptValue(store, _BUCKET)
    known = await value.read()
    expected = None if known is None else known.decode("ascii", "replace")
    objects = await asyncio.to_thread(S3Store, client, cluster, expected)
    try:
        if known is None:
            await value.write(objects.bucket.encode())
    except StoreMovedError as error:
        objects.close()
        raise BlobsForeignError(
            f"Another node has joined with a bucket while this one did with {client.url}.",
            next_step="Start this node again; it tells whether they are the same.",
        ) from error
    except BaseException:
        objects.close()
        raise
    return objects


def _bundles(folders: Folders, objects: S3Store, store: PostgresqlStore) -> FetchedBundles:
    return FetchedBundles(
        SealedFolder(folders.bundles),
        objects.blobs("bundles"),
        store.bundle_rows(),
        capacity=shutil.disk_usage(folders.bundles).total // _CACHE_SHARE,
    )


def _watch(
    places: contextlib.ExitStack, url: S3Url, credentials: Credentials, cluster: str, bucket: str
) -> BucketWatch:
    ask, close = asking(url, credentials, cluster, bucket)
    places.callback(close)
    return BucketWatch(ask)


def _clusters(
    cluster: str,
    holder: Holder,
    settings: Mapping[str, Settings],
    fences: Mapping[str, Fence],
    bindings: Mapping[str, Binding],
    where: ProjectPlaces,
) -> list[Cluster]:
    """Return each database in which projects live, and what this node knows of it."""
    return [
        Cluster(each, cluster, holder, fences[name], bindings[name], where.moves_in(name))
        for name, each in settings.items()
    ]


async def _open_places(
    store: Store, others: Mapping[str, Settings]
) -> tuple[ProjectPlaces, Mapping[str, Binding]]:
    """Read where projects live, and which databases those are. Raises StoreError."""
    where = ProjectPlaces(store)
    await where.load()
    return where, await where.bindings(others)


def _databases(*, unproved: bool) -> dict[str, Settings]:
    """Return the other databases of projects, by name."""
    if DATABASES_VARIABLE not in os.environ:
        return {}
    urls = msgspec.json.decode(take_variable(DATABASES_VARIABLE), type=dict[str, str])
    return {name: Settings.of_url(url, weak_tls_accepted=unproved) for name, url in urls.items()}


def _open_fence(folders: Folders, accepted: Sequence[str], name: str = FENCE) -> Fence:
    path = folders.data / name
    try:
        return Fence(path, accepted)
    except OSError as error:
        raise UnavailableError(
            f"{path}, which says what the database has acknowledged, cannot be "
            f"used: {error.strerror or error}.",
            next_step="See to the disk of the data folder, and whose the file is.",
        ) from error


async def _fence_of(database: str, folders: Folders, accepted: Sequence[str]) -> Fence:
    return await asyncio.to_thread(_open_fence, folders, accepted, f"{database}.{FENCE}")


async def _proved(
    config: GatewayConfig, vault: VaultClient, store: PostgresqlStore, seen: SeenFile
) -> Proofs:
    """Have the store believe what the vault's key proves, nothing else. Raises StoreProofError."""
    # Before the store is asked: the vault may make the key, and keep it there.
    newest = await vault.data_key("", Purpose.PROOFS)
    proofs = Proofs(newest, seen, config.accepted_losses)
    await store.prove(proofs, partial(vault.data_key, "", Purpose.PROOFS))
    return proofs


def _open_seen(folders: Folders, accepted: Sequence[str]) -> SeenFile:
    path = folders.data / PROOF
    try:
        return SeenFile(path, forget=DAMAGED in accepted)
    except OSError as error:
        raise UnavailableError(
            f"{path}, which says what was seen of the control database, cannot be used: "
            f"{error.strerror or error}.",
            next_step="See to the disk of the data folder, and whose the file is.",
        ) from error


def _open_store(settings: Settings, vault: VaultStatus, fence: Fence) -> PostgresqlStore:
    try:
        return PostgresqlStore.open(settings, cluster=vault.vault, fence=fence)
    except StoreForeignError as error:
        raise StoreForeignError(
            error.message,
            next_step="Another node may have begun at the same moment and been first: start this "
            "one again, and it joins if it has the same master key."
            if vault.generation == NEW
            else "To have this node join the cluster that is there, start it with an empty "
            "data folder and that cluster's master key; else give it a database of its own.",
        ) from error


async def _share_vault(
    config: GatewayConfig, vault: VaultClient, store: PostgresqlStore
) -> Callable[[], None]:
    """Have the vault be the cluster's; return what ends that. Raises VaultError."""
    if config.vault_keeper is None:
        raise VaultUnavailableError(
            "The gateway was given no way to answer the vault.", next_step="Restart the node."
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
