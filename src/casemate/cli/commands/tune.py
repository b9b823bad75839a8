"""`casemate tune`: limits that fit what functions have used."""

from __future__ import annotations

import time
from decimal import Decimal

from casemate.cli.client import connect
from casemate.cli.commands.bill import money
from casemate.cli.deployed import live_version, require_function
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import note, print_json, print_table
from casemate.metering import read_prices
from casemate.metering.bill import day_of
from casemate.metering.tuning import LEAST_REQUESTS, Proposal, tune
from casemate.model.usage import DAY, Usage, UsageSpan
from casemate.operations.budgets import ShowPrices
from casemate.operations.functions import ListFunctions
from casemate.operations.usage import ShowUsage

app = new_app()
DAYS = 7


@asked(
    app,
    ShowUsage,
    name="tune",
    fixed={"each": UsageSpan.HOUR, "since": 0.0, "until": 0.0},
    examples="$ casemate tune\n$ casemate tune shop/checkout --json",
)
def propose(wanted: ShowUsage, *, json: JsonOption = False) -> None:
    """Propose limits that fit what functions have used in the last seven days.

    Memory, CPU, timeout, concurrency and isolation, with why, and what of the bill of these days
    they would have saved. Nothing is changed: limits stand in the manifest.
    """
    now = time.time()
    with connect() as client:
        found = client.call(
            ShowUsage(
                project=wanted.project,
                function=wanted.function,
                each=UsageSpan.HOUR,
                since=float((now // 3600 - DAYS * DAY // 3600 + 1) * 3600),
            )
        )
        if not found.rows and wanted.project is not None and wanted.function is not None:
            require_function(client, wanted.project, wanted.function)
        text = client.call(ShowPrices()).text
        functions = client.call(ListFunctions()).functions
    prices = read_prices(text.encode(), "the node's price list")
    hours: dict[tuple[str, str], list[Usage]] = {}
    for row in found.rows:
        hours.setdefault((row.project, row.function), []).append(row)
    proposals: list[tuple[str, Proposal]] = []
    for function in functions:
        live, used = live_version(function), hours.get((function.project, function.name))
        if live is not None and used:
            name = f"{function.project}/{function.name}"
            fit = tune(live.spec, used, prices.near(day_of(now)))
            proposals += [(name, each) for each in fit]
    if json:
        print_json([{"function": name, **_shown(each)} for name, each in proposals])
        return
    print_table(
        ("function", "setting", "now", "proposed", prices.currency, "why"),
        [
            (name, each.setting, each.now, each.proposed, money(each.saves), each.why)
            for name, each in proposals
        ],
        below=("why",),
        empty="There is nothing to propose: what there is fits, or was called fewer than "
        f"{LEAST_REQUESTS} times.",
    )
    if proposals:
        note(f"Functions with fewer than {LEAST_REQUESTS} requests are left out.")
        note(
            "To try it on some calls: write it into casemate.toml, then casemate deploy FUNCTION "
            "--weight 10 --watch 600, which goes back if calls get worse."
        )


def _shown(proposal: Proposal) -> dict[str, str]:
    return {
        name: format(value, "f") if isinstance(value, Decimal) else value
        for name, value in proposal._asdict().items()
    }
