"""A text of the code vouches for a value that was compared with it, and for no other."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

_SQL = """
import sqlite3

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE users (id INTEGER, name TEXT)")
"""
_GET = """
import os
import urllib.request


def get(url):
    try:
        return urllib.request.urlopen(url, timeout=1).status
    except OSError:
        return "not reached"
"""
_BY_ID = """

def handler(event, context):
    return DB.execute(f"SELECT * FROM users WHERE id = {event['v']}").fetchall()
"""
_BY_URL = """

def handler(event, context):
    return get(event["url"])
"""

BLOCKED: Cases = {
    "the module's docstring": ('"""1=1"""' + _SQL + _BY_ID, {"v": "1=1"}),
    "a function's docstring": (
        _SQL + '\ndef other():\n    """1=1"""\n    return 1\n' + _BY_ID,
        {"v": "1=1"},
    ),
    "a class's docstring": (
        _SQL + '\nclass Other:\n    """1=1"""\n    x = 1\n' + _BY_ID,
        {"v": "1=1"},
    ),
    "a constant of something else": (_SQL + '\nMESSAGE = "1=1"\n' + _BY_ID, {"v": "1=1"}),
    "a list of something else": (_SQL + '\nEXAMPLES = ["1=1", "2=2"]\n' + _BY_ID, {"v": "1=1"}),
    "part of a longer text": (_SQL + '\nHELP = "try 1=1 or so"\n' + _BY_ID, {"v": "1=1"}),
    "compared, and not equal": (
        _SQL
        + '\ndef handler(event, context):\n    if event["v"] == "2=2":\n        return 1\n'
        + "    return DB.execute(f\"SELECT * FROM users WHERE id = {event['v']}\").fetchall()\n",
        {"v": "1=1"},
    ),
    "compared with a text of the event": (
        _SQL
        + '\nNAME = "x"\ndef handler(event, context):\n    NAME = event["w"]\n'
        + '    assert event["v"] == NAME\n'
        + "    return DB.execute(f\"SELECT * FROM users WHERE id = {event['v']}\").fetchall()\n",
        {"v": "1=1", "w": "1=1"},
    ),
    "a name with dots, one part of which the code does not hold": (
        _SQL
        + '\nTABLE = "users"\ndef handler(event, context):\n'
        + "    return DB.execute(f\"SELECT {event['c']} FROM users\").fetchall()\n",
        {"c": "users.secret"},
    ),
    "a second column to sort by that is hidden": (
        _SQL
        + '\ndef handler(event, context):\n    by = ", ".join(event["by"])\n'
        + '    return DB.execute(f"SELECT id FROM users ORDER BY {by}").fetchall()\n',
        {"by": ["id", "pw"]},
    ),
    "an end that the event has brought": (
        _GET
        + "\ndef handler(event, context):\n"
        + '    host = event["host"]\n    if not host.endswith(event["end"]):\n        return "no"\n'
        + '    return get(f"https://{host}/")\n',
        {"host": "a.evil.example", "end": ".evil.example"},
    ),
    "no end at all": (
        _GET
        + "\ndef handler(event, context):\n"
        + '    host = event["host"]\n    if not host.endswith(event["end"]):\n        return "no"\n'
        + '    return get(f"https://{host}/")\n',
        {"host": "a.evil.example", "end": ""},
    ),
    "one of the ends that the event has brought": (
        _GET
        + "\ndef handler(event, context):\n"
        + '    host = event["host"]\n    if not host.endswith(tuple(event["ends"])):\n        return "no"\n'
        + '    return get(f"https://{host}/")\n',
        {"host": "a.evil.example", "ends": [".evil.example"]},
    ),
    "a host in a docstring": (
        '"""See https://docs.example.org/ for more."""' + _GET + _BY_URL,
        {"url": "https://docs.example.org/x"},
    ),
    "a host in a sentence": (
        _GET + '\nHELP = "See https://docs.example.org/ for more."\n' + _BY_URL,
        {"url": "https://docs.example.org/x"},
    ),
    "what is below a host of the code": (
        _GET + '\nAPI = "https://api.example.org/v1"\n' + _BY_URL,
        {"url": "https://evil.api.example.org/v1"},
    ),
    "another port of a host of the code": (
        _GET + '\nAPI = "https://api.example.org/v1"\n' + _BY_URL,
        {"url": "https://api.example.org:22/v1"},
    ),
    "another scheme of a host of the code": (
        _GET + '\nAPI = "https://api.example.org/v1"\n' + _BY_URL,
        {"url": "http://api.example.org/v1"},
    ),
    "a private host of the code": (
        _GET + '\nAPI = "http://10.1.2.3/v1"\n' + _BY_URL,
        {"url": "http://10.1.2.3/delete"},
    ),
    "a port of a host that a setting names for something else": (
        _GET + '\nos.environ["REDIS_URL"] = "redis://cache.internal:6379/0"\n' + _BY_URL,
        {"url": "http://cache.internal:22/"},
    ),
    "a port of a host that was compared": (
        _GET
        + "from urllib.parse import urlsplit\ndef handler(event, context):\n"
        + '    if urlsplit(event["url"]).hostname not in {"cdn.example.org"}:\n        return 1\n'
        + '    return get(event["url"])\n',
        {"url": "https://cdn.example.org:22/"},
    ),
}

