"""Who gets what: the subscriptions of a project's functions, found by the resource they are to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from casemate.data.errors import DataCorruptError
from casemate.data.registry import INBOX, QUEUE, Registry, Resource
from casemate.data.terms import terms_of
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.function import Delivery
from casemate.model.messages import Subscription
from casemate.model.trigger import BucketTrigger, QueueTrigger, TableTrigger, TopicTrigger
from casemate.sqlite.engine import Connection

T = TypeVar("T", TopicTrigger, BucketTrigger, TableTrigger)
_DEFAULT = Delivery()
META = "subscriptions"
"""The name under which a database keeps them."""


class Route(NamedTuple, Generic[T]):
    """One way from a resource to a function's inbox."""

    inbox: Resource
    trigger: T
    max_age: float


class Routes:
    """The subscriptions of one project. Does not change; another takes its place."""

    def __init__(self, subscriptions: Sequence[Subscription], registry: Registry) -> None:
        """Sort them by what they are to."""
        self.subscriptions = tuple(subscriptions)
        self.topics: dict[str, list[Route[TopicTrigger]]] = {}
        self.buckets: dict[str, list[Route[BucketTrigger]]] = {}
        self.tables: dict[str, list[Route[TableTrigger]]] = {}
        self._consumers: dict[str, str] = {}
        self._deliveries: dict[str, Delivery] = {}
        for subscription in subscriptions:
            self._add(subscription, registry)

    def _add(self, subscription: Subscription, registry: Registry) -> None:
        self._deliveries[subscription.function] = subscription.delivery
        trigger = subscription.trigger
        if isinstance(trigger, QueueTrigger):
            self._consumers[trigger.queue] = trigger.name
        inbox = registry.get((INBOX, subscription.function))
        if inbox is None:
            return
        age = subscription.delivery.max_age
        if isinstance(trigger, TopicTrigger):
            _append(self.topics, trigger.topic, inbox, trigger, age)
        elif isinstance(trigger, BucketTrigger):
            _append(self.buckets, trigger.bucket, inbox, trigger, age)
        elif isinstance(trigger, TableTrigger):
            _append(self.tables, trigger.table, inbox, trigger, age)

    def keep_results(self, inbox: Resource) -> float:
        """Return for how many seconds the end of an invocation is kept."""
        return self.keep_results_of(inbox.name)

    def keep_results_of(self, function: str) -> float:
        """Return the same for a function's name."""
        return self._deliveries.get(function, _DEFAULT).keep_results

    def consumer(self, queue: Resource) -> str:
        """Return the name of the trigger that consumes a queue, empty if there is none."""
        return self._consumers.get(queue.name, "") if queue.kind == QUEUE else ""

    def delivers(self, queue: Resource) -> bool:
        """Tell whether messages are for a function, so that none may vanish."""
        return queue.kind == INBOX or (queue.kind == QUEUE and queue.name in self._consumers)


def _append(
    routes: dict[str, list[Route[T]]], name: str, inbox: Resource, trigger: T, age: float
) -> None:
    routes.setdefault(name, []).append(Route(inbox, trigger, age))


def load(connection: Connection, registry: Registry) -> Routes:
    """Return the subscriptions that were kept. Raises DataCorruptError."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (META,)).fetchone()
    if row is None:
        return Routes((), registry)
    try:
        kept = terms_of(connection).open(("meta", META), row[0])
        found = msgspec.json.decode(kept, type=decodable(tuple[Subscription, ...]))
    except DECODING_ERRORS as error:
        raise DataCorruptError(
            "The subscriptions of a project cannot be read.",
            next_step="Start the Casemate that wrote them, or restore the data from a backup.",
        ) from error
    return Routes(found, registry)
