"""What holds of the places that nodes share: the database, the bucket, the other nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from casemate import __version__
from casemate.maintenance.finding import Finding, missing
from casemate.model.errors import CasemateError
from casemate.model.nodes import GONE_SECONDS, MAX_CLOCK_OFF
from casemate.model.processes import OBJECTS_VARIABLE, STORE_VARIABLE

GUIDE: Final = "docs/howto/run-many-nodes.md says how"
_ASK: Final = b"""
    SELECT extract(epoch FROM clock_timestamp())::float8,
        current_setting('synchronous_standby_names'),
        to_regclass('node') IS NOT NULL
"""
_NODES: Final = b"""
    SELECT name, version, extract(epoch FROM clock_timestamp())::float8 - seen_at FROM node
    ORDER BY name LIMIT 1000
"""


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
    for variable, look in ((STORE_VARIABLE, _database), (OBJECTS_VARIABLE, _bucket)):
        if url := environ.get(variable):
            try:
                found += look(url, environ)
            except (CasemateError, ImportError) as error:
                name = "database" if look is _database else "bucket"
                found.append(missing(name, error))
    return found


def _database(url: str, _environ: Mapping[str, str]) -> list[Finding]:
    # Here: who runs one node alone has no library for it.
    from casemate.postgresql.session import connected
    from casemate.postgresql.settings import Settings
    from casemate.store.postgresql.store import SCHEMA

    session = connected(Settings.of_url(url, weak_tls_accepted=False), SCHEMA)
    with session.server as server:
        asked = time.time()
        row = server.execute(_ASK).fetchone()
        answered = time.time()
        now, standbys, has_nodes = row if row is not None else (0.0, "", False)
        others = [_Other(*one) for one in server.execute(_NODES).fetchall()] if has_nodes else []
    life = session.life
    found = [
        Finding(
            name="database",
            holds=not session.doubts,
            detail="; ".join((*session.doubts, f"timeline {life.timeline}, system {life.system}")),
            next_step=GUIDE if session.doubts else "",
        ),
        Finding(
            name="synchronous standbys",
            holds=bool(standbys),
            required=False,
            detail=standbys or "none: what is acknowledged is on one machine alone",
            next_step="" if standbys else f"synchronous_standby_names is empty; {GUIDE}",
        ),
        _clock((asked + answered) / 2 - now),
    ]
    return [*found, *_schema(others, has_nodes=has_nodes)]


def _clock(off: float) -> Finding:
    return Finding(
        name="clock",
        holds=abs(off) <= MAX_CLOCK_OFF / 2,
        detail=f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the database's",
        next_step="" if abs(off) <= MAX_CLOCK_OFF / 2
        else f"set it by NTP: more than {MAX_CLOCK_OFF:.0f} s and the node takes no calls",
    )  # fmt: skip


def _schema(others: list[_Other], *, has_nodes: bool) -> list[Finding]:
    if not has_nodes:
        detail = "is not there yet: the first node makes it"
        return [Finding(name="schema", holds=True, detail=detail)]
    there = [one for one in others if one.silent < GONE_SECONDS]
    versions = {one.version for one in there} - {__version__}
    names = ", ".join(f"{one.name} {one.version}" for one in there) or "none"
    gone = len(others) - len(there)
    return [
        Finding(
            name="nodes",
            holds=not versions,
            required=False,
            detail=f"{names}; {gone} gone",
            next_step=f"this is {__version__}: end the upgrade" if versions else "",
        )
    ]


def _bucket(url: str, environ: Mapping[str, str]) -> list[Finding]:
    from casemate.blobs.credentials import credentials_of
    from casemate.blobs.identity import KEY
    from casemate.blobs.s3_client import S3Client
    from casemate.blobs.s3_url import parse_s3_url

    client = S3Client(parse_s3_url(url, frozenset()), credentials_of(environ))
    try:
        began = time.monotonic()
        claimed = client.get_small(KEY, 4096) is not None
        took = time.monotonic() - began
    finally:
        client.close()
    said = "is a cluster's" if claimed else "is nobody's yet"
    return [Finding(name="bucket", holds=True, detail=f"answers in {took:.2f} s; it {said}")]
