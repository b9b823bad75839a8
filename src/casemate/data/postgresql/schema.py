"""The tables of a project's schema, and how one version of them becomes the next.

They are those of `casemate.data.schema` but for what this engine does otherwise: what is sealed is
bytes, so are the keys of items, numbers are taken from sequences before rows are made, leases say
who holds them, and triggers count once for each statement.
"""

from __future__ import annotations

_COUNTS = """
    CREATE FUNCTION {table}_{event}() RETURNS trigger LANGUAGE plpgsql AS '
    BEGIN
        UPDATE resource SET bytes = resource.bytes {sign} counted.size FROM (
            SELECT queue AS at, sum(length(body) + length(attributes)) AS size
            FROM rows GROUP BY queue
        ) AS counted WHERE resource.id = counted.at;
        {more}
        RETURN NULL;
    END'
"""
_TRIGGER = """
    CREATE TRIGGER {table}_{event} AFTER {what} ON {table} REFERENCING {which} TABLE AS rows
    FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""
_KEPT_FOR = """
        INSERT INTO kept (queue, caller, events, bytes)
        SELECT queue, caller, count(*), sum(length(body) + length(attributes)) FROM rows
        WHERE caller <> '''' GROUP BY queue, caller
        ON CONFLICT (queue, caller) DO UPDATE
        SET events = kept.events + excluded.events, bytes = kept.bytes + excluded.bytes;
"""
_GONE_FOR = """
        UPDATE kept SET events = kept.events - gone.number, bytes = kept.bytes - gone.size FROM (
            SELECT queue AS at, caller AS whose, count(*) AS number,
                   sum(length(body) + length(attributes)) AS size
            FROM rows WHERE caller <> '''' GROUP BY queue, caller
        ) AS gone WHERE kept.queue = gone.at AND kept.caller = gone.whose;
        DELETE FROM kept WHERE events <= 0 AND (queue, caller) IN (SELECT queue, caller FROM rows);
