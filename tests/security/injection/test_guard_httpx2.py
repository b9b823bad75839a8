"""What the guard sees of httpx it sees of httpx2, which took over its names."""

from __future__ import annotations

import re
from pathlib import Path

from test_guard_url import CHECK, SAFE, VULNERABLE, redirecting

from support.guard_cases import Cases, assert_blocked, assert_passes

__all__ = ["redirecting"]

PRELOAD = ("httpx2",)
_HTTPX = re.compile(r"\bhttpx\b")


def _of_httpx2(cases: Cases) -> Cases:
    chosen = {name: case for name, case in cases.items() if _HTTPX.search(case[0])}
    return {
        _HTTPX.sub("httpx2", name): (_HTTPX.sub("httpx2", code), event)
        for name, (code, event) in chosen.items()
    }


def test_hostile_addresses_are_stopped(tmp_path: Path) -> None:
    cases = _of_httpx2(VULNERABLE)
    assert len(cases) >= 4
    assert_blocked(tmp_path, cases, {"url"}, PRELOAD)


def test_addresses_as_they_should_be_pass(tmp_path: Path) -> None:
    cases = _of_httpx2(SAFE)
    assert len(cases) >= 2
    assert_passes(tmp_path, cases, PRELOAD)


def test_a_redirect_does_not_lead_inside(tmp_path: Path, redirecting: str) -> None:
    code = (
        "import httpx2\n"
        + CHECK
        + (
            "def handler(event, context):\n"
            "    return httpx2.get(check(event['u']), follow_redirects=True).text"
        )
    )
    assert_blocked(tmp_path, {"httpx2": (code, {"u": redirecting})}, {"url"}, PRELOAD)


def test_the_alias_of_httpx_is_watched(tmp_path: Path) -> None:
    code = (
        "import httpx2\nhttpx2.alias_httpx()\nimport httpx\n"
        "def handler(event, context):\n    return httpx.get(event['url']).text"
    )
    cases: Cases = {"alias": (code, {"url": "http://metadata.google.internal/"})}
    assert_blocked(tmp_path, cases, {"url"}, PRELOAD)
