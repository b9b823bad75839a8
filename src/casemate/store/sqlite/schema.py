"""The database's tables and how one version of them becomes the next."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.sqlite import engine
from casemate.sqlite.migrating import migrate as bring_forward
from casemate.store.sqlite.faults import STORE

APPLICATION_ID = 0x43534D54
"""`CSMT`, in the database's header: tells our files from those of others."""

_DEPLOYMENTS = (
    """
    CREATE TABLE function_counter (
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        last_version INTEGER NOT NULL CHECK (last_version >= 1),
        PRIMARY KEY (project, function)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE version (
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        number INTEGER NOT NULL CHECK (number >= 1),
        digest TEXT NOT NULL,
        spec TEXT NOT NULL,
        created_at REAL NOT NULL,
        created_by TEXT NOT NULL,
        PRIMARY KEY (project, function, number)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX version_digest ON version (digest)",
    """
    CREATE TABLE alias_state (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        name TEXT NOT NULL,
        changed_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX alias_state_name ON alias_state (project, function, name, id)",
    """
    CREATE TABLE alias_target (
        state INTEGER NOT NULL REFERENCES alias_state (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        weight INTEGER NOT NULL CHECK (weight BETWEEN 0 AND 100),
        PRIMARY KEY (state, position),
        FOREIGN KEY (project, function, version) REFERENCES version (project, function, number)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX alias_target_version ON alias_target (project, function, version)",
    """
    CREATE TABLE api_key (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        created_at REAL NOT NULL,
        revoked_at REAL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE revoked_at IS NULL",
)

# Nothing is written to these any more: see `casemate.store.sqlite.old_records`.
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
)

_ACCOUNTS = (
    """
    CREATE TABLE user (
        name TEXT NOT NULL PRIMARY KEY,
        password TEXT,
        totp BLOB,
        totp_last INTEGER NOT NULL,
        oidc_issuer TEXT,
        oidc_subject TEXT,
        enrolment_sha256 TEXT,
        enrolment_expires_at REAL,
        created_at REAL NOT NULL,
        disabled_at REAL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE UNIQUE INDEX user_oidc ON user (oidc_issuer, oidc_subject)
    WHERE oidc_subject IS NOT NULL
    """,
    """
    CREATE TABLE user_roles (
        user TEXT NOT NULL PRIMARY KEY REFERENCES user (name) ON DELETE CASCADE,
        bindings TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE token (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        user TEXT,
        bindings TEXT NOT NULL,
        created_at REAL NOT NULL,
        created_by TEXT NOT NULL,
        expires_at REAL,
        revoked_at REAL,
        last_used_at REAL
    ) STRICT
    """,
    "CREATE INDEX token_user ON token (user) WHERE user IS NOT NULL",
    "CREATE INDEX token_name ON token (name) WHERE user IS NULL",
    # A key goes on working as a token. A role that is not known gets none: less, never more.
    """
    INSERT INTO token (id, name, sha256, bindings, created_at, created_by, revoked_at)
    SELECT id, name, sha256,
        CASE role
            WHEN 'admin' THEN '[{"role":"owner"}]'
            WHEN 'invoke' THEN '[{"role":"invoker"}]'
            ELSE '[]'
        END,
        created_at, 'api-key', revoked_at
    FROM api_key ORDER BY sequence
    """,
    "DROP TABLE api_key",
)

_POLICIES = (
    """
    CREATE TABLE policy_file (
        name TEXT NOT NULL PRIMARY KEY,
        text TEXT NOT NULL,
        changed_at REAL NOT NULL,
        changed_by TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE grant_approval (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        added TEXT NOT NULL,
        approved_by TEXT NOT NULL,
        at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX grant_approval_function ON grant_approval (project, function, sequence)",
    """
    CREATE TABLE grant_use (
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        version INTEGER NOT NULL,
        grant_text TEXT NOT NULL,
        action TEXT NOT NULL,
        prefix TEXT NOT NULL,
        first_at REAL NOT NULL,
        last_at REAL NOT NULL,
        count INTEGER NOT NULL CHECK (count >= 1),
        PRIMARY KEY (project, function, version, grant_text, action, prefix)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE node_value (
        name TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT
    """,
)

_DENIALS = (
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
)

# What a service token has made is known by its maker's name; of a session's, nothing is.
_LINES = (
    "ALTER TABLE token ADD COLUMN made_with TEXT",
    """
    UPDATE token SET made_with = substr(created_by, 7) WHERE created_by LIKE 'token:%'
    """,
)

_ERROR_LISTS = (
    "CREATE INDEX error_function ON error (function)",
    "CREATE INDEX error_project ON error (project)",
)

# Who had how much of the records.
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
        PRIMARY KEY (project, function, kind)
    ) STRICT, WITHOUT ROWID
    """,
    *(
        f"""
        INSERT INTO record_share (project, function, kind, number, bytes, age, most)
        SELECT project, function, '{kind}', count(*), sum({size}), 604800.0, 4294967296
        FROM {kind} GROUP BY project, function
        """  # noqa: S608 - constants alone
        for kind, size in (
            ("log_line", "length(CAST(text AS BLOB)) + 200"),
            ("invocation", "300"),
            ("error", "length(CAST(message AS BLOB)) + length(CAST(trace AS BLOB)) + 300"),
        )
    ),
    "CREATE INDEX log_line_owner ON log_line (project, function)",
    "CREATE INDEX invocation_owner ON invocation (project, function)",
    "CREATE INDEX error_owner ON error (project, function)",
)

# Who vouches for bundles.
_ATTESTATIONS = (
    """
    CREATE TABLE builder_key (
        id TEXT NOT NULL,
        principal TEXT NOT NULL,
        public TEXT NOT NULL,
        name TEXT NOT NULL,
        added_at REAL NOT NULL,
        revoked_at REAL,
        revoked_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        since REAL,
        PRIMARY KEY (id, principal)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE signing_rule (
        project TEXT NOT NULL PRIMARY KEY,
        keys TEXT NOT NULL,
        threshold INTEGER NOT NULL CHECK (threshold >= 1)
    ) STRICT
    """,
    """
    CREATE TABLE attestation (
        digest TEXT NOT NULL,
        statement TEXT NOT NULL UNIQUE,
        keys TEXT NOT NULL,
        principal TEXT NOT NULL,
        at REAL NOT NULL,
        provenance BLOB NOT NULL,
        sbom BLOB,
        used_at REAL,
        needed INTEGER NOT NULL,
        PRIMARY KEY (digest, statement)
    ) STRICT
    """,
    "CREATE INDEX attestation_principal ON attestation (principal, used_at)",
    "CREATE TABLE bundle_evidence (digest TEXT NOT NULL PRIMARY KEY, seen TEXT NOT NULL) STRICT",
)

# A share of the calls that ends by itself.
_TRIALS = ("ALTER TABLE alias_state ADD COLUMN trial TEXT",)

# Who shares the store; with a file of one's own that is one node.
_NODES = (
    """
    CREATE TABLE node (
        name TEXT NOT NULL PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        address TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        version TEXT NOT NULL,
        started_at REAL NOT NULL,
        seen_at REAL NOT NULL,
        draining INTEGER NOT NULL CHECK (draining IN (0, 1))
    ) STRICT
    """,
    """
    CREATE TABLE node_incarnation (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        newest INTEGER NOT NULL
    ) STRICT
    """,
    "INSERT INTO node_incarnation (one, newest) VALUES (1, 0)",
)

# What is counted over all nodes of a store: what was used once, attempts of logins, what is used of
# budgets. A node alone keeps the first here, and the rest in memory.
_COUNTS = (
    """
    CREATE TABLE used_once (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX used_once_until ON used_once (until)",
    """
    CREATE TABLE login_attempt (
        name TEXT NOT NULL PRIMARY KEY,
        count INTEGER NOT NULL,
        last_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE budget_share (
        project TEXT NOT NULL,
        budget TEXT NOT NULL,
        node TEXT NOT NULL,
        since REAL NOT NULL,
        used REAL NOT NULL,
        holding REAL NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (project, budget, node)
    ) STRICT, WITHOUT ROWID
    """,
)

# Who has to have signed with Sigstore, and what was signed so.
_SIGNERS = (
    "ALTER TABLE signing_rule ADD COLUMN signers TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE signing_rule ADD COLUMN trusted_root TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE attestation ADD COLUMN sigstore TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE attestation ADD COLUMN signing TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX attestation_signing ON attestation (signing) WHERE signing <> ''",
)

# With which token or session a person was added, or last reset.
_MAKERS = ("ALTER TABLE user ADD COLUMN made_with TEXT",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*_DEPLOYMENTS, *_RECORDS),
    (*_ACCOUNTS, *_POLICIES, *_DENIALS),
    (
        *_LINES,
        *_ERROR_LISTS,
        # Who floods pushes out its own denials: see `casemate.recorder.records.retention`.
        "CREATE INDEX denial_principal ON denial (principal, kind, sequence)",
    ),
    _SHARES,
    # Records are the recorder's from here on, which takes those over that are there
    # (`old_records`). A release before this one must not write any more of them.
    ("DROP TABLE record_share",),
    _ATTESTATIONS,
    _TRIALS,
    _NODES,
    _COUNTS,
    _SIGNERS,
    _MAKERS,
)
"""Statements that lead from version i to version i + 1. Append only; never edit what shipped."""

KEPT_TABLES = (
    "function_counter",
    "version",
    "alias_state",
    "alias_target",
    "user",
    "user_roles",
    "token",
    "policy_file",
    "grant_approval",
    "grant_use",
    "node_value",
    "builder_key",
    "signing_rule",
    "attestation",
    "bundle_evidence",
    "node",
    "node_incarnation",
    "used_once",
    "login_attempt",
    "budget_share",
)
"""The tables a node cannot serve without; small, so they can be checked at every start."""


def migrate(
    connection: engine.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Bring the schema up to `len(migrations)`, in one transaction: wholly or not at all.

    Raises StoreVersionError if the database is newer than that, StoreError on a failure.
    """
    bring_forward(connection, STORE, APPLICATION_ID, migrations)