"""


def _trigger(table: str, event: str, function: str) -> str:
    added = event == "kept"
    what, which = ("INSERT", "NEW") if added else ("DELETE", "OLD")
    return _TRIGGER.format(table=table, event=event, what=what, which=which, function=function)


def _counted(table: str, event: str, more: str = "") -> tuple[str, str]:
    sign = "+" if event == "kept" else "-"
    return (
        _COUNTS.format(table=table, event=event, sign=sign, more=more),
        _trigger(table, event, f"{table}_{event}"),
    )


_FIRST = (
    """
    CREATE TABLE resource (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        spec BLOB NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0 CHECK (total >= 0),
        number INTEGER NOT NULL DEFAULT 0 CHECK (number >= 0),
        dead INTEGER NOT NULL DEFAULT 0 CHECK (dead >= 0),
        bytes INTEGER NOT NULL DEFAULT 0,
        UNIQUE (kind, name)
    ) WITH (fillfactor = 50)
    """,
    "CREATE TABLE dropped (id bigint PRIMARY KEY, kind TEXT NOT NULL)",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
    # Stepped by what changes resources or subscriptions, so that other nodes learn of it.
    "CREATE TABLE revision (id bigint PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL)",
    "INSERT INTO revision (id, number) VALUES (1, 1)",
    # Which life of each node may write, and when it was seen.
    """
    CREATE TABLE holder (
        node TEXT PRIMARY KEY,
        life TEXT NOT NULL,
        seen_at REAL NOT NULL
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE object (
        id INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        key TEXT NOT NULL,
        revision INTEGER NOT NULL,
        present INTEGER NOT NULL,
        size INTEGER NOT NULL,
        modified_at REAL NOT NULL,
        content_type BLOB NOT NULL,
        sha256 BLOB NOT NULL,
        metadata BLOB NOT NULL,
        key_version INTEGER NOT NULL,
        file TEXT,
        sealed BLOB NOT NULL,
        labels BLOB NOT NULL DEFAULT x''
    )
    """,
    "CREATE UNIQUE INDEX object_revision ON object (bucket, key, revision)",
    "CREATE UNIQUE INDEX object_present ON object (bucket, key) WHERE present = 1",
    "CREATE INDEX object_file ON object (file) WHERE file IS NOT NULL",
    """
    CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        tab INTEGER NOT NULL,
        key BLOB NOT NULL,
        sort BLOB NOT NULL,
        revision INTEGER NOT NULL,
        modified_at REAL NOT NULL,
        expires_at REAL,
        value BLOB NOT NULL,
        labels BLOB NOT NULL DEFAULT x''
    )
    """,
    "CREATE UNIQUE INDEX item_key ON item (tab, key, sort)",
    "CREATE INDEX item_expiry ON item (expires_at) WHERE expires_at IS NOT NULL",
    """
    CREATE TABLE secondary (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tab INTEGER NOT NULL,
        name TEXT NOT NULL,
        UNIQUE (tab, name)
    )
    """,
    """
    CREATE TABLE entry (
        secondary INTEGER NOT NULL,
        key BLOB NOT NULL,
        sort BLOB NOT NULL,
        item_key BLOB NOT NULL,
        item_sort BLOB NOT NULL,
        PRIMARY KEY (secondary, key, sort, item_key, item_sort)
    )
    """,
    "CREATE SEQUENCE message_number",
    "CREATE SEQUENCE letter_number",
    "CREATE SEQUENCE status_number",
    """
    CREATE TABLE message (
        id bigint PRIMARY KEY,
        queue INTEGER NOT NULL,
        state INTEGER NOT NULL,
        visible_at REAL NOT NULL,
        attempts INTEGER NOT NULL,
        fence INTEGER NOT NULL DEFAULT 0,
        priority INTEGER NOT NULL,
        sent_at REAL NOT NULL,
        expires_at REAL,
        key TEXT NOT NULL,
        invocation TEXT NOT NULL,
        qualifier TEXT NOT NULL,
        caller TEXT NOT NULL,
        node TEXT NOT NULL DEFAULT '',
        life TEXT NOT NULL DEFAULT '',
        labels BLOB NOT NULL,
        attributes BLOB NOT NULL,
        admitted BLOB NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "CREATE INDEX message_sent ON message (queue, sent_at, id)",
    "CREATE INDEX message_ready ON message (queue, priority DESC, id) WHERE state = 1",
    "CREATE INDEX message_pending ON message (queue, visible_at) WHERE state >= 2",
    "CREATE INDEX message_key ON message (queue, key, id) WHERE key <> ''",
    "CREATE INDEX message_invocation ON message (invocation) WHERE invocation <> ''",
    """
    CREATE TABLE deduplication (
        queue INTEGER NOT NULL,
        token TEXT NOT NULL,
        message INTEGER NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (queue, token)
    )
    """,
    "CREATE INDEX deduplication_at ON deduplication (at)",
    """
    CREATE TABLE letter (
        id bigint PRIMARY KEY,
        queue INTEGER NOT NULL,
        died_at REAL NOT NULL,
        trigger BLOB NOT NULL,
        event_type BLOB NOT NULL,
        reason BLOB NOT NULL,
        error_id TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        sent_at REAL NOT NULL,
        expires_at REAL,
        key TEXT NOT NULL,
        invocation TEXT NOT NULL,
        qualifier TEXT NOT NULL,
        labels BLOB NOT NULL,
        attributes BLOB NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "CREATE INDEX letter_queue ON letter (queue, id)",
    "CREATE INDEX letter_died ON letter (queue, died_at)",
    """
    CREATE TABLE status (
        id bigint PRIMARY KEY DEFAULT nextval('status_number'),
        invocation TEXT NOT NULL UNIQUE,
        keep_until REAL NOT NULL,
        function TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        accepted_at REAL NOT NULL,
        finished_at REAL,
        http_status INTEGER,
        content_type BLOB NOT NULL,
        reason BLOB NOT NULL,
        error_id TEXT NOT NULL,
        result BLOB
    )
    """,
    "CREATE INDEX status_kept ON status (keep_until)",
    """
    CREATE TABLE claim (
        id INTEGER PRIMARY KEY,
        function TEXT NOT NULL,
        token TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        invocation TEXT NOT NULL,
        claimant TEXT NOT NULL,
        at REAL NOT NULL,
        keep_until REAL NOT NULL,
        UNIQUE (function, token)
    )
    """,
    "CREATE INDEX claim_invocation ON claim (invocation)",
    "CREATE INDEX claim_kept ON claim (keep_until)",
    "CREATE TABLE position (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
    """
    CREATE TABLE kept (
        queue INTEGER NOT NULL,
        caller TEXT NOT NULL,
        events INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (queue, caller)
    ) WITH (fillfactor = 50)
    """,
    "CREATE TABLE kept_results (id bigint PRIMARY KEY, bytes INTEGER NOT NULL)",
    "INSERT INTO kept_results (id, bytes) VALUES (1, 0)",
    *_counted("message", "kept", _KEPT_FOR),
    *_counted("message", "gone", _GONE_FOR),
    *_counted("letter", "kept"),
    *_counted("letter", "gone"),
    """
    CREATE FUNCTION result_kept() RETURNS trigger LANGUAGE plpgsql AS '
    BEGIN
        UPDATE kept_results SET bytes = bytes
            + coalesce((SELECT sum(length(result)) FROM rows), 0);
        RETURN NULL;
    END'
    """,
    """
    CREATE FUNCTION result_gone() RETURNS trigger LANGUAGE plpgsql AS '
    BEGIN
        UPDATE kept_results SET bytes = bytes
            - coalesce((SELECT sum(length(result)) FROM rows), 0);
        RETURN NULL;
    END'
    """,
    _trigger("status", "kept", "result_kept"),
    _trigger("status", "gone", "result_gone"),
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
"""Statements that lead from version i to version i + 1. Append only; never edit what shipped."""


def column_types(table: str) -> dict[str, str]:
    """Return the columns of a table as it was first made, each with its type."""
    (made,) = (s for s in _FIRST if s.split()[:3] == ["CREATE", "TABLE", table])
    lines = (line.split() for line in made.splitlines()[2:])
    return {line[0]: line[1].rstrip(",") for line in lines if len(line) > 1 and line[0].islower()}
