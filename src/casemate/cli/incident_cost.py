"""What calls of an incident's functions cost meanwhile: all, and those of whom it is about."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.cli.client import NodeClient
from casemate.cli.errors import DeniedError, MissingError
from casemate.cli.text import moment
from casemate.metering import Costs, cost_of, read_prices
from casemate.model.principal import Resource
from casemate.model.usage import HOUR, UsageBy, UsageSpan
from casemate.operations.budgets import ShowPrices
from casemate.operations.incidents import Incident
from casemate.operations.usage import ShowUsage

_LONG_SECONDS = 7 * 86_400
"""Sums of hours are kept for so long; what went on longer is summed up by whole days."""
_CALLERS = ("token:", "user:")


def costs(client: NodeClient, incident: Incident, functions: Sequence[Resource]) -> Costs:
    """Return what functions cost in the hours of an incident. Raises CasemateError."""
    since = incident.opened_at // HOUR * HOUR
    until = (incident.last_at // HOUR + 1) * HOUR
    each = UsageSpan.DAY if until - since > _LONG_SECONDS else UsageSpan.HOUR
    callers = frozenset(one for one in incident.things if one.startswith(_CALLERS))
    found = []
    try:
        prices = read_prices(client.call(ShowPrices()).text.encode(), "the node's price list")
        for of in functions:
            wanted = ShowUsage(
                project=of.project,
                function=of.name,
                by=UsageBy.CALLER,
                each=each,
                since=since,
                until=until,
            )
            try:
                rows = client.call(wanted).rows
            except MissingError:  # it was removed, and had used nothing
                rows = ()
            found.append(cost_of(f"{of.project}/{of.name}", rows, prices, callers))
    except DeniedError:
        return Costs(problem="You do not have the right to see it (invocation:read, node:read).")
    return Costs(
        functions=tuple(found),
        since=since,
        until=until,
        currency=prices.currency,
        prices=f"{prices.name} {prices.version}",
    )


def explained(found: Costs) -> str:
    """Return from when to when, and by which prices."""
    return found.problem or (
        f"All calls from {moment(found.since)} to {moment(found.until)}, ordinary ones as well, "
        f"by the price list {found.prices} in {found.currency}; beside it what of that callers "
        "cost whom it is about. What was refused costs nothing."
    )
