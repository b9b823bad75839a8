"""What a declaration of buckets, tables, queues and topics would have those that are there forget.

A deploy declares them anew. Most of that keeps what is in them; this is about what does not: a
table whose items are gone by another attribute, fewer revisions, messages that wait for a shorter
time. Pure: nothing is looked up here.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from casemate.model.grant import (
    BucketSpec,
    Grant,
    GrantKind,
    QueueSpec,
    Resources,
    TableSpec,
)

_FORGETS = "forget "
Spec = BucketSpec | TableSpec | QueueSpec
SpecT = TypeVar("SpecT", BucketSpec, TableSpec, QueueSpec)


class Forgotten(NamedTuple):
    """One resource, and what it would forget."""

    kind: GrantKind
    name: str
    what: str

    @property
    def grant(self) -> Grant:
        """The same in the form in which approvals are asked for. No manifest grants it."""
        return Grant(kind=self.kind, name=self.name, actions=(self.what,))


def told(approved: Grant) -> str:
    """Return one that was approved as a record names it: a grant by its resource, what is
    forgotten with what it is.
    """
    if approved.actions[0].startswith(_FORGETS):
        return f"{approved.text}: {approved.actions[0]}"
    return approved.text


def kinds(resources: Resources) -> list[tuple[GrantKind, Spec]]:
    """Return each resource with its kind."""
    return [
        *((GrantKind.BUCKET, bucket) for bucket in resources.buckets),
        *((GrantKind.TABLE, table) for table in resources.tables),
        *((GrantKind.QUEUE, queue) for queue in resources.queues),
        *((GrantKind.TOPIC, topic) for topic in resources.topics),
    ]


def forgotten(present: Resources, declared: Resources) -> tuple[Forgotten, ...]:
    """Return what those that are present would forget, if all of it were done."""
    there = {(kind, spec.name): spec for kind, spec in kinds(present)}
    found = []
    for kind, spec in kinds(declared):
        was = there.get((kind, spec.name))
        what = _forgets(was, spec) if was is not None else ""
        if what:
            found.append(Forgotten(kind, spec.name, what))
    return tuple(found)


def _forgets(was: Spec, now: Spec) -> str:
    if isinstance(was, TableSpec) and isinstance(now, TableSpec):
        return f"{_FORGETS}items by their {now.ttl}" if now.ttl not in (None, was.ttl) else ""
    if isinstance(was, BucketSpec) and isinstance(now, BucketSpec):
        fewer = now.versions < was.versions
        return f"{_FORGETS}all but {now.versions} revisions of objects" if fewer else ""
    if isinstance(was, QueueSpec) and isinstance(now, QueueSpec):
        shorter = now.retention < was.retention
        return f"{_FORGETS}messages after {now.retention:g} s" if shorter else ""
    return ""


def lasting(present: Resources, declared: Resources) -> Resources:
    """Return what is declared, but for what would have those that are present forget."""
    there = {(kind, spec.name): spec for kind, spec in kinds(present)}

    def kept(kind: GrantKind, spec: SpecT) -> SpecT:
        was = there.get((kind, spec.name))
        if was is None or not _forgets(was, spec):
            return spec
        name = {GrantKind.TABLE: "ttl", GrantKind.BUCKET: "versions"}.get(kind, "retention")
        return msgspec.structs.replace(spec, **{name: getattr(was, name)})

    return Resources(
        buckets=tuple(kept(GrantKind.BUCKET, each) for each in declared.buckets),
        tables=tuple(kept(GrantKind.TABLE, each) for each in declared.tables),
        queues=tuple(kept(GrantKind.QUEUE, each) for each in declared.queues),
        topics=tuple(kept(GrantKind.TOPIC, each) for each in declared.topics),
    )
