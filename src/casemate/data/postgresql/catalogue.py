"""The schema that says which projects there are, which nodes, and which of these leads what.

Nodes are here, and not only in the control store, because leases are: which may be another database
with another clock. A node that does not reach this one cannot settle what it has leased.
"""

from __future__ import annotations

from typing import Final

from casemate.postgresql.migrating import Expanding, Own

SCHEMA: Final = "casemate_projects"
GONE_SECONDS: Final = 10.0
"""A node that was not seen for so long is gone: others lead in its place, and end its leases.

So is one that was seen in so distant a future: the clock was set back, and it has not been since.
"""

_NOW = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
_WAITING = f"""
    CREATE FUNCTION waiting(names text) RETURNS TABLE (project text, kind text, name text)
    LANGUAGE plpgsql AS $$
    DECLARE
        found record;
    BEGIN
        FOR found IN SELECT p.name AS called, p.schema AS place FROM project AS p
            WHERE p.name IN (SELECT e.value FROM json_each(names) AS e)
        LOOP
            BEGIN
                RETURN QUERY EXECUTE format('
                    SELECT $1, r.kind::text, r.name::text FROM %1$I.resource AS r
                    WHERE r.kind IN (''queue'', ''inbox'') AND (
                        EXISTS (SELECT 1 FROM %1$I.message AS m
                            WHERE m.queue = r.id AND m.state = 1)
                        OR EXISTS (SELECT 1 FROM %1$I.message AS m
                            WHERE m.queue = r.id AND m.state >= 2 AND m.visible_at <= $2))
                ', found.place) USING found.called::text, {_NOW};
            EXCEPTION WHEN undefined_table OR undefined_column OR invalid_schema_name THEN
                NULL;  -- its schema is being made
            END;
        END LOOP;
    END $$
"""  # noqa: S608 - constants, and the name of a schema, quoted by the server
_LEFT = f"""
    CREATE FUNCTION waiting_at(places text) RETURNS TABLE (project text, kind text, name text)
    LANGUAGE plpgsql AS $$
    DECLARE
        found record;
    BEGIN
        FOR found IN SELECT p.name AS called, p.schema AS place,
                array_agg(e.value ->> 1) AS kinds, array_agg(e.value ->> 2) AS names
            FROM json_array_elements(places::json) AS e
            JOIN project AS p ON p.name = (e.value ->> 0) COLLATE "C"
            GROUP BY p.name, p.schema
        LOOP
            BEGIN
                RETURN QUERY EXECUTE format('
                    SELECT $1, r.kind::text, r.name::text FROM %1$I.resource AS r
                    JOIN unnest($3, $4) AS w (kind, name)
                    ON r.kind = w.kind COLLATE "C" AND r.name = w.name COLLATE "C"
                    WHERE r.kind IN (''queue'', ''inbox'') AND (
                        EXISTS (SELECT 1 FROM %1$I.message AS m
                            WHERE m.queue = r.id AND m.state = 1)
                        OR EXISTS (SELECT 1 FROM %1$I.message AS m
                            WHERE m.queue = r.id AND m.state >= 2 AND m.visible_at <= $2))
                ', found.place) USING found.called::text, {_NOW}, found.kinds, found.names;
            EXCEPTION WHEN undefined_table OR undefined_column OR invalid_schema_name THEN
                NULL;  -- its schema is being made
            END;
        END LOOP;
    END $$
"""  # noqa: S608 - constants, and the name of a schema, quoted by the server
_ORPHANED = f"""
    CREATE FUNCTION orphaned() RETURNS TABLE (project text)
    LANGUAGE plpgsql AS $$
    DECLARE
        found record;
        is_so boolean;
    BEGIN
        FOR found IN SELECT p.name AS called, p.schema AS place FROM project AS p LOOP
            BEGIN
                EXECUTE format('
                    SELECT EXISTS (SELECT 1 FROM %I.message AS m
                        WHERE m.state >= 2 AND m.state = 3 AND NOT EXISTS (
                            SELECT 1 FROM node AS n
                            WHERE n.node = m.node AND n.life = m.life
                            AND abs(n.seen_at - $1) < {GONE_SECONDS}))
                ', found.place) INTO is_so USING {_NOW};
            EXCEPTION WHEN undefined_table OR undefined_column OR invalid_schema_name THEN
                is_so := FALSE;
            END;
            IF is_so THEN
                project := found.called;
                RETURN NEXT;
            END IF;
        END LOOP;
    END $$
"""  # noqa: S608 - constants, and the name of a schema, quoted by the server

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    ("CREATE TABLE project (name TEXT PRIMARY KEY, schema TEXT NOT NULL UNIQUE)",),
    (
        # Tables with their indexes, and the objects that are too large for them. A schema that is
        # being made has none yet.
        Own(
            """
            CREATE FUNCTION kept_bytes(schema text) RETURNS bigint LANGUAGE plpgsql STABLE
            SET search_path FROM CURRENT AS $$
            DECLARE
                tables bigint;
                objects bigint := 0;
            BEGIN
                SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0) INTO tables
                FROM pg_catalog.pg_class AS c
                JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                WHERE n.nspname = schema AND c.relkind = 'r';
                IF to_regclass(format('%I.object', schema)) IS NOT NULL THEN
                    EXECUTE format(
                        'SELECT coalesce(sum(size), 0) FROM %I.object WHERE file IS NOT NULL',
                        schema
                    ) INTO objects;
                END IF;
                RETURN tables + objects;
            END $$
            """
        ),
    ),
    (
        """
        CREATE TABLE node (
            node TEXT PRIMARY KEY,
            life TEXT NOT NULL,
            seen_at REAL NOT NULL,
            takes INTEGER NOT NULL
        ) WITH (fillfactor = 50)
        """,
        # Who leads is whoever is named here and was seen of late: nothing has to be renewed.
        """
        CREATE TABLE leader (
            kind TEXT NOT NULL,
            project TEXT NOT NULL,
            node TEXT NOT NULL,
            life TEXT NOT NULL,
            PRIMARY KEY (kind, project)
        )
        """,
        Own(_WAITING),
        Own(_ORPHANED),
    ),
    Expanding((Own(_LEFT),)),
    Expanding(
        (
            # Which of a cluster's databases it is (`binding`), and how often each project has moved
            # between them: one that went away is remembered, so that nobody takes it for new.
            """
            CREATE TABLE bound (
                one INTEGER NOT NULL UNIQUE CHECK (one = 1),
                name TEXT NOT NULL,
                id TEXT NOT NULL
            )
            """,
            Own("ALTER TABLE project ADD COLUMN moves bigint NOT NULL DEFAULT 0"),
        )
    ),
)
"""Statements that lead from version i to version i + 1. Append only; never edit what shipped."""

