"""The tables of a project's database and how one version of them becomes the next."""

from __future__ import annotations

from casemate.data.errors import DataForeignError
from casemate.data.faults import DATA
from casemate.sqlite.engine import Connection
from casemate.sqlite.migrating import migrate as bring_forward

APPLICATION_ID = 0x434D5044
"""`CMPD`, in the database's header: tells our files from those of others."""

_FIRST = (
    # `floor` is the highest revision of anything deleted from the resource: a key that is not
    # there gets a higher one, so that none is used twice and no deleted key is remembered.
    """
    CREATE TABLE resource (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        spec BLOB NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0 CHECK (total >= 0),
        number INTEGER NOT NULL DEFAULT 0 CHECK (number >= 0),
        UNIQUE (kind, name)
    ) STRICT
    """,
    "CREATE TABLE dropped (id INTEGER PRIMARY KEY, kind TEXT NOT NULL) STRICT",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    # The content is the last column: listings do not read its pages.
    """
    CREATE TABLE object (
        id INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        key TEXT NOT NULL,
        revision INTEGER NOT NULL,
        present INTEGER NOT NULL,
        size INTEGER NOT NULL,
        modified_at REAL NOT NULL,
        content_type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        metadata BLOB NOT NULL,
        key_version INTEGER NOT NULL,
        file TEXT,
        sealed BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX object_revision ON object (bucket, key, revision)",
    "CREATE UNIQUE INDEX object_present ON object (bucket, key) WHERE present = 1",
    "CREATE INDEX object_file ON object (file) WHERE file IS NOT NULL",
    """
    CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        tab INTEGER NOT NULL,
        key ANY NOT NULL,
        sort ANY NOT NULL,
        revision INTEGER NOT NULL,
        modified_at REAL NOT NULL,
        expires_at REAL,
        value BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX item_key ON item (tab, key, sort)",
    "CREATE INDEX item_expiry ON item (expires_at) WHERE expires_at IS NOT NULL",
    """
    CREATE TABLE secondary (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tab INTEGER NOT NULL,
        name TEXT NOT NULL,
        UNIQUE (tab, name)
    ) STRICT
    """,
    """
    CREATE TABLE entry (
        secondary INTEGER NOT NULL,
        key ANY NOT NULL,
        sort ANY NOT NULL,
        item_key ANY NOT NULL,
        item_sort ANY NOT NULL,
        PRIMARY KEY (secondary, key, sort, item_key, item_sort)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL,
        sent_at REAL NOT NULL,
        ready INTEGER NOT NULL,
        visible_at REAL NOT NULL,
        attempts INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX message_sent ON message (queue, sent_at)",
    "CREATE INDEX message_ready ON message (queue) WHERE ready = 1",
    "CREATE INDEX message_pending ON message (queue, visible_at) WHERE ready = 0",
    """
    CREATE TABLE deduplication (
        queue INTEGER NOT NULL,
        token TEXT NOT NULL,
        message INTEGER NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (queue, token)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX deduplication_at ON deduplication (at)",
)

_SECOND = (
    # A message is one of `casemate.data.messages.State`; the body is last, so that what decides
    # about a message is read without the pages of its body.
    "ALTER TABLE message RENAME TO message_before",
    "DROP INDEX message_sent",
    "DROP INDEX message_ready",
    "DROP INDEX message_pending",
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL,
        state INTEGER NOT NULL,
        visible_at REAL NOT NULL,
        attempts INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        sent_at REAL NOT NULL,
        expires_at REAL,
        key TEXT NOT NULL,
        invocation TEXT NOT NULL,
        qualifier TEXT NOT NULL,
        labels BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    """,
    """
    INSERT INTO message
    SELECT id, queue, CASE WHEN ready = 1 THEN 1 WHEN attempts = 0 THEN 2 ELSE 3 END, visible_at,
           attempts, 0, sent_at, NULL, '', '', '', x'', body
    FROM message_before
    """,
    # No id is used twice: deduplication and settlements name messages that are gone.
    "DELETE FROM sqlite_sequence WHERE name = 'message'",
    """
    INSERT INTO sqlite_sequence (name, seq)
    SELECT 'message', seq FROM sqlite_sequence WHERE name = 'message_before'
    """,
    "DROP TABLE message_before",
    "CREATE INDEX message_sent ON message (queue, sent_at)",
    "CREATE INDEX message_ready ON message (queue, priority DESC) WHERE state = 1",
    "CREATE INDEX message_pending ON message (queue, visible_at) WHERE state >= 2",
    "CREATE INDEX message_key ON message (queue, key) WHERE key <> ''",
    "CREATE INDEX message_invocation ON message (invocation) WHERE invocation <> ''",
    "ALTER TABLE resource ADD COLUMN dead INTEGER NOT NULL DEFAULT 0 CHECK (dead >= 0)",
    """
    CREATE TABLE letter (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL,
        died_at REAL NOT NULL,
        trigger TEXT NOT NULL,
        event_type TEXT NOT NULL,
        reason TEXT NOT NULL,
        error_id TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        sent_at REAL NOT NULL,
        expires_at REAL,
        key TEXT NOT NULL,
        invocation TEXT NOT NULL,
        qualifier TEXT NOT NULL,
        labels BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX letter_queue ON letter (queue)",
    "CREATE INDEX letter_died ON letter (queue, died_at)",
    """
    CREATE TABLE status (
        id INTEGER PRIMARY KEY,
        invocation TEXT NOT NULL UNIQUE,
        keep_until REAL NOT NULL,
        function TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        accepted_at REAL NOT NULL,
        finished_at REAL,
        http_status INTEGER,
        content_type TEXT NOT NULL,
        reason TEXT NOT NULL,
        error_id TEXT NOT NULL,
        result BLOB
    ) STRICT
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
    ) STRICT
    """,
    "CREATE INDEX claim_invocation ON claim (invocation)",
    "CREATE INDEX claim_kept ON claim (keep_until)",
    "CREATE TABLE position (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    # Empty labels cost nothing to read, although they come after the content.
    "ALTER TABLE object ADD COLUMN labels BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE item ADD COLUMN labels BLOB NOT NULL DEFAULT x''",
)

_THIRD = (
    # What `casemate.data.kept` bounds. Triggers count, so that no statement can forget to.
    "ALTER TABLE resource ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE message ADD COLUMN caller TEXT NOT NULL DEFAULT ''",
    """
    UPDATE resource SET bytes =
        coalesce((SELECT sum(length(body)) FROM message WHERE queue = resource.id), 0)
        + coalesce((SELECT sum(length(body)) FROM letter WHERE queue = resource.id), 0)
    """,
    """
    CREATE TABLE kept (
        queue INTEGER NOT NULL,
        caller TEXT NOT NULL,
        events INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (queue, caller)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE kept_results (id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT",
    "INSERT INTO kept_results SELECT 1, coalesce(sum(length(result)), 0) FROM status",
    """
    CREATE TRIGGER message_kept AFTER INSERT ON message BEGIN
        UPDATE resource SET bytes = bytes + length(new.body) WHERE id = new.queue;
    END
    """,
    """
    CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN
        UPDATE resource SET bytes = bytes - length(old.body) WHERE id = old.queue;
    END
    """,
    """
    CREATE TRIGGER message_kept_for AFTER INSERT ON message WHEN new.caller <> '' BEGIN
        INSERT INTO kept VALUES (new.queue, new.caller, 1, length(new.body))
        ON CONFLICT (queue, caller) DO UPDATE
        SET events = events + 1, bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER message_gone_for AFTER DELETE ON message WHEN old.caller <> '' BEGIN
        UPDATE kept SET events = events - 1, bytes = bytes - length(old.body)
        WHERE queue = old.queue AND caller = old.caller;
        DELETE FROM kept WHERE queue = old.queue AND caller = old.caller AND events <= 0;
    END
    """,
    """
    CREATE TRIGGER letter_kept AFTER INSERT ON letter BEGIN
        UPDATE resource SET bytes = bytes + length(new.body) WHERE id = new.queue;
    END
    """,
    """
    CREATE TRIGGER letter_gone AFTER DELETE ON letter BEGIN
        UPDATE resource SET bytes = bytes - length(old.body) WHERE id = old.queue;
    END
    """,
    """
    CREATE TRIGGER result_kept AFTER INSERT ON status WHEN new.result IS NOT NULL BEGIN
        UPDATE kept_results SET bytes = bytes + length(new.result);
    END
    """,
    """
    CREATE TRIGGER result_gone AFTER DELETE ON status WHEN old.result IS NOT NULL BEGIN
        UPDATE kept_results SET bytes = bytes - length(old.result);
    END
    """,
)

_FOURTH = (
    # What senders say beside the body (JSON, empty for none) counts as the body does.
    "ALTER TABLE message ADD COLUMN attributes BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE letter ADD COLUMN attributes BLOB NOT NULL DEFAULT x''",
    "DROP TRIGGER message_kept",
    "DROP TRIGGER message_gone",
    "DROP TRIGGER letter_kept",
    "DROP TRIGGER letter_gone",
    """
    CREATE TRIGGER message_kept AFTER INSERT ON message BEGIN
        UPDATE resource SET bytes = bytes + length(new.body) + length(new.attributes)
        WHERE id = new.queue;
    END
    """,
    """
    CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN
        UPDATE resource SET bytes = bytes - length(old.body) - length(old.attributes)
        WHERE id = old.queue;
    END
    """,
    """
    CREATE TRIGGER letter_kept AFTER INSERT ON letter BEGIN
        UPDATE resource SET bytes = bytes + length(new.body) + length(new.attributes)
        WHERE id = new.queue;
    END
    """,
    """
    CREATE TRIGGER letter_gone AFTER DELETE ON letter BEGIN
        UPDATE resource SET bytes = bytes - length(old.body) - length(old.attributes)
        WHERE id = old.queue;
    END
    """,
)

# Authenticates page marks (`casemate.data.marks`); outlives rotations of the data keys.
_MARKS = "INSERT OR IGNORE INTO meta VALUES ('marks', randomblob(32))"

_FIFTH = (
    # Counts the leases of a message; unlike `attempts` it never goes back, so no two have one
    # number. A lease that was taken before this has 0, which nobody who holds one can name.
    "ALTER TABLE message ADD COLUMN fence INTEGER NOT NULL DEFAULT 0",
)

_SIXTH = (
    # What proves to the process that kept an event that it was looked at (`casemate.delivery`).
    "ALTER TABLE message ADD COLUMN admitted BLOB NOT NULL DEFAULT x''",
)

_SEVENTH = (
    # What waits for another one of its key and has a delay of its own: it is due at another time
    # than it was sent, and is moved when the clock is set (`casemate.data.leasing.move`).
    "CREATE INDEX message_held ON message (queue) WHERE state = 0 AND visible_at <> sent_at",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    *(_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH),
    _SEVENTH,
)
"""Statements that lead from version i to version i + 1. Append only; never edit what shipped."""


def migrate(connection: Connection) -> None:
    """Bring the schema up to date in one transaction: wholly or not at all.

    Raises DataForeignError for another program's database, DataVersionError for a newer one.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if version and found != APPLICATION_ID:
        raise DataForeignError(
            f"The database has application id {found:#x}, expected {APPLICATION_ID:#x}.",
            next_step="Give the data a folder of its own, or restore it from a backup.",
        )
    bring_forward(connection, DATA, APPLICATION_ID, MIGRATIONS, (_MARKS,))
