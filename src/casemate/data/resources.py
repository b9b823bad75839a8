"""The buckets, tables, queues and topics of a project, made, changed and dropped."""

from __future__ import annotations

from casemate.data import limits
from casemate.data.indexes import build_index, set_expiry
from casemate.data.registry import INBOX, KINDS, Registry, Resource, Spec, encoded, specs
from casemate.data.terms import terms_of
from casemate.model.errors import ConflictError, InvalidInputError
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableIndex, TableSpec
from casemate.sqlite.engine import Connection


def require_valid(resources: Resources) -> None:
    """Refuse a declaration that cannot be kept. Raises InvalidInputError."""
    seen = set()
    for kind, spec in specs(resources):
        limits.require_resource(kind, spec.name)
        if (kind, spec.name) in seen:
            raise InvalidInputError(f"The {kind} {spec.name} is declared twice.")
        seen.add((kind, spec.name))
        if isinstance(spec, BucketSpec):
            limits.require_whole("max_object", spec.max_object, 1, 1 << 50)
            limits.require_whole("max_total", spec.max_total, 1, 1 << 50)
            limits.require_whole("versions", spec.versions, 1, limits.MAX_VERSIONS)
        elif isinstance(spec, TableSpec):
            _require_valid_table(spec)
        else:
            limits.require_whole("max_message", spec.max_message, 1, limits.MAX_MESSAGE_BYTES)
            limits.require_seconds("retention", spec.retention, 3650 * 86_400.0)
    for kind in KINDS:
        if sum(1 for found, _ in seen if found == kind) > limits.MAX_RESOURCES:
            raise InvalidInputError(
                f"A project has at most {limits.MAX_RESOURCES} resources of the kind {kind}."
            )


def _require_valid_table(spec: TableSpec) -> None:
    limits.require_whole("max_item", spec.max_item, 1, limits.MAX_ITEM_BYTES)
    attributes = [spec.key, spec.sort, spec.ttl]
    for index in spec.indexes:
        limits.require_resource("index", index.name)
        attributes += [index.key, index.sort]
    for attribute in attributes:
        if attribute is not None:
            limits.require_text(
                "name of an attribute", attribute, least=1, most=limits.MAX_ATTRIBUTE_BYTES
            )
    if spec.key == spec.sort or any(index.key == index.sort for index in spec.indexes):
        raise InvalidInputError(
            f"The table {spec.name} has a key and a sort of the same name; expected two attributes."
        )
    names = [index.name for index in spec.indexes]
    if len(set(names)) != len(names) or len(names) > limits.MAX_INDEXES:
        raise InvalidInputError(
            f"The table {spec.name} has {len(names)} indexes; expected at most "
            f"{limits.MAX_INDEXES}, each name once."
        )


def ensure(connection: Connection, registry: Registry, resources: Resources) -> list[str]:
    """Make what is declared and missing, and change limits; return files nobody needs any more.

    In a transaction. Raises ConflictError if a table is there with other key attributes.
    """
    freed: list[str] = []
    for kind, spec in specs(resources):
        present = registry.get((kind, spec.name))
        if present is None:
            _create(connection, kind, spec)
        elif present.spec != spec:
            freed += _change(connection, present, spec)
    return freed


def create_inbox(connection: Connection, function: str) -> None:
    """Make the inbox of a function. Raises ConflictError if there are too many."""
    spec = QueueSpec(
        name=function,
        max_message=limits.MAX_INBOX_MESSAGE_BYTES,
        retention=limits.INBOX_RETENTION,
    )
    _create(connection, INBOX, spec)


def _create(connection: Connection, kind: str, spec: Spec) -> None:
    (number,) = connection.execute(
        "SELECT count(*) FROM resource WHERE kind = ?", (kind,)
    ).fetchone()
    if number >= (limits.MAX_INBOXES if kind == INBOX else limits.MAX_RESOURCES):
        raise ConflictError(
            f"The project has {number} resources of the kind {kind}, which is the most there can "
            "be.",
            next_step="Drop those that are no longer used.",
        )
    (identity,) = connection.execute(
        "INSERT INTO resource (kind, name, spec) VALUES (?, ?, ?) RETURNING id",
        (kind, spec.name, encoded(terms_of(connection), kind, spec)),
    ).fetchone()
    if isinstance(spec, TableSpec):
        for index in spec.indexes:
            connection.execute(
                "INSERT INTO secondary (tab, name) VALUES (?, ?)", (identity, index.name)
            )


def _change(connection: Connection, present: Resource, spec: Spec) -> list[str]:
    freed: list[str] = []
    old = present.spec
    if isinstance(old, TableSpec) and isinstance(spec, TableSpec):
        _change_table(connection, present, old, spec)
    elif (
        isinstance(old, BucketSpec)
        and isinstance(spec, BucketSpec)
        and spec.versions < old.versions
    ):
        freed = _trim(connection, present.id, spec.versions)
    connection.execute(
        "UPDATE resource SET spec = ? WHERE id = ?",
        (encoded(terms_of(connection), present.kind, spec), present.id),
    )
    return freed


def _change_table(
    connection: Connection, present: Resource, old: TableSpec, spec: TableSpec
) -> None:
    if (old.key, old.sort) != (spec.key, spec.sort):
        raise ConflictError(
            f"The table {spec.name} is there with the key {old.key!r} and the sort {old.sort!r}; "
            f"declared are {spec.key!r} and {spec.sort!r}.",
            next_step="Declare it as before, or use another name and move the items.",
        )
    before = {index.name: index for index in old.indexes}
    after = {index.name: index for index in spec.indexes}
    for name, index in before.items():
        if after.get(name) != index:
            _drop_index(connection, present.indexes[name])
    for name, index in after.items():
        if before.get(name) != index:
            _build_index(connection, present.id, index)
    if old.ttl != spec.ttl:
        set_expiry(connection, present.id, spec.ttl)


def _drop_index(connection: Connection, identity: int) -> None:
    connection.execute("DELETE FROM entry WHERE secondary = ?", (identity,))
    connection.execute("DELETE FROM secondary WHERE id = ?", (identity,))


def _build_index(connection: Connection, table: int, index: TableIndex) -> None:
    (identity,) = connection.execute(
        "INSERT INTO secondary (tab, name) VALUES (?, ?) RETURNING id", (table, index.name)
    ).fetchone()
    build_index(connection, table, int(identity), index)


def _trim(connection: Connection, bucket: int, versions: int) -> list[str]:
    """Delete the revisions beyond the newest `versions` of each key; return their files."""
    doomed = connection.execute(
        """
        SELECT id, size, file FROM (
            SELECT id, size, file,
                   row_number() OVER (PARTITION BY key ORDER BY revision DESC) AS place
            FROM object WHERE bucket = ?
        ) AS ranked WHERE place > ?
        """,
        (bucket, versions),
    ).fetchall()
    connection.executemany("DELETE FROM object WHERE id = ?", [(row[0],) for row in doomed])
    connection.execute(
        "UPDATE resource SET total = total - ?, number = number - ? WHERE id = ?",
        (sum(row[1] for row in doomed), len(doomed), bucket),
    )
    return [row[2] for row in doomed if row[2] is not None]


def drop(connection: Connection, resource: Resource) -> None:
    """Delete a resource at once; what is in it is deleted bit by bit afterwards (`sweep`)."""
    connection.execute("DELETE FROM resource WHERE id = ?", (resource.id,))
    connection.execute("INSERT INTO dropped (id, kind) VALUES (?, ?)", (resource.id, resource.kind))
