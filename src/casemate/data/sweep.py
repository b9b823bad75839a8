"""What goes by itself: items and messages whose time is over, and what dropped resources held.

All of it is invisible before it is deleted; the sweep only gives the space back, in batches that
do not hold up others.
"""

from __future__ import annotations

from collections.abc import Callable

from casemate.data import invocations, leasing, letters, queues, tables
from casemate.data.errors import DataCorruptError, LimitError
from casemate.data.fanout import Fanout
from casemate.data.limits import INBOX_DEDUPLICATION_SECONDS
from casemate.data.registry import INBOX, QUEUE, TABLE, TOPIC, Registry
from casemate.data.terms import terms_of
from casemate.data.work import Work
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import savepoint

BATCH = 500


def sweep(
    work: Work,
    registry: Registry,
    fanout: Fanout,
    delete_files: Callable[[list[str]], None],
    now: float,
) -> bool:
    """Delete a batch of each kind of what is over by `now`; return True if there is more to do."""
    connection = work.connection
    more = _expired_items(work, registry, fanout, now)
    for resource in registry.values():
        if resource.kind in (QUEUE, TOPIC, INBOX):
            since = now - queues.spec_of(resource).retention
            more |= leasing.retire(work, resource, fanout, now, BATCH) == BATCH
            more |= letters.delete_old(connection, resource, since, BATCH) == BATCH
    more |= invocations.delete_old(connection, now, BATCH) == BATCH
    more |= drain(work, fanout)
    more |= queues.forget(connection, now - INBOX_DEDUPLICATION_SECONDS, BATCH) == BATCH
    files: list[str] = []
    more |= _dropped(connection, files)
    if files:
        work.after_commit(lambda: delete_files(files))
    return more


def drain(work: Work, fanout: Fanout) -> bool:
    """Hand on a batch of what topics hold; return True if more can follow at once."""
    more = False
    for topic in fanout.waiting_topics(work.connection):
        try:
            with savepoint(work.connection):
                more |= fanout.drain(work, topic)
        except LimitError:  # an inbox is full: what waits goes on waiting
            continue
    return more


def _expired_items(work: Work, registry: Registry, fanout: Fanout, now: float) -> bool:
    connection = work.connection
    by_id = {r.id: r for r in registry.values() if r.kind == TABLE}
    terms = terms_of(connection)
    rows = connection.execute(
        terms.within(
            "SELECT tab, key, sort, id, revision, expires_at, value, labels FROM item "
            "WHERE expires_at <= ? ORDER BY expires_at, id LIMIT ?",
            "value",
            "expires_at, id",
        ),
        (now, BATCH),
    ).fetchall()
    full = False
    for table, key, sort, identity, revision, expires_at, value, labels, *_ in rows:
        place = (key, sort)
        resource = by_id.get(table)
        if resource is None:
            connection.execute("DELETE FROM item WHERE id = ?", (identity,))
            continue
        try:
            row = tables.opened(
                terms, table, place, (identity, revision, expires_at, value, labels)
            )
            given = terms.scalar(place[0]), terms.scalar(place[1])
            with savepoint(connection):
                tables.remove(work, resource, fanout, given, row, "expired", now)
        except LimitError:  # an inbox is full: nobody sees the item, and it is told of later
            full = True
        except DataCorruptError:  # what cannot be told of stays, for somebody to look at
            full = True
    return len(rows) == BATCH and not full


def _dropped(connection: Connection, files: list[str]) -> bool:
    """Delete a batch of what the first dropped resource held. `files` gets names of files."""
    row = connection.execute("SELECT id, kind FROM dropped ORDER BY id LIMIT 1").fetchone()
    if row is None:
        return False
    identity = row[0]
    doomed = connection.execute(
        "SELECT id, file FROM object WHERE bucket = ? LIMIT ?", (identity, BATCH)
    ).fetchall()
    files += [file for _, file in doomed if file is not None]
    connection.executemany("DELETE FROM object WHERE id = ?", [(i,) for i, _ in doomed])
    deleted = len(doomed)
    for statement in (
        "DELETE FROM item WHERE id IN (SELECT id FROM item WHERE tab = ? LIMIT ?)",
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE queue = ? LIMIT ?)",
        "DELETE FROM letter WHERE id IN (SELECT id FROM letter WHERE queue = ? LIMIT ?)",
        "DELETE FROM deduplication WHERE (queue, token) IN "
        "(SELECT queue, token FROM deduplication WHERE queue = ? LIMIT ?)",
        "DELETE FROM entry WHERE (secondary, key, sort, item_key, item_sort) IN "
        "(SELECT e.secondary, e.key, e.sort, e.item_key, e.item_sort FROM entry e "
        "WHERE e.secondary IN (SELECT id FROM secondary WHERE tab = ?) LIMIT ?)",
    ):
        deleted += connection.execute(statement, (identity, BATCH)).rowcount
    if deleted == 0:
        connection.execute("DELETE FROM secondary WHERE tab = ?", (identity,))
        connection.execute("DELETE FROM dropped WHERE id = ?", (identity,))
    return True
