"""The report as JUnit's XML, for the test views of build servers: a case for each rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape

from casemate.audit.finding import Finding, Report, Severity
from casemate.shown_text import on_one_line

_NO_XML = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
"""What XML has none of, beside what is shown as an escape."""


def junit_of(report: Report, fail_on: Severity = Severity.HIGH) -> str:
    """Return the report as XML; what is below `fail_on` is told, and fails nothing."""
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for each in report.findings:
        by_rule[each.rule].append(each)
    failures = sum(any(_fails(f, fail_on) for f in found) for found in by_rule.values())
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites tests="{len(by_rule)}" failures="{failures}">',
        f'  <testsuite name="casemate audit" tests="{len(by_rule)}" failures="{failures}" '
        f'errors="0" skipped="0" time="{report.seconds:.3f}">',
    ]
    for name, found in sorted(by_rule.items()):
        lines.append(
            f"    <testcase classname={_quoted('audit.' + name)} name={_quoted(found[0].title)}>"
        )
        told = "\n".join(_text(line) for each in found for line in _told(each))
        if any(_fails(f, fail_on) for f in found):
            message = f"{len(found)} finding(s)"
            lines.append(f"      <failure message={_quoted(message)}>{told}</failure>")
        else:
            lines.append(f"      <system-out>{told}</system-out>")
        lines.append("    </testcase>")
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _told(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.value} {finding.place}: {finding.text}"
    for also in finding.also:
        yield f"  also {also.place}: {also.text}"


def _fails(finding: Finding, least: Severity) -> bool:
    return finding.severity.rank >= least.rank


def _text(text: str) -> str:
    """Return one line of text. Build servers attach files of theirs that `[[ATTACHMENT|` names."""
    return escape(on_one_line(text).translate(_NO_XML).replace("[[", "[ ["))


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'
