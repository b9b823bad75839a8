"""The tables of the store on a server: those of SQLite's newest version, and three of its own.

A test compares them with SQLite's, column by column.
"""

from __future__ import annotations

from typing import Final

from casemate.postgresql.migrating import Expanding, Own

_DEPLOYMENTS = (
    """
    CREATE TABLE function_counter (
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        last_version INTEGER NOT NULL CHECK (last_version >= 1),
        PRIMARY KEY (project, function)
    )
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
    )
    """,
    "CREATE INDEX version_digest ON version (digest)",
    """
    CREATE TABLE alias_state (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL,
        function TEXT NOT NULL,
        name TEXT NOT NULL,
        changed_at REAL NOT NULL,
        trial TEXT
    )
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
    )
    """,
    "CREATE INDEX alias_target_version ON alias_target (project, function, version)",
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
    )
    """,
    """
    CREATE UNIQUE INDEX user_oidc ON user (oidc_issuer, oidc_subject)
    WHERE oidc_subject IS NOT NULL
    """,
    """
    CREATE TABLE user_roles (
        user TEXT NOT NULL PRIMARY KEY REFERENCES user (name) ON DELETE CASCADE,
        bindings TEXT NOT NULL
    )
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
        last_used_at REAL,
        made_with TEXT
    )
    """,
    "CREATE INDEX token_user ON token (user) WHERE user IS NOT NULL",
    "CREATE INDEX token_name ON token (name) WHERE user IS NULL",
)
_POLICIES = (
    """
    CREATE TABLE policy_file (
        name TEXT NOT NULL PRIMARY KEY,
        text TEXT NOT NULL,
        changed_at REAL NOT NULL,
        changed_by TEXT NOT NULL
    )
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
    )
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
    )
    """,
    "CREATE TABLE node_value (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)",
)
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
    )
    """,
    """
    CREATE TABLE signing_rule (
        project TEXT NOT NULL PRIMARY KEY,
        keys TEXT NOT NULL,
        threshold INTEGER NOT NULL CHECK (threshold >= 1)
    )
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
    )
    """,
    "CREATE INDEX attestation_principal ON attestation (principal, used_at)",
    "CREATE TABLE bundle_evidence (digest TEXT NOT NULL PRIMARY KEY, seen TEXT NOT NULL)",
)
# What no two functions may have at the same time, whichever node they are deployed on.
_EXCLUSIVE = (
    """
    CREATE TABLE exclusive (
        kind TEXT NOT NULL,
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        method TEXT NOT NULL,
        function TEXT NOT NULL,
        PRIMARY KEY (kind, project, name, method)
    )
    """,
    "CREATE INDEX exclusive_function ON exclusive (project, function)",
)
# Stepped once in each transaction that changes a row, whoever makes it. A transaction is known by
# its number and its time: the numbers alone begin anew in a database that was restored.
_REVISION = (
    """
    CREATE TABLE revision (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        number INTEGER NOT NULL,
        stepped TEXT NOT NULL
    )
    """,
    "INSERT INTO revision (one, number, stepped) VALUES (1, 1, '')",
    Own(
        """
        CREATE FUNCTION step_revision() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$
        BEGIN
            UPDATE revision SET number = number + 1, stepped = pg_current_xact_id() || ' ' || now()
            WHERE stepped <> pg_current_xact_id() || ' ' || now();
            RETURN NULL;
        END $$
        """
    ),
)
STEPPING: Final = (
    *("function_counter", "version", "alias_state", "alias_target", "user", "user_roles", "token"),
    *("policy_file", "grant_approval", "grant_use", "node_value"),
    *("builder_key", "signing_rule", "attestation", "bundle_evidence"),
)
"""Tables whose changes step the revision: all of SQLite's."""
_STEPS = tuple(
    Own(
        f'CREATE TRIGGER step AFTER INSERT OR UPDATE OR DELETE ON "{table}" '
        "FOR EACH ROW EXECUTE FUNCTION step_revision()"
    )
    for table in STEPPING
)

