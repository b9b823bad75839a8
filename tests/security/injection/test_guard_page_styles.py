"""Values in attributes `style` of a page, and addresses that a page sends its reader to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.guard.pages import styles
from support.guard_cases import assert_blocked, assert_passes

PRELOAD = ("html",)
_HANDLER = """
import html
def handler(event, context):
    v = html.escape(event["v"])
    headers = {{"content-type": "text/html; charset=utf-8"}}
    return {{"status": 200, "headers": headers, "body": {body}}}
"""
COLOUR = """'<div style="color: ' + v + '">x</div>'"""
BETWEEN = """f'<div style="color: {v}; width: 5px">x</div>'"""
WHOLE = """f'<div style="{v}">x</div>'"""
IMAGE = """f'<div style="background-image: url(\\'{v}\\')">x</div>'"""
BARE = """f'<div style="background: url({v}) no-repeat">x</div>'"""
REFRESH = """f'<meta http-equiv="refresh" content="0; url={v}">'"""
FIXED = """f'<meta http-equiv=refresh content="3;URL=https://shop.example/t?q={v}">'"""
HOST = """f'<meta http-equiv="refresh" content="3;URL=https://shop.example{v}">'"""
ABOUT = """f'<meta name="description" content="{v}">'"""

ATTACKS = {
    COLOUR: (
        "red;position:fixed;top:0",
        "url(//e.example)",
        "red;background:url(https://e.example)",
        "\\75rl(x)",
        "a" * 5000 + ";position:fixed",
    ),
    BETWEEN: ("red; position: fixed",),
    WHOLE: (
        "background:url(https://e.example/x)",
        "color: " + "a" * 5000 + "; background: url(https://e.example/x)",
        "background: u\\72l(x)",
    ),
    IMAGE: ("x'); position: fixed; a: url('",),
    BARE: ("x) fixed; position:fixed; y:url(z",),
    REFRESH: (
        "https://e.example",
        "https://e.example/" + "a" * 2000,
        "//e.example/x",
        "javascript:alert(1)",
    ),
    HOST: (".e.example/", "@e.example/x"),
}
HARMLESS = {
    COLOUR: ("red", "#fff", "rgb(1, 2, 3)", "var(--x)", "red;", '"Times New Roman", serif', ""),
    BETWEEN: ("red", "#fff", "hsl(120deg 10% 20%)", "12px/1.5 Arial"),
    WHOLE: ("color: red; font-weight: bold", "width: calc(100% - 2px)", "font-family: 'Arial'"),
    IMAGE: ("https://cdn.example/a(1).png?x=1&y=2", "/static/a;b.png", "a b.png"),
    BARE: ("https://cdn.example/a.png?x=1;y=2",),
    REFRESH: ("/next?x=1", "page.html"),
    FIXED: ("a&b", "https://other.example/"),
    ABOUT: ("5; url=https://a.example", "Ann's: 10; url = x"),
}


@pytest.mark.parametrize("body", ATTACKS)
def test_more_than_a_value_is_stopped(body: str, tmp_path: Path) -> None:
    cases = {value: (_HANDLER.format(body=body), {"v": value}) for value in ATTACKS[body]}
    assert_blocked(tmp_path, cases, {"response"}, PRELOAD)


@pytest.mark.parametrize("body", HARMLESS)
def test_a_value_passes(body: str, tmp_path: Path) -> None:
    cases = {value: (_HANDLER.format(body=body), {"v": value}) for value in HARMLESS[body]}
    assert_passes(tmp_path, cases, PRELOAD)


@pytest.mark.parametrize(
    "part", ["'", '"', "\\", "'\\", '"\\', "\"'", "a", "url(", "rgb(", " ", ";"]
)
def test_a_style_takes_no_longer_than_it_is_long(part: str) -> None:
    text = (part * 100_000)[:100_000]
    began = time.process_time()
    styles.in_attribute(text, "red", ";")
    styles.in_attribute("color: ", text, "; width: 1px")
    styles.in_attribute("", text, "")
    styles.in_sheet(text)
    assert time.process_time() - began < 1.0
