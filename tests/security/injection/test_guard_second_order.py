"""What one function stores from its event is still its event's in another; what it made is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_CHILD = Path(__file__).parents[2] / "support" / "guard_store_child.py"
APP = """
import base64, bz2, gzip, json, sqlite3

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE t (name TEXT, kind TEXT)")
ORDER = "name"


def select(name):
    return DB.execute(f"SELECT * FROM t WHERE name = '{name}'").fetchall()


def save_item(event, context):
    name = event["name"]
    clause = "kind = 'a' OR 1 = 1"
    context.table("users").put({"id": "1", "name": name, "clause": clause, "n": {"l": [name]}})

def use_item(event, context):
    return select(context.table("users").get("1").value["name"])

def use_nested(event, context):
    return select(context.table("users").get("1").value["n"]["l"][0])

def use_query(event, context):
    return [select(item.value["name"]) for item in context.table("users").query()]

def use_clause(event, context):
    clause = context.table("users").get("1").value["clause"]
    return DB.execute("SELECT * FROM t WHERE " + clause).fetchall()

def use_with_parameters(event, context):
    name = context.table("users").get("1").value["name"]
    return DB.execute("SELECT * FROM t WHERE name = ?", (name,)).fetchall()

def save_part(event, context):
    context.table("users").put({"id": "1", "name": f"name: {event['name']}"})

def use_part(event, context):
    return select(context.table("users").get("1").value["name"][6:])

def save_key(event, context):
    context.table("users").put({"id": "1", "fields": {event["name"]: 1}})

def use_key(event, context):
    return [select(key) for key in context.table("users").get("1").value["fields"]]

def save_object(event, context):
    context.bucket("uploads").put("k", event["text"])

def save_encoded(event, context):
    context.bucket("uploads").put("k", base64.b64encode(event["text"].encode()))

def save_json(event, context):
    context.bucket("uploads").put("k", json.dumps({"q": event["text"]}))

def save_own(event, context):
    context.bucket("uploads").put("k", "x' OR name = 'y")

def use_object(event, context):
    return select(context.bucket("uploads").get("k").decode())

def use_file(event, context):
    with context.bucket("uploads").open("k") as file:
        return select(file.read().decode())

def use_encoded(event, context):
    return select(base64.b64decode(context.bucket("uploads").get("k")).decode())

def use_json(event, context):
    return select(json.loads(context.bucket("uploads").get("k"))["q"])

def save_letters(event, context):
    context.table("users").put({"id": "1", "letters": list(event["name"])})

def use_letters(event, context):
    return select("".join(context.table("users").get("1").value["letters"]))

def save_numbers(event, context):
    context.table("users").put({"id": "1", "numbers": list(event["name"].encode())})

def use_numbers(event, context):
    return select(bytes(context.table("users").get("1").value["numbers"]).decode())

def save_gzip(event, context):
    context.bucket("uploads").put("k", gzip.compress(event["text"].encode()))

def save_bz2(event, context):
    context.bucket("uploads").put("k", bz2.compress(event["text"].encode()))

def use_gzip(event, context):
    return select(gzip.decompress(context.bucket("uploads").get("k")).decode())

def use_bz2(event, context):
    return select(bz2.decompress(context.bucket("uploads").get("k")).decode())

def save_named(event, context):
    context.bucket("uploads").put(event["name"], "x", metadata={"title": event["name"]})

def use_named(event, context):
    return [select(info.key) for info in context.bucket("uploads").list()]

def use_metadata(event, context):
    return [select(info.metadata["title"]) for info in context.bucket("uploads").list()]

def copy(event, context):
    name = context.table("users").get("1").value["name"]
    context.table("users").put({"id": "2", "copied": name})

def use_copy(event, context):
    return select(context.table("users").get("2").value["copied"])
"""
HOSTILE = "x' OR '1'='1"


def run(folder: Path, *calls: tuple[str, object]) -> list[dict[str, Any]]:
    """Return what became of each call, one after the other."""
    (folder / "app.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, str(_CHILD), str(folder)],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("stored", "event", "used", "source"),
    [
        ("save_item", {"name": HOSTILE}, "use_item", "table:users"),
        ("save_item", {"name": HOSTILE}, "use_nested", "table:users"),
        ("save_item", {"name": HOSTILE}, "use_query", "table:users"),
        ("save_part", {"name": HOSTILE}, "use_part", "table:users"),
        ("save_key", {"name": HOSTILE}, "use_key", "table:users"),
        ("save_object", {"text": HOSTILE}, "use_object", "bucket:uploads"),
        ("save_object", {"text": HOSTILE}, "use_file", "bucket:uploads"),
        ("save_encoded", {"text": HOSTILE}, "use_encoded", "bucket:uploads"),
        ("save_json", {"text": HOSTILE}, "use_json", "bucket:uploads"),
        ("save_letters", {"name": HOSTILE}, "use_letters", "table:users"),
        ("save_numbers", {"name": HOSTILE}, "use_numbers", "table:users"),
        ("save_gzip", {"text": HOSTILE}, "use_gzip", "bucket:uploads"),
        ("save_bz2", {"text": HOSTILE}, "use_bz2", "bucket:uploads"),
        ("save_named", {"name": HOSTILE}, "use_named", "bucket:uploads"),
        ("save_named", {"name": HOSTILE}, "use_metadata", "bucket:uploads"),
    ],
)
def test_what_was_stored_from_an_event_is_blocked_where_it_is_used(
    tmp_path: Path, stored: str, event: object, used: str, source: str
) -> None:
    first, second = run(tmp_path, (stored, event), (used, {}))
    assert first["outcome"] == "ok", first
    assert second["outcome"] == "blocked", second
    [record] = second["records"]
    assert (record["sink"], record["source"]) == ("sql", source)


def test_the_label_goes_on_through_a_second_table(tmp_path: Path) -> None:
    *before, last = run(
        tmp_path, ("save_item", {"name": HOSTILE}), ("copy", {"id": "7"}), ("use_copy", {})
    )
    assert [answer["outcome"] for answer in before] == ["ok", "ok"]
    assert last["outcome"] == "blocked"
    assert last["records"][0]["pointer"] == "/copied"


@pytest.mark.parametrize(
    ("stored", "event", "used"),
    [
        ("save_item", {"name": "Ada"}, "use_item"),
        ("save_letters", {"name": "Ada"}, "use_letters"),
        ("save_gzip", {"text": "Ada Lovelace"}, "use_gzip"),
        ("save_named", {"name": "reports/2026 final.csv"}, "use_named"),
        ("save_item", {"name": HOSTILE}, "use_clause"),
        ("save_item", {"name": HOSTILE}, "use_with_parameters"),
        ("save_own", {"text": "abc"}, "use_object"),
        ("save_object", {"text": "Ada Lovelace"}, "use_object"),
    ],
)
def test_what_the_code_made_is_trusted_and_what_is_harmless_passes(
    tmp_path: Path, stored: str, event: object, used: str
) -> None:
    first, second = run(tmp_path, (stored, event), (used, {}))
    assert (first["outcome"], second["outcome"]) == ("ok", "ok"), second
