"""A report on an incident: what a person can send on, made of what the node has on record."""

from __future__ import annotations

import html as html_module
import time
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from casemate.cli.client import NodeClient
from casemate.cli.incident_cost import costs, explained
from casemate.cli.incident_reach import Reach, reach
from casemate.cli.names import FunctionName
from casemate.cli.text import moment, one_line
from casemate.metering import Costs
from casemate.operations.incidents import Incident, IncidentState
from casemate.shown_text import in_markdown

MAX_FUNCTIONS = 20

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


class IncidentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report says."""

    incident: Incident
    node: str
    made_at: float
    reached: tuple[Reach, ...]
    costs: Costs
    """What calls of its functions cost meanwhile."""
    quarantined: tuple[str, ...]
    """Functions of it that take no calls at present."""
    duties: tuple[str, ...]
    """What is left to do."""


def gathered(client: NodeClient, incident: Incident) -> IncidentFacts:
    """Return what the node has on record of an incident. Raises CasemateError."""
    # Of one that opened while a clock was ahead, all that was done since would be from before it.
    counted = replace(incident, opened_at=min(incident.opened_at, time.time()))
    reached: list[Reach] = []
    quarantined: list[str] = []
    for each in incident.functions[:MAX_FUNCTIONS]:
        name = FunctionName(each.project, each.name)
        found = reach(client, name, counted.opened_at)
        reached += found.parts
        if found.quarantined:
            quarantined.append(str(name))
    if (more := len(incident.functions) - MAX_FUNCTIONS) > 0:
        reached.append(Reach(function=f"{more} more", problem=f"A report has {MAX_FUNCTIONS}."))
    return IncidentFacts(
        incident=incident,
        node=client.url,
        made_at=time.time(),
        reached=tuple(reached),
        costs=costs(client, counted, incident.functions[:MAX_FUNCTIONS]),
        quarantined=tuple(quarantined),
        duties=tuple(_duties(incident, quarantined, reached)),
    )


def _duties(
    incident: Incident, quarantined: Sequence[str], reached: Sequence[Reach]
) -> Iterable[str]:
    if not incident.owner:
        yield f"Nobody works on it: casemate incident assign {incident.id} OWNER"
    if incident.state is IncidentState.OPEN and incident.functions:
        yield f"It is not contained: casemate incident contain {incident.id} --reason TEXT"
    for name in quarantined:
        yield f"{name} takes no calls; once it is mended: casemate release {name} --reason TEXT"
    secrets = {use.split()[1] for each in reached for use in each.used if use.startswith("secret ")}
    for secret in sorted(secrets):
        yield f"The secret {secret} was read meanwhile: casemate secrets set gives it a new value"
    if not incident.state.closed:
        yield f"It is not closed: casemate incident resolve {incident.id} --reason TEXT"


def _tables(facts: IncidentFacts) -> list[tuple[str, str, Table]]:
    """Return the parts of a report: heading, a sentence, and a table."""
    incident = facts.incident
    reached = [
        (
            each.function,
            "; ".join(each.used) or "nothing",
            "; ".join(each.unused) or "nothing",
            str(each.denied),
        )
        for each in facts.reached
        if not each.problem
    ]
    unknown = [(each.function, each.problem) for each in facts.reached if each.problem]
    parts: list[tuple[str, str, Table]] = [
        (
            "What was found",
            "",
            (
                ("rule", "level", "findings", "first", "last", "what it is"),
                [
                    (
                        each.rule,
                        each.level.value,
                        str(each.findings),
                        moment(each.first_at),
                        moment(each.last_at),
                        each.title,
                    )
                    for each in incident.rules
                ],
            ),
        ),
        (
            "What was reached, and what was not",
            "A function can reach what it is granted and nothing else: each use is decided and "
            "counted by the node. What stands under unused was granted and not used from an hour "
            "before the first finding on; what is not named was granted to none of these versions.",
            (("function", "used", "unused", "refused attempts"), reached),
        ),
    ]
    if unknown:
        parts.append(("Not known", "", (("function", "why"), unknown)))
    if incident.functions:
        parts.append(_cost_part(facts.costs))
    lines = [
        (moment(each.at), each.kind, each.by or "the node", each.text) for each in incident.timeline
    ]
    parts.append(("Timeline", "", (("at", "what", "by", "text"), lines)))
    return parts


def _cost_part(found: Costs) -> tuple[str, str, Table]:
    rows = [
        (
            each.function,
            str(each.requests),
            str(each.refused),
            f"{each.cpu_seconds:.3f} s",
            each.cost,
            each.named or "-",
        )
        for each in found.functions
    ]
    heads = ("function", "calls", "refused", "cpu", "cost", "of whom it is about")
    return "What it cost", explained(found), (heads, rows)


def _contained(incident: Incident) -> str:
    if incident.contained_at is None:
        return "-"
    since = ", taken back since" if incident.state is IncidentState.OPEN else ""
    return moment(incident.contained_at) + since


def _head(facts: IncidentFacts) -> list[tuple[str, str]]:
    incident = facts.incident
    closed = incident.closed_at
    return [
        ("severity", incident.level.value),
        ("state", incident.state.value),
        ("owner", incident.owner or "nobody"),
        ("node", facts.node),
        ("about", ", ".join(incident.things) or "-"),
        ("projects", ", ".join(incident.projects) or "-"),
        ("techniques (ATT&CK)", ", ".join(incident.techniques) or "-"),
        ("first noticed", moment(incident.opened_at)),
        ("newest finding", moment(incident.last_at)),
        ("contained", _contained(incident)),
        ("closed", "-" if closed is None else moment(closed)),
        ("report made", moment(facts.made_at)),
    ]


def markdown(facts: IncidentFacts) -> str:
    """Return the report as Markdown."""
    incident = facts.incident
    lines = [f"# Incident {incident.id}: {in_markdown(incident.title)}", ""]
    lines += [f"- {name}: {in_markdown(value)}" for name, value in _head(facts)]
    for heading, sentence, (heads, rows) in _tables(facts):
        lines += ["", f"## {heading}", ""]
        if sentence:
            lines += [sentence, ""]
        lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines += [f"| {' | '.join(map(in_markdown, row))} |" for row in rows]
    lines += ["", "## Left to do", ""]
    lines += [f"- {in_markdown(each)}" for each in facts.duties] or ["Nothing."]
    return "\n".join(lines)


_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;color:#111}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:4px 8px;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#eee}"
    "h2{margin-top:1.5em}@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}"
)


def html(facts: IncidentFacts) -> str:
    """Return the report as one HTML file that loads nothing; a browser prints it as PDF."""
    incident = facts.incident
    title = _escaped(f"Incident {incident.id}: {incident.title}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    body = [f"<h1>{title}</h1>", _rows(("", ""), _head(facts))]
    for heading, sentence, (heads, rows) in _tables(facts):
        body += [
            f"<h2>{_escaped(heading)}</h2>",
            f"<p>{_escaped(sentence)}</p>",
            _rows(heads, rows),
        ]
    duties = "".join(f"<li>{_escaped(each)}</li>" for each in facts.duties)
    body += ["<h2>Left to do</h2>", f"<ul>{duties}</ul>" if duties else "<p>Nothing.</p>"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>"
    )


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_escaped(each)}</th>" for each in heads) if any(heads) else ""
    lines = [f"<tr>{head}</tr>"] if head else []
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{_escaped(each)}</td>" for each in row) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _escaped(text: str) -> str:
    return html_module.escape(one_line(text))
