"""The tables of the records, and how one version of them becomes the next."""

from __future__ import annotations

from casemate.recorder.records.faults import RECORDS
from casemate.sqlite import engine
from casemate.sqlite.migrating import migrate as bring_forward

APPLICATION_ID = 0x43535243
"""`CSRC`, in the database's header: tells our files from those of others."""

# `stored_at` is the recorder's own time: what a function claims must not decide what is kept.
# Ids are not unique here: a repeated id must neither replace a record nor be lost.
_RECORDS = (
    """
    CREATE TABLE invocation (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        stored_at REAL NOT NULL,
        id TEXT NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        trigger TEXT NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER NOT NULL,
        started_at REAL NOT NULL,
        queued_ms REAL NOT NULL,
        run_ms REAL NOT NULL,
        cold INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        error_id TEXT
    ) STRICT
    """,
    "CREATE INDEX invocation_id ON invocation (id)",
    "CREATE INDEX invocation_function ON invocation (function)",
    "CREATE INDEX invocation_project ON invocation (project)",
    "CREATE INDEX invocation_owner ON invocation (project, function)",
    """
    CREATE TABLE error (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        stored_at REAL NOT NULL,
        id TEXT NOT NULL,
        invocation TEXT NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        at REAL NOT NULL,
        type TEXT NOT NULL,
        message TEXT NOT NULL,
        trace TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX error_id ON error (id)",
    "CREATE INDEX error_function ON error (function)",
    "CREATE INDEX error_project ON error (project)",
    "CREATE INDEX error_owner ON error (project, function)",
    """
    CREATE TABLE log_line (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        stored_at REAL NOT NULL,
        invocation TEXT NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        at REAL NOT NULL,
        level TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX log_line_invocation ON log_line (invocation)",
    "CREATE INDEX log_line_function ON log_line (function)",
    "CREATE INDEX log_line_project ON log_line (project)",
    "CREATE INDEX log_line_owner ON log_line (project, function)",
    """
    CREATE TABLE denial (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        stored_at REAL NOT NULL,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        principal TEXT NOT NULL,
        action TEXT NOT NULL,
        resource TEXT NOT NULL,
        reason TEXT NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        invocation TEXT NOT NULL,
        remote_address TEXT NOT NULL,
        count INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX denial_invocation ON denial (invocation)",
    "CREATE INDEX denial_function ON denial (function)",
    "CREATE INDEX denial_project ON denial (project)",
    "CREATE INDEX denial_principal ON denial (principal, kind, sequence)",
)

_SHARES = (
    """
    CREATE TABLE record_share (
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        age REAL NOT NULL,
        most INTEGER NOT NULL,
        told_at REAL NOT NULL,
        PRIMARY KEY (project, function, kind)
    ) STRICT, WITHOUT ROWID
    """,
)

# Lines that were written together, and the three-letter parts of all their texts: see `search`.
_SEARCH = (
    """
    CREATE TABLE log_block (
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        newest REAL NOT NULL,
        worst INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE VIRTUAL TABLE log_text USING fts5 (
        text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram'
    )
    """,
)

# Which numbers of which gateway are here, and how far work is that goes on over many transactions.
_TELLING = (
    """
    CREATE TABLE session (
        id BLOB NOT NULL PRIMARY KEY,
        number INTEGER NOT NULL,
        begun INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE progress (
        name TEXT NOT NULL PRIMARY KEY,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)

# The trace's id, then more of it as JSON; see `casemate.recorder.records.traces`.
_TRACES = (
    "ALTER TABLE invocation ADD COLUMN trace TEXT",
    "CREATE INDEX invocation_trace ON invocation (substr(trace, 1, 32)) WHERE trace IS NOT NULL",
)

# What invocations have used, and the sums of it by hour and by day (`casemate.recorder.usage`).
_USAGE = (
    *(
        f"ALTER TABLE invocation ADD COLUMN {column}"
        for column in (
            "attempt INTEGER NOT NULL DEFAULT 1",
            "caller TEXT NOT NULL DEFAULT ''",
            "route TEXT NOT NULL DEFAULT ''",
            "cpu_us INTEGER NOT NULL DEFAULT 0",
            "memory INTEGER NOT NULL DEFAULT 0",
            "peak INTEGER NOT NULL DEFAULT 0",
            "uses INTEGER NOT NULL DEFAULT 0",
        )
    ),
    """
    CREATE TABLE usage (
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        trigger TEXT NOT NULL,
        caller TEXT NOT NULL,
        route TEXT NOT NULL,
        requests INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0,
        errors INTEGER NOT NULL DEFAULT 0,
        retries INTEGER NOT NULL DEFAULT 0,
        cold INTEGER NOT NULL DEFAULT 0,
        run_us INTEGER NOT NULL DEFAULT 0,
        cpu_us INTEGER NOT NULL DEFAULT 0,
        memory_mb_ms INTEGER NOT NULL DEFAULT 0,
        request_bytes INTEGER NOT NULL DEFAULT 0,
        response_bytes INTEGER NOT NULL DEFAULT 0,
        egress_in INTEGER NOT NULL DEFAULT 0,
        egress_out INTEGER NOT NULL DEFAULT 0,
        uses INTEGER NOT NULL DEFAULT 0,
        byte_hours INTEGER NOT NULL DEFAULT 0,
        peak INTEGER NOT NULL DEFAULT 0,
        longest_us INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (span, start, project, function, trigger, caller, route)
    ) STRICT, WITHOUT ROWID
    """,
)

# What is kept whatever its age is, by whom it is; see `casemate.recorder.records.holding`.
_HOLDS = (
    """
    CREATE TABLE hold (
        id TEXT NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        kind TEXT NOT NULL,
        since REAL NOT NULL,
        until REAL NOT NULL,
        expires_at REAL NOT NULL,
        number INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (kind, project, function, id)
    ) STRICT, WITHOUT ROWID
    """,
)

# What nodes that share their state tell each other; see `casemate.recorder.records.shipping`.
# Rows of this node have the number 0.
_SHIPPING = (
    *(
        f"ALTER TABLE {table} ADD COLUMN node INTEGER NOT NULL DEFAULT 0"
        for table in ("invocation", "error", "log_line", "denial")
    ),
    "ALTER TABLE usage ADD COLUMN unshipped INTEGER NOT NULL DEFAULT 1",
    "CREATE INDEX usage_unshipped ON usage (span, start) WHERE unshipped = 1",
    """
    CREATE TABLE shipment (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        stream BLOB NOT NULL,
        number INTEGER NOT NULL,
        made_at REAL NOT NULL,
        previous BLOB NOT NULL,
        previous_at REAL NOT NULL,
        draft BLOB,
        content BLOB
    ) STRICT
    """,
    """
    CREATE TABLE node (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        stream BLOB NOT NULL,
        place INTEGER NOT NULL,
        chain BLOB NOT NULL,
        until REAL NOT NULL,
        journal TEXT NOT NULL,
        head TEXT NOT NULL,
        problem TEXT NOT NULL,
        problem_at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE others_usage (
        node INTEGER NOT NULL,
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        trigger TEXT NOT NULL,
        caller TEXT NOT NULL,
        route TEXT NOT NULL,
        requests INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        retries INTEGER NOT NULL,
        cold INTEGER NOT NULL,
        run_us INTEGER NOT NULL,
        cpu_us INTEGER NOT NULL,
        memory_mb_ms INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        egress_in INTEGER NOT NULL,
        egress_out INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        byte_hours INTEGER NOT NULL,
        peak INTEGER NOT NULL,
        longest_us INTEGER NOT NULL,
        PRIMARY KEY (span, start, project, function, trigger, caller, route, node)
    ) STRICT, WITHOUT ROWID
    """,
)

# Estimates from samples; see `casemate.recorder.records.keeping_cost` and `usage`.
_SAMPLES = (
    *(
        f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
        for table in ("usage", "others_usage")
        for column in ("guard_sampled", "guard_us", "guard_squares")
    ),
    """
    CREATE TABLE keeping_cost (
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        batches INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        us INTEGER NOT NULL,
        requests_squares INTEGER NOT NULL,
        products INTEGER NOT NULL,
        us_squares INTEGER NOT NULL,
        PRIMARY KEY (span, start)
    ) STRICT, WITHOUT ROWID
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*_RECORDS, *_SHARES, *_SEARCH, *_TELLING),
    _TRACES,
    _USAGE,
    _HOLDS,
    _SHIPPING,
    _SAMPLES,
)
"""Statements that lead from version i to version i + 1. Append only; never edit what shipped."""

CHECKED_TABLES = ("record_share", "session", "progress", "hold", "node")
"""Small, so that they can be checked at every start."""


def migrate(connection: engine.Connection) -> None:
    """Bring the schema up to date, in one transaction: wholly or not at all.

    Raises RecordsVersionError if the database is newer than that, RecordsError on a failure.
    """
    bring_forward(connection, RECORDS, APPLICATION_ID, MIGRATIONS)
