"""A run as a document that can be sent on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from casemate.drills.drill import Outcome, Run, Way
from casemate.shown_text import in_markdown

RISKS = {
    1: "insecure configuration",
    2: "over-privileged functions",
    3: "event-data injection",
    4: "inadequate monitoring",
    5: "verbose errors",
    6: "insecure dependencies",
}
WAYS = {
    Way.EVENT: "hostile events",
    Way.REQUEST: "requests without a right",
    Way.ERROR: "errors that would tell",
    Way.RESIDUE: "what a call leaves",
    Way.CALL: "code that runs",
    Way.MISUSE: "what rules of detection find",
    Way.RECORDED: "attacks on record",
    Way.CONTAINMENT: "containment",
}
_BARS = " ▁▂▃▄▅▆▇█"


def slowest(outcomes: Sequence[Outcome], name: str) -> float | None:
    """Return the longest time of a kind, in seconds; None where there is none."""
    times = [getattr(each, name) for each in outcomes]
    return max((each for each in times if each is not None), default=None)


def summary(run: Run) -> list[tuple[str, ...]]:
    """Return a row for each way: attacks, prevented, detected, failed, slowest times."""
    rows = []
    for way, name in WAYS.items():
        these = [each for each in run.outcomes if each.way is way]
        if not these:
            continue
        rows.append(
            (
                name,
                str(len(these)),
                str(sum(each.prevented for each in these)),
                str(sum(each.detected for each in these)),
                str(sum(not each.passed for each in these)),
                *(
                    _seconds(slowest(these, f"{kind}_seconds"))
                    for kind in ("detected", "contained", "restored")
                ),
            )
        )
    return rows


HEADS = (
    "attacks by",
    "number",
    "prevented",
    "detected",
    "failed",
    "seen in",
    "contained",
    "restored",
)


def chart(runs: Sequence[Run]) -> str:
    """Return a bar for each run, the oldest first: which part of its attacks went as it must."""
    bars = []
    for run in runs:
        part = 1 - len(run.failed) / max(1, len(run.outcomes))
        bars.append(_BARS[round(part * (len(_BARS) - 1))])
    return "".join(bars)


def moment(at: float) -> str:
    """Return a time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def markdown(run: Run, before: Sequence[Run] = ()) -> str:
    """Return a run as Markdown; `before`: the newest runs, this among them."""
    techniques = Counter(each.technique for each in run.outcomes)
    lines = [
        f"# Drill {run.id}",
        "",
        f"- Node: {in_markdown(run.node)}, project {in_markdown(run.project)}",
        f"- Played: {moment(run.at)}, in {run.seconds:.0f} s",
        f"- {len(run.outcomes)} attacks of {len(techniques)} techniques (ATT&CK): "
        f"**{'all went as they must' if not run.failed else f'{len(run.failed)} failed'}**",
        f"- {run.calls} honest calls beside them, {run.lost_calls} lost",
    ]
    if before:
        lines.append(f"- The last {len(before)} runs: `{chart(before)}`")
    if run.left:
        lines.append(f"- Not cleaned up: {in_markdown(run.left)}")
    lines += ["", *_table(HEADS, summary(run))]
    lines += ["", "## By risk", "", *_table(("risk", "attacks", "failed"), _by_risk(run))]
    if run.failed:
        failed = [(each.id, each.title, each.problem) for each in run.failed]
        lines += ["", "## Failed", "", *_table(("attack", "what it is", "what went wrong"), failed)]
    found = [(rule, str(count)) for rule, count in sorted(run.findings.items())]
    lines += ["", "## Found by rules of detection", ""]
    lines += _table(("rule", "times"), found) if found else ["None."]
    rows = [
        (
            each.id,
            each.technique,
            "yes" if each.prevented else "no",
            _seconds(each.detected_seconds) if each.detected else "no",
            each.evidence,
        )
        for each in run.outcomes
    ]
    lines += ["", "## All attacks", ""]
    lines += _table(("attack", "technique", "prevented", "detected", "evidence"), rows)
    return "\n".join(lines) + "\n"


def _by_risk(run: Run) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for risk, name in RISKS.items():
        these = [each for each in run.outcomes if each.risk == risk]
        if these:
            failed = sum(not each.passed for each in these)
            rows.append((f"{risk}: {name}", str(len(these)), str(failed)))
    return rows


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(map(in_markdown, row))} |" for row in rows]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"