BEGIN: Final = (
    "INSERT INTO node (node, life, seen_at, takes) "
    "VALUES (?, ?, CAST(extract(epoch FROM clock_timestamp()) AS REAL), 0) "
    "ON CONFLICT (node) DO UPDATE SET life = excluded.life, seen_at = excluded.seen_at"
)
"""Take the place of this node's former life."""
CLOCK: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS REAL)"
BEAT: Final = (
    "INSERT INTO node (node, life, seen_at, takes) "  # noqa: S608 - constants
    f"SELECT ?, ?, clock.at, ? FROM ({CLOCK} AS at) AS clock WHERE abs(clock.at - ?) <= ? "
    "ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at, takes = excluded.takes "
    "WHERE node.life = excluded.life RETURNING seen_at"
)
"""Be seen; answered with nothing if another life has the place, or the clocks differ too much."""
LIVING: Final = (
    "SELECT node, life, takes FROM node WHERE abs(seen_at - ?) < ? ORDER BY node LIMIT 1000"
)
LED: Final = "SELECT kind, project FROM leader WHERE node = ? AND life = ?"
_FREE = (
    "NOT EXISTS (SELECT 1 FROM node AS n WHERE n.node = leader.node AND n.life = leader.life "
    "AND abs(n.seen_at - ?) < ?)"
)
LEAD: Final = (
    "INSERT INTO leader (kind, project, node, life) "  # noqa: S608 - constants
    "SELECT ?, wanted.value, ?, ? FROM json_each(?) AS wanted "
    "WHERE NOT EXISTS (SELECT 1 FROM leader WHERE leader.kind = ? "
    f"AND leader.project = wanted.value AND NOT {_FREE}) "
    "ON CONFLICT (kind, project) DO UPDATE SET node = excluded.node, life = excluded.life "
    f"WHERE {_FREE}"
)
"""Lead what nobody leads who is there. Of two who try at once the second finds the first."""
FREE: Final = (
    "SELECT wanted.value FROM json_each(?) AS wanted "  # noqa: S608 - constants
    "WHERE NOT EXISTS (SELECT 1 FROM leader WHERE leader.kind = ? "
    f"AND leader.project = wanted.value AND NOT {_FREE})"
)
"""What nobody leads who is there."""
LEAVE_ONE: Final = (
    "DELETE FROM leader WHERE node = ? AND life = ? AND kind = ? "
    "AND project IN (SELECT value FROM json_each(?))"
)
LEAVE: Final = "DELETE FROM leader WHERE node = ? AND life = ?"
END: Final = "DELETE FROM node WHERE node = ? AND life = ?"
FORGET: Final = (
    "DELETE FROM node WHERE seen_at < CAST(extract(epoch FROM clock_timestamp()) AS REAL) - 86400"
)
WAITING: Final = "SELECT project, kind, name FROM waiting(?) LIMIT 10000"
LEFT: Final = "SELECT project, kind, name FROM waiting_at(?)"
"""Which of some places have something to lease."""
ORPHANED: Final = "SELECT project FROM orphaned()"
ABANDONED: Final = (
    " AND (node = ? AND life <> ? OR NOT EXISTS (SELECT 1 FROM casemate_projects.node AS n "
    "WHERE n.node = message.node AND n.life = message.life "
    "AND abs(n.seen_at - CAST(extract(epoch FROM clock_timestamp()) AS REAL)) < ?))"
)
"""Of a message that is leased: by this node's former life, or by a node that is gone."""
