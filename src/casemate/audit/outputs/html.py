"""The report as one file of HTML that asks nothing of any server and runs no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape

from casemate.audit.finding import Finding, Report, Severity
from casemate.audit.outputs.rules import rule_of
from casemate.audit.paths import svg_of
from casemate.shown_text import on_one_line

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}table{border-collapse:collapse}
td,th{padding:.2rem .8rem .2rem 0;text-align:left}
article{border-left:.4rem solid #999;padding:.2rem 1rem;margin:1rem 0;background:#f7f7f7}
article h2{font-size:1.05rem;margin:.3rem 0}
code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}
.critical{border-color:#7a0019}.high{border-color:#c62828}.medium{border-color:#ef6c00}
.low{border-color:#f9a825}.info{border-color:#607d8b}small{color:#555}
@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}article{background:#222}small{color:#aaa}}
"""
_MAX_SHOWN = 5_000
_MAX_PATHS = 40
_MAX_PRIVILEGES = 500


def html_of(report: Report) -> str:
    """Return the report as a page."""
    return "".join(_parts(report))


def _safe(text: object) -> str:
    """Return a text that is only a text in HTML, lone surrogates and controls shown."""
    plain = "".join(
        char if char in "\t" or char.isprintable() else f"\\u{ord(char):04x}"
        for char in on_one_line(str(text))
    )
    return escape(plain.encode("utf-8", "replace").decode("utf-8"), quote=True)


def _parts(report: Report) -> Iterator[str]:
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Audit of {_safe(report.root)}</title><style>{_STYLE}</style></head><body>"
    )
    yield f"<h1>Audit of <code>{_safe(report.root)}</code></h1>"
    counts = Counter(each.severity for each in report.findings)
    yield "<table><tr>" + "".join(f"<th>{s.value}</th>" for s in reversed(Severity)) + "</tr><tr>"
    yield "".join(f"<td>{counts[s]}</td>" for s in reversed(Severity)) + "</tr></table>"
    yield (
        f"<p>{report.functions} function(s), {report.rules} rules, "
        f"{len(report.accepted)} accepted.</p>"
    )
    if report.score is not None:
        versions = "; ".join(f"{name} {text}" for name, text in report.versions.items())
        yield f"<p>Score {report.score} of 100. {_safe(versions)}</p>"
    if report.paths:
        yield "<h1>Attack paths</h1>" + svg_of(list(report.paths)) + "<ol>"
        for path in report.paths[:_MAX_PATHS]:
            yield f"<li>{_safe(path.text)} <code>{_safe(path.place)}</code></li>"
        yield "</ol>"
    for each in report.findings[:_MAX_SHOWN]:
        yield from _finding(each, report)
    yield from _privileges(report)
    if len(report.findings) > _MAX_SHOWN:
        yield f"<p>{len(report.findings) - _MAX_SHOWN} more are not shown.</p>"
    if report.accepted:
        yield "<h1>Accepted</h1><ul>"
        for accepted in report.accepted[:_MAX_SHOWN]:
            finding = accepted.finding
            yield (
                f"<li>{_safe(finding.rule)} <code>{_safe(finding.place)}</code> "
                f"{_safe(accepted.reason or accepted.by)} {_safe(accepted.until)}</li>"
            )
        yield "</ul>"
    if report.unresolved:
        yield "<h1>Not resolved, and therefore not judged</h1><ul>"
        for note in report.unresolved[:_MAX_SHOWN]:
            yield f"<li><code>{_safe(note.place)}</code> {_safe(note.what)}</li>"
        yield "</ul>"
    yield "</body></html>\n"


def _lines(text: str) -> str:
    """Return lines that stay lines."""
    return "\n".join(_safe(line) for line in text.split("\n"))


def _privileges(report: Report) -> Iterator[str]:
    """Yield what functions need beside what they are granted, those with too much alone."""
    found = [each for each in report.privileges if each.minimal]
    if not found:
        return
    yield "<h1>Rights that the code needs</h1>"
    for each in found[:_MAX_PRIVILEGES]:
        yield f"<details><summary><code>{_safe(each.function)}</code></summary><table>"
        yield "<tr><th>granted</th><th>never called</th><th>on</th></tr>"
        for surplus in each.surplus[:_MAX_PRIVILEGES]:
            yield (
                f"<tr><td><code>{_safe(surplus.pattern)}</code></td>"
                f"<td><code>{_safe(', '.join(surplus.actions))}</code></td>"
                f"<td><code>{_safe(', '.join(surplus.resources))}</code></td></tr>"
            )
        yield f"</table><p>This would be enough:</p><pre><code>{_lines(each.minimal)}</code></pre>"
        yield "</details>"


def _finding(each: Finding, report: Report) -> Iterator[str]:
    rule = rule_of(each.rule, report)
    name = f"{each.severity.value} {_safe(each.rule)} {_safe(each.title)}"
    yield f'<article class="{each.severity.value}"><h2>{name}</h2>'
    yield f"<p><code>{_safe(each.place)}</code> {_safe(each.function)}</p><p>{_safe(each.text)}</p>"
    if each.steps:
        steps = "".join(
            f"<li><code>{_safe(s.place)}</code> {_safe(s.text)}</li>" for s in each.steps
        )
        yield f"<ol>{steps}</ol>"
    if each.also:
        others = "".join(
            f"<li><code>{_safe(a.place)}</code> {_safe(a.text)}</li>" for a in each.also
        )
        yield f"<p>The same cause shows at</p><ul>{others}</ul>"
    if rule is not None:
        yield f"<p><small>{_safe(rule.why)}</small></p>"
    yield f"<p>{_safe(each.fix)}</p>"
    if rule is not None:
        ids = f"risk {rule.risk.value} {rule.owasp} CWE-{rule.cwe} {rule.attack}"
        yield f"<p><small>{_safe(ids)}</small></p>"
    yield "</article>"
