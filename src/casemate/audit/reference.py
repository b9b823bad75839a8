"""The reference page of the rules, made of their table: what is documented is what is tested."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from casemate.audit.fixing import FIXABLE
from casemate.audit.rule import OWASP, Rule
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files

_RISKS = {
    1: "shared responsibility",
    2: "permissions",
    3: "input",
    4: "errors",
    5: "dependencies",
    6: "monitoring",
}


def rules_page() -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines()).rstrip("\n") + "\n"


def _lines() -> Iterator[str]:
    yield "# Rules of `casemate audit`"
    yield ""
    yield (
        f"The {len(RULES)} rules, generated from their table by "
        "`python -m casemate.audit docs/reference`. The diff below each rule is its test:"
    )
    yield "the audit reports the removed lines and passes the added ones."
    yield ""
    yield "| id | what | severity | risk | OWASP | CWE | ATT&CK |"
    yield "|---|---|---|---|---|---|---|"
    for rule in RULES:
        mended = " (`--fix`)" if rule.id in FIXABLE else ""
        yield (
            f"| [{rule.id}](#{rule.id.lower()}) | {_cell(rule.title)}{mended} "
            f"| {rule.severity.value} | {_RISKS[rule.risk.value]} "
            f"| {rule.owasp} | {rule.cwe} | {rule.attack or '-'} |"
        )
    yield ""
    yield "OWASP: " + "; ".join(f"{name} {title}" for name, title in OWASP.items()) + "."
    for rule in RULES:
        yield from _rule(rule)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rule(rule: Rule) -> Iterator[str]:
    yield ""
    yield f"## {rule.id}"
    yield ""
    reach = ", more severe if everybody can call the function" if rule.by_reach else ""
    yield f"**{rule.title}** ({rule.severity.value}{reach})"
    yield ""
    yield rule.why
    yield ""
    yield f"Change: {rule.fix}"
    if rule.vulnerable:
        yield ""
        yield "```diff"
        yield from difference(rule.vulnerable, rule.fixed)
        yield "```"


def difference(before: Files, after: Files) -> Iterator[str]:
    """Yield the lines of what differs between two examples, whole files as context."""
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield f"# {name}"
            most = max(old.count("\n"), new.count("\n")) + 1
            compared = difflib.unified_diff(old.splitlines(), new.splitlines(), n=most, lineterm="")
            yield from list(compared)[3:]
