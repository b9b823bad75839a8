"""Data that stays inside its part of a program, a URL or a template, and data that does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from casemate.guard.command.arguments import Argument
from casemate.guard.command.judgement import Judgement
from casemate.guard.origin import Origin, Span
from casemate.guard.url import structure
from casemate.guard.verdict import Verdict
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

_TEXT = "§"


def _made(template: str, given: str) -> tuple[str, list[Span]]:
    before, _, after = template.partition(_TEXT)
    origin = Origin("event", ("v",))
    spans = [Span(len(before), len(before) + len(given), origin, exact=True)]
    return before + given + after, spans


def _program(name: str, text: str, spans: Sequence[Span]) -> Verdict | None:
    judged = Judgement(lambda text, spans: None, lambda text, spans: None)
    return judged.arguments([Argument(name), Argument(text, spans, known=True)])


def _url(text: str, spans: Sequence[Span]) -> Verdict | None:
    return structure.judge(text, spans, lambda text, parts, span: False)


_awk, _sed, _expr, _jq = (partial(_program, name) for name in ("awk", "sed", "expr", "jq"))


@pytest.mark.parametrize(
    ("judge", "template", "given", "passes"),
    [
        (_awk, '$1 == "§" { print $2 }', "côte d'or", True),
        (_awk, '$1 == "§" { print $2 }', 'x" || 1 || "', False),
        (_awk, "$1 == § { print }", "system(1)", False),
        (_awk, '/"/ { print "a" } $1 == "§"', '; system("id")', False),
        (_awk, '$1 == "§"', "a\\", False),
        (_awk, 'BEGIN { system("ls §") }', "x; id", False),
        (_awk, 'BEGIN { while (("date §" | getline d) > 0) print d }', "x; id", False),
        (_awk, '{ print $1 | "sort §" }', "x; id", False),
        (_awk, '{ print > "out/§" }', "../../x", False),
        (_awk, '{ f = "§"; @f("id") }', "system(", False),
        (_sed, "s/NAME/§/", "a\\/b \\& c\\\\d", True),
        (_sed, "s/NAME/§/", "a/e", False),
        (_sed, "s/NAME/§/", "x\\", False),
        (_sed, "s/NAME/§/", "\\\\/w /tmp/x", False),
        (_sed, "s/NAME/\\§/", "/e x", False),
        (_sed, "s/NAME/§/", "a\n1e id", False),
        (_expr, "§", "41", True),
        (_jq, ".items[] | .§", "tags[0].name", True),
        (_jq, ".§", "a | env", False),
        (_jq, ".§", "a[]", False),
        (_jq, ".§", "a[env.X]", False),
        (_jq, 'select(.a == "b.§")', 'c" or "', False),
        (_jq, 'select(.a == "b.§")', "c[0]", True),
        (_url, "https://h.example.com§", "/a?b=c#d", True),
        (_url, "https://h.example.com/§", "a?b=1", False),
        (_url, "https://§.a.example.com/", "x.y", True),
        (_url, "https://h.example.com/a/§", "5?x=1", False),
        (_url, "https://h.example.com/§?op=get", "a?op=del&x=", False),
        (_url, "§://h.example.com/x", "file", False),
        (_url, "https://h.example.com§", "@evil.example", False),
        (_url, "https://h.example.com§", "/../x", False),
    ],
)
def test_what_ends_its_part_is_stopped(
    judge: Callable[[str, Sequence[Span]], Verdict | None],
    template: str,
    given: str,
    passes: bool,
) -> None:
    text, spans = _made(template, given)
    assert (judge(text, spans) is None) is passes


_SOURCED = """
import subprocess
def handler(event, context):
    with open("/tmp/env.sh", "w") as f: f.write(f'export G="{event["v"]}"\\n')
    return subprocess.run('. /tmp/env.sh; echo "$G"', shell=True, text=True, capture_output=True).stdout
"""
_SHEET = """
from lxml import etree
SHEET = etree.XSLT(etree.XML('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    '<xsl:param name="who"/><xsl:template match="/"><xsl:value-of select="$who"/></xsl:template></xsl:stylesheet>'))
def handler(event, context):
    who = etree.XSLT.strparam(event["who"]) if event.get("safe") else f"'{event['who']}'"
    return str(SHEET(etree.XML("<d><key>x</key></d>"), who=who))
"""
_TEMPLATE = """
from string import Template
SETTINGS = {"site": "example.org", "smtp_password": "x", "name": "y"}
def handler(event, context): return Template(event["t"]).safe_substitute(SETTINGS)
"""
_FORMAT = _TEMPLATE.replace(
    'Template(event["t"]).safe_substitute(SETTINGS)', 'event["t"].format(**SETTINGS)'
)
HARMLESS: Cases = {
    "a script that is sourced": (_SOURCED, {"v": "plain text, 5 %"}),
    "a text as a parameter": (_SHEET, {"who": 'it\'s "me"', "safe": True}),
    "a field of a template": (_TEMPLATE, {"t": "Hi $name from $site"}),
    "a field of a format": (_FORMAT, {"t": "Hi {name} from {site}"}),
}
ATTACKS: Cases = {
    "a script that is sourced": (_SOURCED, {"v": "$(echo run)"}),
    "a line of a script that is sourced": (_SOURCED, {"v": 'x"\nG=other\n#'}),
    "an expression as a parameter": (_SHEET, {"who": "' = string(//key) or '"}),
    "a hidden field of a template": (_TEMPLATE, {"t": "${smtp_password}"}),
    "a hidden field of a format": (_FORMAT, {"t": "{smtp_password}"}),
}


def test_what_stays_in_its_part_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ("lxml.etree",))


def test_what_leaves_its_part_is_stopped(tmp_path: Path) -> None:
    sinks = {"command", "xpath", "template", "code"}
    assert_blocked(tmp_path, placed(ATTACKS, tmp_path), sinks, ("lxml.etree",))
