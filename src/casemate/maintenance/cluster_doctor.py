"""What holds of the places that nodes share: the database, the bucket, the other nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from casemate import __version__
from casemate.maintenance.finding import Finding, missing
from casemate.model.nodes import GONE_SECONDS, MAX_CLOCK_OFF
from casemate.model.processes import DATABASES_VARIABLE, OBJECTS_VARIABLE, STORE_VARIABLE
from casemate.supervisor.shared_places import url_of, urls_of

if TYPE_CHECKING:
    from casemate.postgresql.driver import Connection

GUIDE: Final = "See docs/howto/run-many-nodes.md."
_ASK: Final = b"""
    SELECT extract(epoch FROM clock_timestamp())::float8,
        current_setting('synchronous_standby_names')
"""
_HAS_NODES: Final = b"SELECT to_regclass('node') IS NOT NULL"
_IS_MADE: Final = b"SELECT to_regclass('casemate_schema') IS NOT NULL"
_SCHEMA: Final = b"SELECT kind, cluster, version, least FROM casemate_schema"
_IS_BOUND: Final = b"SELECT to_regclass('bound') IS NOT NULL"
_BOUND: Final = b"SELECT name FROM bound"
_NODES: Final = b"""
    SELECT name, version, extract(epoch FROM clock_timestamp())::float8 - seen_at FROM node
    ORDER BY name LIMIT 1000
"""


class _Schema(NamedTuple):
    """What a schema says of itself."""

    kind: str
    cluster: str
    version: int
    least: int


class _Other(NamedTuple):
    name: str
    version: str
    silent: float


def examine_cluster(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Return what holds of the places that the environment names; nothing where it names none.

    Nothing is written there, and no password sent to a server that does not prove itself.
    Takes some seconds where a server does not answer.
    """
    found: list[Finding] = []
    clusters: list[str] = []
    if store := environ.get(STORE_VARIABLE):
        found += _looked("database", lambda: _main_database(url_of(store), clusters))
    if databases := environ.get(DATABASES_VARIABLE):
        found += _looked("databases", lambda: _other_databases(urls_of(databases)))
    if objects := environ.get(OBJECTS_VARIABLE):
        found += _looked("bucket", lambda: _bucket(objects, environ, clusters))
    return found