# Who shares the store. What nodes say of themselves steps no revision: nobody has to read it again.
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
    )
    """,
    """
    CREATE TABLE node_incarnation (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        newest INTEGER NOT NULL
    )
    """,
    "INSERT INTO node_incarnation (one, newest) VALUES (1, 0)",
    # The server's clock, whatever SQLite is asked for.
    Own(
        """
        CREATE FUNCTION unixepoch(text) RETURNS double precision LANGUAGE sql VOLATILE
        AS 'SELECT extract(epoch FROM clock_timestamp())::double precision'
        """
    ),
)
# What was changed by the newest revision that changed it: of values of nodes by name, without the
# number of a part; of the rest by table. A use of a token is no change of it to anybody.
_TOPICS = (
    "CREATE TABLE topic (name TEXT NOT NULL PRIMARY KEY, revision INTEGER NOT NULL)",
    "CREATE INDEX topic_revision ON topic (revision)",
    Own(
        """
        CREATE FUNCTION note_topic() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$
        DECLARE
            found text := TG_TABLE_NAME;
            stepped bigint;
        BEGIN
            IF TG_TABLE_NAME = 'node_value' THEN
                found := 'value ' || regexp_replace(
                    CASE WHEN TG_OP = 'DELETE' THEN OLD.name ELSE NEW.name END, ' [0-9]+$', '');
            ELSIF TG_TABLE_NAME = 'token' AND TG_OP = 'UPDATE' THEN
                IF (to_jsonb(OLD) - 'last_used_at') = (to_jsonb(NEW) - 'last_used_at') THEN
                    RETURN NULL;
                END IF;
            END IF;
            SELECT number INTO stepped FROM revision;
            INSERT INTO topic (name, revision) VALUES (found, stepped)
            ON CONFLICT (name) DO UPDATE SET revision = EXCLUDED.revision
            WHERE topic.revision <> EXCLUDED.revision;
            RETURN NULL;
        END $$
        """
    ),
    *(
        # By name after `step`: triggers of one event go by their names.
        Own(
            f'CREATE TRIGGER step_topic AFTER INSERT OR UPDATE OR DELETE ON "{table}" '
            "FOR EACH ROW EXECUTE FUNCTION note_topic()"
        )
        for table in STEPPING
    ),
)
# Which blob a sealed bundle has. Nobody keeps it in memory, so it steps no revision.
_BUNDLES = (
    """
    CREATE TABLE bundle (
        digest TEXT NOT NULL PRIMARY KEY,
        blob TEXT NOT NULL,
        size INTEGER NOT NULL CHECK (size > 0),
        at REAL NOT NULL
    )
    """,
)
# The vault that nodes share, sealed: one row of it, and a file for each version of a secret. The
# files change with the row, which is followed.
_VAULT = (
    """
    CREATE TABLE vault_state (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        generation INTEGER NOT NULL,
        digest BLOB NOT NULL,
        content BLOB NOT NULL
    )
    """,
    "CREATE TABLE vault_file (name TEXT NOT NULL PRIMARY KEY, content BLOB NOT NULL)",
    *(
        Own(
            f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON vault_state "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        for name, function in (("step", "step_revision"), ("step_topic", "note_topic"))
    ),
)
VAULT_TOPIC: Final = "vault_state"

# What is counted over all nodes. It steps no revision: nobody holds it in memory.
COUNTS: Final = ("used_once", "login_attempt", "budget_share")
"""Tables of it."""
_COUNTS = (
    """
    CREATE TABLE used_once (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (kind, name)
    )
    """,
    "CREATE INDEX used_once_until ON used_once (until)",
    """
    CREATE TABLE login_attempt (
        name TEXT NOT NULL PRIMARY KEY,
        count INTEGER NOT NULL,
        last_at REAL NOT NULL
    )
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
    )
    """,
)

# What proves the rows above that decide rights (`proofs`): nobody holds it by the revision.
PROOFS: Final = ("proof", "proof_change")
"""Tables of it."""
_PROOFS = (
    """
    CREATE TABLE proof (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        generation INTEGER NOT NULL,
        before BLOB NOT NULL,
        code BLOB NOT NULL,
        key INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE proof_change (
        generation INTEGER NOT NULL PRIMARY KEY,
        key INTEGER NOT NULL,
        content BLOB NOT NULL
    )
    """,
)
# What recorders tell each other, sealed. It steps no revision: who reads it knows how far it is.
_RECORDS = Expanding(
    (
        """
    CREATE TABLE shipped_records (
        node TEXT NOT NULL,
        stream BLOB NOT NULL,
        number INTEGER NOT NULL,
        at REAL NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (node, stream, number)
    )
    """,
        "CREATE INDEX shipped_records_at ON shipped_records (at)",
        """
    CREATE TABLE shipped_stream (
        node TEXT NOT NULL,
        stream BLOB NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (node, stream)
    )
    """,
    )
)
RECORDS: Final = ("shipped_records", "shipped_stream")

# Rules that ask for a signer are not believed by a release before this one: their proof is another.
_SIGNERS = Expanding(
    (
        "ALTER TABLE signing_rule ADD COLUMN signers TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE signing_rule ADD COLUMN trusted_root TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attestation ADD COLUMN sigstore TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attestation ADD COLUMN signing TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX attestation_signing ON attestation (signing) WHERE signing <> ''",
    )
)

# What nodes tell each other of what they count, sealed, for as long as somebody wants to see it.
# That somebody does is followed, since nobody tells anything before.
_NUMBERS = Expanding(
    (
        """
    CREATE TABLE numbers_wanted (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        at REAL NOT NULL
    )
    """,
        "INSERT INTO numbers_wanted (one, at) VALUES (1, 0)",
        """
    CREATE TABLE node_numbers (
        node TEXT NOT NULL PRIMARY KEY,
        at REAL NOT NULL,
        content BLOB NOT NULL
    )
    """,
        *(
            Own(
                f"CREATE TRIGGER {name} AFTER UPDATE ON numbers_wanted "
                f"FOR EACH ROW EXECUTE FUNCTION {function}()"
            )
            for name, function in (("step", "step_revision"), ("step_topic", "note_topic"))
        ),
    )
)

# With which token or session a person was added, or last reset.
_MAKERS = Expanding(("ALTER TABLE user ADD COLUMN made_with TEXT",))

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        *_DEPLOYMENTS,
        *_ACCOUNTS,
        *_POLICIES,
        *_ATTESTATIONS,
        *_EXCLUSIVE,
        *_REVISION,
        *_STEPS,
    ),
    (*_NODES, *_TOPICS),
    _BUNDLES,
    _VAULT,
    _COUNTS,
    _RECORDS,
    _PROOFS,
    _SIGNERS,
    _NUMBERS,
    _MAKERS,
)
"""Statements that lead from version i to version i + 1. Append only; never edit what shipped."""
