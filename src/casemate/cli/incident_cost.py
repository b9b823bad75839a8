"""What calls of an incident's functions cost meanwhile: all, and those of whom it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from casemate.cli.client import NodeClient
from casemate.cli.errors import DeniedError
from casemate.cli.text import moment
from casemate.metering import PriceList, bill, read_prices
from casemate.model.principal import Resource
from casemate.model.usage import HOUR, Usage, UsageBy, UsageSpan
from casemate.operations.budgets import ShowPrices
from casemate.operations.incidents import Incident
from casemate.operations.usage import ShowUsage

_MAX_SECONDS = 7 * 86_400
"""Sums of hours are kept for so long; what went on longer is summed up by whole days."""
_CALLERS = ("token:", "user:")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one function."""

    function: str
    requests: int
    refused: int
    cpu_seconds: float
    cost: str
    """In the currency of the node's price list."""
    named: str
    """What of it was asked for by callers that the incident is about; empty: it is about none."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Of all functions of an incident."""

    functions: tuple[Cost, ...] = ()
    since: float = 0.0
    until: float = 0.0
    currency: str = ""
    prices: str = ""
    problem: str = ""
    """Why this is not known; empty: it is."""

    @property
    def sentence(self) -> str:
        """Return from when to when, and by which prices."""
        if self.problem:
            return self.problem
        return (
            f"All calls from {moment(self.since)} to {moment(self.until)}, ordinary ones as well, "
            f"by the price list {self.prices} in {self.currency}; beside it what of that callers "
            "cost whom it is about. What was refused costs nothing."
        )


def costs(client: NodeClient, incident: Incident, functions: Sequence[Resource]) -> Costs:
    """Return what functions cost in the hours of an incident. Raises CasemateError."""
    try:
        prices = read_prices(client.call(ShowPrices()).text.encode(), "the node's price list")
        since = incident.opened_at // HOUR * HOUR
        until = (incident.last_at // HOUR + 1) * HOUR
        found = [_cost(client, incident, each, prices, (since, until)) for each in functions]
    except DeniedError:
        return Costs(problem="You may not see it (invocation:read, node:read).")
    return Costs(
        functions=tuple(found),
        since=since,
        until=until,
        currency=prices.currency,
        prices=f"{prices.name} {prices.version}",
    )


def _cost(
    client: NodeClient,
    incident: Incident,
    of: Resource,
    prices: PriceList,
    when: tuple[float, float],
) -> Cost:
    since, until = when
    wanted = ShowUsage(
        project=of.project,
        function=of.name,
        by=UsageBy.CALLER,
        each=UsageSpan.DAY if until - since > _MAX_SECONDS else UsageSpan.HOUR,
        since=since,
        until=until,
    )
    rows = client.call(wanted).rows
    callers = {each for each in incident.things if each.startswith(_CALLERS)}
    return Cost(
        function=f"{of.project}/{of.name}",
        requests=sum(row.requests for row in rows),
        refused=sum(row.refused for row in rows),
        cpu_seconds=sum(row.cpu_us for row in rows) / 1e6,
        cost=_money(prices, rows),
        named=_money(prices, (row for row in rows if row.caller in callers)) if callers else "",
    )


def _money(prices: PriceList, rows: Iterable[Usage]) -> str:
    return format(bill(prices, rows).total.quantize(Decimal("0.000001")), "f")