def _looked(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - what cannot be examined does not hold
        return [missing(name, error)]


def _main_database(url: str, clusters: list[str]) -> list[Finding]:
    """Return what holds of it; `clusters` gets the id of the one whose it is."""
    # Here: who runs one node alone has no library for it.
    from casemate.store.postgresql.store import SCHEMA

    found, server = _database(url, SCHEMA, "")
    with server:
        made = server.execute(_IS_MADE).fetchone()
        said = server.execute(_SCHEMA).fetchone() if made is not None and made[0] else None
        schema = None if said is None else _Schema(*said)
        row = server.execute(_HAS_NODES).fetchone()
        has_nodes = row is not None and bool(row[0])
        others = [_Other(*one) for one in server.execute(_NODES).fetchall()] if has_nodes else []
    if schema is not None:
        clusters.append(schema.cluster)
    return [*found, _version(schema), *([_nodes(others)] if has_nodes else [])]


def _other_databases(urls: Mapping[str, str]) -> list[Finding]:
    """Return what holds of each; one that is away hides none of the others."""
    with ThreadPoolExecutor(max(1, len(urls)), thread_name_prefix="databases") as threads:
        asked = [
            threads.submit(_looked, f"database {name}", partial(_other_database, name, url))
            for name, url in urls.items()
        ]
        return [finding for one in asked for finding in one.result()]


def _other_database(name: str, url: str) -> list[Finding]:
    from casemate.data.postgresql.catalogue import SCHEMA

    found, server = _database(url, SCHEMA, f" {name}")
    with server:
        row = server.execute(_IS_BOUND).fetchone()
        told = server.execute(_BOUND).fetchone() if row is not None and row[0] else None
    said = "nobody's yet" if told is None else str(told[0])[:80]
    return [
        *found,
        Finding(
            name=f"name of database {name}",
            holds=told is None or said == name,
            detail=f"it says that it is {said}",
            next_step="" if told is None or said == name else "Look at the URLs of --databases",
        ),
    ]


def _database(url: str, schema: str, which: str) -> tuple[list[Finding], Connection]:
    """Return what holds of a server, and the connection to it, to be closed."""
    from casemate.postgresql.session import connected
    from casemate.postgresql.settings import Settings

    session = connected(Settings.of_url(url, weak_tls_accepted=False), schema)
    server = session.server
    try:
        asked = time.time()
        row = server.execute(_ASK).fetchone()
        answered = time.time()
    except BaseException:
        server.close()
        raise
    now, standbys = row if row is not None else (0.0, "")
    life = session.life
    found = [
        Finding(
            name=f"database{which}",
            holds=not session.doubts,
            detail="; ".join((*session.doubts, f"timeline {life.timeline}, system {life.system}")),
            next_step=GUIDE if session.doubts else "",
        ),
        Finding(
            name=f"synchronous standbys{which and f' of{which}'}",
            holds=bool(standbys),
            required=False,
            detail=standbys or "none: acknowledged data is on only one machine",
            next_step="" if standbys else f"Set synchronous_standby_names. {GUIDE}",
        ),
        _clock((asked + answered) / 2 - now, which),
    ]
    return found, server


def _clock(off: float, which: str) -> Finding:
    return Finding(
        name=f"clock{which and f' against{which}'}",
        holds=abs(off) <= MAX_CLOCK_OFF / 2,
        detail=f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the database's",
        next_step="" if abs(off) <= MAX_CLOCK_OFF / 2
        else f"Set it by NTP: more than {MAX_CLOCK_OFF:.0f} s and the node takes no calls.",
    )  # fmt: skip


def _version(schema: _Schema | None) -> Finding:
    from casemate.store.postgresql.schema import MIGRATIONS
    from casemate.store.postgresql.store import KIND

    known = len(MIGRATIONS)
    if schema is None:
        detail = "is not there yet: the first node makes it"
        return Finding(name="schema", holds=True, detail=detail)
    if schema.kind != KIND:
        return Finding(
            name="schema",
            holds=False,
            detail=f"holds the {schema.kind[:40]}; expected the {KIND}",
            next_step="It was moved, or is being moved: docs/howto/move-to-postgresql.md",
        )
    detail = f"version {schema.version}, of the cluster {schema.cluster[:64]}"
    if schema.version < known:
        return Finding(
            name="schema", holds=True, detail=f"{detail}; the next start brings it to {known}"
        )
    return Finding(
        name="schema",
        holds=schema.least <= known,
        detail=detail if schema.version == known else f"{detail}; this Casemate knows {known}",
        next_step="" if schema.least <= known else "Start the newest Casemate that any node has.",
    )


def _nodes(others: list[_Other]) -> Finding:
    there = [one for one in others if one.silent < GONE_SECONDS]
    versions = {one.version for one in there} - {__version__}
    names = ", ".join(f"{one.name} {one.version}" for one in there) or "none"
    gone = len(others) - len(there)
    return Finding(
        name="nodes",
        holds=not versions,
        required=False,
        detail=f"{names}; {gone} gone",
        next_step=f"This is {__version__}: end the upgrade." if versions else "",
    )


def _bucket(url: str, environ: Mapping[str, str], clusters: Sequence[str]) -> list[Finding]:
    """Return what holds of it. Raises BlobsError, also if it is not of the database's cluster."""
    from casemate.blobs.credentials import credentials_of
    from casemate.blobs.identity import KEY, require_identity
    from casemate.blobs.s3_client import S3Client
    from casemate.blobs.s3_url import parse_s3_url

    client = S3Client(parse_s3_url(url, frozenset()), credentials_of(environ))
    try:
        began = time.monotonic()
        claimed = client.get_small(KEY, 4096) is not None
        took = time.monotonic() - began
        if claimed and clusters:
            require_identity(client, clusters[0], None)
    finally:
        client.close()
    said = (
        "is nobody's yet" if not claimed else "is the cluster's" if clusters else "is a cluster's"
    )
    return [Finding(name="bucket", holds=True, detail=f"answers in {took:.2f} s; it {said}")]
