"""Changing who is subscribed to what in a project."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from casemate.data.limits import require_resource
from casemate.data.registry import INBOX, Registry
from casemate.data.resources import create_inbox
from casemate.data.routes import META, Routes
from casemate.data.terms import terms_of
from casemate.model.messages import Subscription
from casemate.sqlite.engine import Connection


def lean(subscriptions: Sequence[Subscription]) -> tuple[Subscription, ...]:
    """Return subscriptions without what only admission needs. Raises InvalidInputError."""
    for subscription in subscriptions:
        require_resource("function", subscription.function)
    return tuple(
        subscription
        if subscription.trigger is None or not subscription.trigger.contract
        else msgspec.structs.replace(
            subscription, trigger=msgspec.structs.replace(subscription.trigger, contract="")
        )
        for subscription in subscriptions
    )


def are_kept(routes: Routes, registry: Registry, wanted: tuple[Subscription, ...]) -> bool:
    """Tell whether these are the subscriptions already, and no inbox is missing."""
    return routes.subscriptions == wanted and all(
        (INBOX, subscription.function) in registry for subscription in wanted
    )


def replace(
    connection: Connection, registry: Registry, subscriptions: Sequence[Subscription]
) -> None:
    """Keep these instead of those before; make the inboxes that are missing."""
    for function in {subscription.function for subscription in subscriptions}:
        if (INBOX, function) not in registry:
            create_inbox(connection, function)
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (META, terms_of(connection).seal(("meta", META), msgspec.json.encode(subscriptions))),
    )
