"""What a project has: its buckets, tables, queues, topics and inboxes, as they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from casemate.data import limits
from casemate.data.terms import Terms, terms_of
from casemate.decoding import decodable
from casemate.model.errors import InvalidInputError, NoNamedError, NotFoundError
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableSpec
from casemate.sqlite.engine import Connection

BUCKET, TABLE, QUEUE, TOPIC, INBOX = "bucket", "table", "queue", "topic", "inbox"
KINDS = (BUCKET, TABLE, QUEUE, TOPIC)
"""What a manifest declares. An inbox comes with its function (`casemate.data.routes`)."""
Spec = BucketSpec | TableSpec | QueueSpec
_SPECS: dict[str, type[Spec]] = {
    BUCKET: BucketSpec,
    TABLE: TableSpec,
    QUEUE: QueueSpec,
    TOPIC: QueueSpec,
    INBOX: QueueSpec,
}


class Resource(NamedTuple):
    """One resource as it is stored. `indexes` are ids of secondary indexes by name."""

    id: int
    kind: str
    name: str
    spec: Spec
    indexes: Mapping[str, int]


Registry = Mapping[tuple[str, str], Resource]


def load(connection: Connection) -> Registry:
    """Return everything a project has."""
    indexes: dict[int, dict[str, int]] = {}
    terms = terms_of(connection)
    for identity, table, name in connection.execute("SELECT id, tab, name FROM secondary"):
        indexes.setdefault(table, {})[name] = identity
    return {
        (kind, name): Resource(
            identity,
            kind,
            name,
            _spec(terms, kind, name, spec),
            indexes.get(identity, {}),
        )
        for identity, kind, name, spec in connection.execute(
            "SELECT id, kind, name, spec FROM resource ORDER BY name"
        )
    }


def _spec(terms: Terms, kind: str, name: str, kept: bytes) -> Spec:
    opened = terms.open(("resource", kind, name), kept)
    return msgspec.json.decode(opened, type=decodable(_SPECS[kind]))


def encoded(terms: Terms, kind: str, spec: Spec) -> bytes:
    """Return a declaration as it is kept."""
    return terms.seal(("resource", kind, spec.name), msgspec.json.encode(spec))


def find(registry: Registry, project: str, kind: str, name: str) -> Resource:
    """Return a resource. Raises NotFoundError, InvalidInputError for a name that cannot be one."""
    found = registry.get((kind, name)) if isinstance(name, str) else None
    if found is None:
        require_kind(kind, (*KINDS, INBOX))
        limits.require_resource(kind, name)
        if kind == INBOX:
            raise NotFoundError(
                f"The project {project} has no function {name} that takes events.",
                next_step="Deploy it, or check the name.",
            )
        raise NoNamedError(
            kind,
            name,
            f"The project {project} has no {kind} {name}.",
            next_step=f"Declare it in the manifest as [{kind}.{name}] and deploy.",
            project=project,
        )
    return found


def require_kind(kind: str, kinds: tuple[str, ...] = KINDS) -> None:
    """Refuse what is not a kind of resource."""
    if kind not in kinds:
        raise InvalidInputError(f"The kind is not one of {', '.join(kinds)}.")


def declared(registry: Registry) -> Resources:
    """Return the registry in the form of a manifest."""
    by_kind: dict[str, list[Spec]] = {kind: [] for kind in KINDS}
    for resource in registry.values():
        if resource.kind not in by_kind:
            continue
        by_kind[resource.kind].append(resource.spec)
    return msgspec.convert(
        {
            "buckets": by_kind[BUCKET],
            "tables": by_kind[TABLE],
            "queues": by_kind[QUEUE],
            "topics": by_kind[TOPIC],
        },
        decodable(Resources),
        from_attributes=True,
    )


def specs(resources: Resources) -> Iterator[tuple[str, Spec]]:
    """Go through what is declared."""
    for kind, group in (
        (BUCKET, resources.buckets),
        (TABLE, resources.tables),
        (QUEUE, resources.queues),
        (TOPIC, resources.topics),
    ):
        for spec in group:
            yield kind, spec
