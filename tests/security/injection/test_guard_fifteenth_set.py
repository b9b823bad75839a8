"""What a fifteenth set of programs by others showed, each with its hostile twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.pages.judgement import judge
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("urllib.request",)
FETCH = (
    "import urllib.request\nfrom urllib.parse import urlsplit\nPARTNER = ('files.example', 8443)\n"
    "def handler(event, context):\n    parts = urlsplit(event['u'])\n{}"
    "    if {}:\n        raise LookupError(event['u'])\n"
    "    try:\n        urllib.request.urlopen(event['u'], timeout=0.01)\n    except OSError:\n"
    "        return 'away'\n"
)
BOTH = "(parts.hostname, parts.port)"
AT = "https://files.example:8443/a"
AS_MEANT: Cases = {
    "a host and port that were compared": (
        FETCH.format("", f"{BOTH} != ('files.example', 8443)"),
        {"u": AT},
    ),
    "the same the other way round": (
        FETCH.format("", f"not ('files.example', 8443) == {BOTH}"),
        {"u": AT},
    ),
    "a host and port by a name": (FETCH.format("", f"{BOTH} != PARTNER"), {"u": AT}),
}
STOPPED: Cases = {
    "a host and port of the event's": (
        FETCH.format("    OTHER = (event['host'], event['port'])\n", f"{BOTH} != OTHER"),
        {"u": "https://evil.example:22/", "host": "evil.example", "port": 22},
    ),
    "a host and port that were compared for another reason": (
        FETCH.format("", f"{BOTH} == ('files.example', 8443)"),
        {"u": "https://evil.example/"},
    ),
    "a host alone that was compared": (
        FETCH.format("", "(parts.hostname, 1) != ('files.example', 1)"),
        {"u": "https://files.example:22/"},
    ),
}


def test_what_is_as_meant_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, AS_MEANT, PRELOAD)


def test_its_hostile_twins_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, STOPPED, {"url"}, PRELOAD)


@pytest.mark.parametrize(
    ("page", "part", "stopped"),
    [
        ('<input value="Select; drop">', 'e="Select; drop', False),
        ('<input value="Select; drop">', 'value="Select; drop', True),
        ('<input value="a" onclick="alert(1)">', 'onclick="alert(1)', True),
        ('<input value="a" onclick="alert(1)">', '" onclick="alert(1)', True),
        ('<input onclick="alert(1)">', 'k="alert(1)', True),
    ],
)
def test_the_end_of_a_name_that_the_code_has_begun_is_its_own(
    page: str, part: str, *, stopped: bool
) -> None:
    start = page.index(part)
    origin = Origin("query", "name", PIECE)
    found = judge(page, [Span(start, start + len(part), origin, exact=False)], ())
    assert (found is not None) is stopped
