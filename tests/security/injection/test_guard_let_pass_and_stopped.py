"""What programs by somebody who had not read the guard were refused, or got away with."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from casemate.guard.core import Guard
from casemate.guard.nosql.languages import judge_search
from casemate.guard.origin import Origin, Span
from casemate.guard.url.joining import left_of, patch_urljoin, patch_yarl
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

SQL = "import sqlite3\ndb = sqlite3.connect(':memory:')\ndb.execute('CREATE TABLE t(a)')\n"
COLLATED = (
    SQL + "return db.execute(f\"SELECT a FROM t WHERE a = 'x' COLLATE {event['c']}\").fetchall()"
)
COUNT = "import os\nwith os.popen('echo x | wc ' + event['o']) as f:\n    return f.read()"
LOOKUP = "import os\nreturn os.system(f\"true {event['h']}\")"
UNPICKLED = (
    "import base64\nimport io\nimport pickle\n"
    "return pickle.Unpickler(io.BytesIO(base64.b64decode(event['d']))).load()"
)
SOURCED = (
    "import subprocess\nfrom pathlib import Path\n"
    "Path('/tmp/g9.env').write_text(''.join(f'{k}=\"{v}\"\\n' for k, v in event['new'].items()))\n"
    "return subprocess.run(['sh', '-c', '. /tmp/g9.env; echo \"$A_1\"'], check=True).returncode"
)
FILTER = (
    "import subprocess\nfrom pathlib import Path\n"
    "Path('/tmp/g9.pl').write_text(f\"while (<STDIN>) {{ print if /{event['w']}/i; }}\\n\")\n"
    "return subprocess.run(['perl', '/tmp/g9.pl'], input='x', text=True, check=False).returncode"
)
HARMLESS: Cases = {
    "a collation": (COLLATED, {"c": "BINARY"}),
    "letters of wc": (COUNT, {"o": "-c"}),
    "an address": (LOOKUP, {"h": "[2001:db8::1]"}),
    "a pickle of plain values": (
        UNPICKLED,
        {"d": "gASVGwAAAAAAAABdlCiMB08nQnJpZW6UjARldmFslIwCw7yUZS4="},
    ),
    "names of variables": (SOURCED, {"new": {"A_1": "Tom's shop", "LIMIT": 3}}),
    "a pattern of Perl": (FILTER, {"w": "invoice|bill"}),
}
VULNERABLE: Cases = {
    "more than a collation": (COLLATED, {"c": "NOCASE UNION SELECT sql FROM sqlite_master"}),
    "a file of wc": (COUNT, {"o": "--files0-from=/etc/passwd"}),
    "a pattern": (LOOKUP, {"h": "[a-z]*"}),
    "a dangerous variable": (SOURCED, {"new": {"LD_PRELOAD": "/tmp/x.so"}}),
    "code of Perl": (FILTER, {"w": "@{[system('id')]}"}),
}
HIT = Span(0, 0, Origin("event", ("q",)), exact=True)


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ())


def test_their_hostile_twins_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), {"sql", "command", "file"}, ())


@pytest.mark.parametrize("words", ["garden plan", "C++; o'brien (x)", "note: x", "time 10:30"])
def test_words_of_a_search_pass(words: str) -> None:
    text = f"owner:ann AND title:({words})"
    assert judge_search(text, [HIT._replace(start=21, end=21 + len(words))]) is None


@pytest.mark.parametrize("words", ["x) OR owner:(bob", "x OR y", "owner:bob", "x NOT y"])
def test_operators_of_a_search_are_stopped(words: str) -> None:
    text = f"owner:ann AND title:({words})"
    assert judge_search(text, [HIT._replace(start=21, end=21 + len(words))]) is not None


def test_a_joined_url_is_known_with_more_at_its_end() -> None:
    guard = Guard("/function/code")
    module = types.ModuleType("urllib.parse")
    module.urljoin = lambda base, url: "http://h.test" + url  # type: ignore[attr-defined]
    module.urlsplit = module.urlparse = lambda url: url  # type: ignore[attr-defined]
    patch_urljoin(guard, module)
    event = {"sku": "/admin/prices"}
    guard.begin(event)
    joined = module.urljoin("http://h.test/api/stock/", event["sku"])
    assert left_of(guard, joined + "?shop=main") is not None
    assert left_of(guard, joined + "-x") is None
    assert left_of(guard, "http://h.test/api/stock/x") is None


def test_steps_up_are_known_after_yarl_took_them_out() -> None:
    class URL:
        def __new__(cls, val: str = "") -> URL:
            return object.__new__(cls)

        def __init__(self, val: str = "") -> None:
            self.val = val.replace("/api/a/../..", "")

        def __str__(self) -> str:
            return "http://h.test/admin"

    guard = Guard("/function/code")
    module = types.ModuleType("yarl._url")
    module.URL = URL  # type: ignore[attr-defined]
    patch_yarl(guard, module)
    guard.begin({"v": "../../admin"})
    module.URL("http://h.test/api/a/../../admin")
    assert left_of(guard, "http://h.test/admin") is not None
    assert left_of(guard, "http://h.test/other") is None
