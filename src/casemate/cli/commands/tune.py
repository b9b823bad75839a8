"""`casemate tune`: limits that fit what functions have used."""

from __future__ import annotations

import time
from decimal import Decimal

from casemate.cli.client import NodeClient, connect
from casemate.cli.commands.bill import money
from casemate.cli.deployed import live_version
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import note, print_json, print_table
from casemate.metering import read_prices
from casemate.metering.bill import day_of
from casemate.metering.tuning import (
    LEAST_REQUESTS,
    Peaks,
    Proposal,
    peaks_of,
    requests_of,
    tune,
)
from casemate.model.invocation import InvocationRecord
from casemate.model.usage import DAY, HOUR, Usage, UsageSpan
from casemate.operations.budgets import ShowPrices
from casemate.operations.functions import ListFunctions
from casemate.operations.records import MAX_RECORDS, ListInvocations
from casemate.operations.usage import ShowUsage

app = new_app()
DAYS = 7
MOST_CALLS = 10_000
"""Of a function in these days, each of whose records is read; its peaks are in no sum."""
_QUESTIONS = 40
"""That are asked for records of one function: those of an hour may be too many for one answer."""


@asked(
    app,
    ShowUsage,
    name="tune",
    fixed={"each": UsageSpan.HOUR, "since": 0.0, "until": 0.0},
    examples="$ casemate tune\n$ casemate tune shop/checkout --json",
)
def propose(wanted: ShowUsage, *, json: JsonOption = False) -> None:
    """Propose limits that fit what functions used in the last seven days.

    It proposes memory, CPU, timeout, concurrency and isolation, with the reasons, and what they
    would have saved of the bill of these days. Nothing is changed: limits stand in the manifest.
    """
    now = time.time()
    since = float((now // HOUR - DAYS * DAY // HOUR + 1) * HOUR)
    with connect() as client:
        found = client.call(
            ShowUsage(
                project=wanted.project, function=wanted.function, each=UsageSpan.HOUR, since=since
            )
        )
        prices = read_prices(client.call(ShowPrices()).text.encode(), "the node's price list")
        functions = client.call(ListFunctions()).functions
        hours: dict[tuple[str, str], list[Usage]] = {}
        for row in found.rows:
            hours.setdefault((row.project, row.function), []).append(row)
        proposals: list[tuple[str, Proposal]] = []
        unknown: list[str] = []
        for function in functions:
            live, used = live_version(function), hours.get((function.project, function.name))
            if live is None or not used or requests_of(used) < LEAST_REQUESTS:
                continue
            name = f"{function.project}/{function.name}"
            peaks = None if found.behind else _peaks(client, used, since)
            if peaks is None:
                unknown.append(name)
            fit = tune(live.spec, used, prices.near(day_of(now)), peaks)
            proposals += [(name, each) for each in fit]
    if json:
        print_json([{"function": name, **_shown(each)} for name, each in proposals])
        return
    print_table(
        ("function", "setting", "now", "proposed", prices.currency, "why"),
        [
            (name, each.setting, each.now, each.proposed, saves, each.why)
            for (name, each), saves in zip(
                proposals, money([each.saves for _, each in proposals]), strict=True
            )
        ],
        below=("why",),
        empty="There is nothing to propose: what there is fits, or was called fewer than "
        f"{LEAST_REQUESTS} times.",
    )
    if unknown:
        note(
            "Neither less CPU nor less concurrency is proposed where not all calls of these days "
            f"can be read, up to {MOST_CALLS:,}: {', '.join(unknown)}"
        )
    if proposals:
        note(f"Functions with fewer than {LEAST_REQUESTS} requests are left out.")
        note(
            "To try it on some calls: write it into casemate.toml, then casemate deploy FUNCTION "
            "--weight 10 --watch 600, which goes back if calls get worse."
        )


def _peaks(client: NodeClient, hours: list[Usage], since: float) -> Peaks | None:
    """Return the peaks of a function's calls; None where these are too many, or not all kept."""
    requests = requests_of(hours)
    if requests > MOST_CALLS:
        return None
    records: list[InvocationRecord] = []
    # Sums go by when a call ended: one that began before is in them.
    spans = [(since - HOUR, time.time() + HOUR)]
    for _ in range(_QUESTIONS):
        if not spans:
            return peaks_of(records, requests)
        start, end = spans.pop()
        answer = client.call(
            ListInvocations(
                project=hours[0].project,
                function=hours[0].function,
                since=start,
                until=end,
                limit=MAX_RECORDS,
            )
        )
        if answer.behind:
            return None
        if len(answer.invocations) < MAX_RECORDS:
            records += answer.invocations
        else:
            middle = (start + end) / 2
            spans += ((start, middle), (middle, end))
    return None


def _shown(proposal: Proposal) -> dict[str, str]:
    return {
        name: format(value, "f") if isinstance(value, Decimal) else value
        for name, value in proposal._asdict().items()
    }
