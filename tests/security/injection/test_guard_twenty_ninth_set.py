"""What a twenty-ninth set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.guard.core import Guard
from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.url.joining import without_chance
from support.guard_cases import assert_blocked, assert_passes

# -- a property of dates ---------------------------------------------------------------------------

LETTER = """
from dataclasses import dataclass, field
from datetime import date, timedelta
{more}
WORDING = "Dear {{name}}: {{invoice.number}}"

@dataclass
class Invoice:
    number: str
    due: date = field(default=date(2026, 5, 1))

    @property
    def deadline(self):
        return self.due + timedelta({days})

def handler(event, context):
    return event["wording"].format(name="Ann", invoice=Invoice("R-1"))
"""
SHADOWED = """
def timedelta(days):
    import os
    return date(2026, 5, 1) - date.today()
"""


def test_a_property_that_calculates_with_dates_is_shown(tmp_path: Path) -> None:
    code = LETTER.format(more="", days="days=14")
    cases = {text: (code, {"wording": text}) for text in ("{invoice.deadline:%d.%m.%Y}", "{name}")}
    assert_passes(tmp_path, cases, ())


def test_one_that_calls_something_of_that_name_is_not(tmp_path: Path) -> None:
    code = LETTER.format(more=SHADOWED, days="days=14")
    hidden = LETTER.format(more="", days="days=len(open('/etc/passwd').read())")
    event = {"wording": "{invoice.deadline}"}
    assert_blocked(tmp_path, {"own": (code, event), "reads": (hidden, event)}, {"code"}, ())


# -- formulas in which the code writes signs otherwise ----------------------------------------------

FORMULA = """
import math, re
NAMES = {"sqrt": math.sqrt, "pi": math.pi, "max": max, "abs": abs}

def handler(event, context):
    formula = event["formula"].replace("^", "**")
    formula = re.sub(r"(?<=\\d),(?=\\d)", ".", formula)
    code = compile(formula, "<formula>", "eval")
    return eval(code, {"__builtins__": {}}, {**NAMES, "größe": 2.0, "temp": 3.0})
"""


def test_a_formula_whose_signs_are_rewritten_passes(tmp_path: Path) -> None:
    texts = ("max(temp, 0,5) if temp > -1 else abs(temp)", "größe * pi", "sqrt(temp^2 + 1,5)")
    assert_passes(tmp_path, {text: (FORMULA, {"formula": text}) for text in texts}, ())


def test_one_that_reaches_more_is_stopped(tmp_path: Path) -> None:
    texts = (
        "temp.__class__ if 1,5 else 0",
        "(1,5).__class__.__base__.__subclasses__()",
        "größe.real ** 1,5 if ().__class__ else 2",
        "max(9^9^9, 1,5)",
    )
    cases = {text: (FORMULA, {"formula": text}) for text in texts}
    assert_blocked(tmp_path, cases, {"code"}, ())


# -- what stands between the words of a list -------------------------------------------------------

SORT = """
import os
def handler(event, context):
    options = ["-t", "';'"]
    for key in (part.strip() for part in event["keys"].split("+")):
        options.append("-k" + key)
    with os.popen("printf 'b;1\\\\na;2\\\\n' | sort " + " ".join(options)) as pipe:
        return pipe.read()
"""


def test_blanks_of_the_code_between_words_are_its_own(tmp_path: Path) -> None:
    texts = ("1 + 2", "1,1 + 2", "2,2n", "1 + 1 + 2")
    assert_passes(tmp_path, {text: (SORT, {"keys": text}) for text in texts}, ("os",))


def test_blanks_of_the_event_are_not(tmp_path: Path) -> None:
    texts = ("1 /etc/passwd", "1 + 2 /etc/passwd", "1;id", "1 + 2 -o /tmp/x")
    cases = {text: (SORT, {"keys": text}) for text in texts}
    assert_blocked(tmp_path, cases, {"command"}, ("os",))


# -- URLs ------------------------------------------------------------------------------------------

QUOTED = """
import http.client
from urllib.parse import urlencode
def handler(event, context):
    client = http.client.HTTPConnection("127.0.0.1", 9, timeout=1)
    for sku in event["skus"]:
        query = {"sku": sku, "tenant": "acme"}
        try:
            client.request("GET", "/items?" + MADE)
        except OSError:
            client.close()
    return 1
"""
RESOLVED = """
import posixpath, urllib.request
from urllib.parse import quote, unquote
def handler(event, context):
    path = posixpath.normpath("/public/books/" + quote(unquote(event["key"]), safe="/'"))
    try:
        return urllib.request.urlopen("http://127.0.0.1:9" + PREFIX + path, timeout=1).read()
    except OSError:
        return 1
"""


def test_a_parameter_that_is_quoted_passes_whatever_is_in_it(tmp_path: Path) -> None:
    code = QUOTED.replace("MADE", "urlencode(query)")
    both = ["A-1&tenant=globex#", "KEY?tenant=globex", "a&tenant="]
    assert_passes(tmp_path, {"both": (code, {"skus": both})}, ("http.client",))


def test_what_is_quoted_is_looked_for_in_little_time() -> None:
    guard = Guard("/nowhere/")
    piece = "&tenant=x"
    guard.begin({"texts": [f"{n}{piece}" + "é&" * 900 for n in range(2000)]})
    url = f"https://shop.example/items?sku=a{piece}"
    spans = [Span(32, 41, Origin("event", ("texts", 0), (PIECE,)), exact=False)]
    guard.spans(url)
    began = time.process_time()
    assert without_chance(guard, url, spans) == spans
    assert time.process_time() - began < 0.05


def test_one_that_is_there_once_more_is_stopped(tmp_path: Path) -> None:
    made = "urlencode(query) + '&raw=' + __import__('textwrap').dedent(sku)"
    cases = {text: (QUOTED.replace("MADE", made), {"skus": [text]}) for text in ("A-1&admin=1#",)}
    assert_blocked(tmp_path, cases, {"url"}, ("http.client", "textwrap"))


def test_one_that_is_not_is_stopped(tmp_path: Path) -> None:
    code = QUOTED.replace("MADE", "'&'.join(f'{k}={v}' for k, v in query.items())")
    cases = {text: (code, {"skus": [text]}) for text in ("A-1&tenant=globex#", "a&tenant=")}
    assert_blocked(tmp_path, cases, {"url"}, ("http.client",))


@pytest.mark.parametrize("prefix", ['""', '"/api"'])
def test_a_path_that_is_resolved_before_it_is_asked_for(prefix: str, tmp_path: Path) -> None:
    code = RESOLVED.replace("PREFIX", prefix)
    harmful = ("../../internal/readers", "x%2F..%2F..%2F..%2Finternal%2Freaders")
    cases = {text: (code, {"key": text}) for text in harmful}
    assert_blocked(tmp_path, cases, {"url"}, ("urllib.request",))
    (tmp_path / "more").mkdir()
    harmless = ("Der%20Proze%C3%9F", "a/../b", "3.14 @ home", "../books/a")
    cases = {text: (code, {"key": text}) for text in harmless}
    assert_passes(tmp_path / "more", cases, ("urllib.request",))