PASSES: Cases = {
    "a name with dots, each part of which the code holds": (
        _SQL
        + '\nTABLE, COLUMN = "users", "name"\ndef handler(event, context):\n'
        + "    return DB.execute(f\"SELECT {event['c']} FROM users\").fetchall()\n",
        {"c": "users.name"},
    ),
    "a second selected column to sort by": (
        _SQL
        + '\ndef handler(event, context):\n    by = ", ".join(event["by"])\n'
        + '    return DB.execute(f"SELECT id, name FROM users ORDER BY {by}").fetchall()\n',
        {"by": ["name", "id"]},
    ),
    "an end that the code has": (
        _GET
        + "\ndef handler(event, context):\n"
        + '    host = event["host"]\n    if not host.endswith(event.get("end", ".partner.example")):\n        return "no"\n'
        + '    return get(f"https://{host}/")\n',
        {"host": "a.partner.example"},
    ),
    "compared with a text of the code": (
        _SQL
        + '\ndef handler(event, context):\n    if event["v"] != "id":\n        return "no"\n'
        + "    return DB.execute(f\"SELECT * FROM users WHERE id = {event['v']}\").fetchall()\n",
        {"v": "id"},
    ),
    "the code's text first": (
        _SQL
        + '\ndef handler(event, context):\n    if "name DESC" == event["v"]:\n'
        + "        return DB.execute(f\"SELECT * FROM users ORDER BY {event['v']}\").fetchall()\n",
        {"v": "name DESC"},
    ),
    "compared with a constant": (
        _SQL
        + '\nNEWEST = "name DESC"\ndef handler(event, context):\n    if event["v"] == NEWEST:\n'
        + "        return DB.execute(f\"SELECT * FROM users ORDER BY {event['v']}\").fetchall()\n",
        {"v": "name DESC"},
    ),
    "a case of a match": (
        _SQL
        + '\ndef handler(event, context):\n    match event["v"]:\n'
        + '        case "name DESC" | "id":\n            order = event["v"]\n'
        + '        case _:\n            order = "id"\n'
        + '    return DB.execute(f"SELECT * FROM users ORDER BY {order}").fetchall()\n',
        {"v": "name DESC"},
    ),
    "a mapping's value": (
        _SQL
        + '\nORDERS = {"new": "name DESC"}\ndef handler(event, context):\n'
        + "    order = ORDERS[event['v']]\n"
        + '    return DB.execute(f"SELECT * FROM users ORDER BY {order}").fetchall()\n',
        {"v": "new", "w": "name DESC"},
    ),
    "the very place that the code names": (
        _GET + '\nAPI = "https://api.example.org/v1"\n' + _BY_URL,
        {"url": "https://api.example.org/v1/items"},
    ),
    "the very place that a setting names": (
        _GET + '\nos.environ["API"] = "http://127.0.0.1:9/v1"\n' + _BY_URL,
        {"url": "http://127.0.0.1:9/v1/items"},
    ),
    "a host that was compared": (
        _GET
        + "from urllib.parse import urlsplit\ndef handler(event, context):\n"
        + '    if urlsplit(event["url"]).hostname not in {"cdn.example.org"}:\n        return 1\n'
        + '    return get(event["url"])\n',
        {"url": "https://cdn.example.org/x.png"},
    ),
}


def test_no_text_of_the_code_vouches_by_itself(tmp_path: Path) -> None:
    assert_blocked(tmp_path, BLOCKED, {"sql", "url"}, ())


def test_what_the_code_compared_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, PASSES, ())
