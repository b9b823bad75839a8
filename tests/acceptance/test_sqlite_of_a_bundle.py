"""An SQLite file beside the code can be read, as the guide to web applications says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from support.node import TestNode

SHARES_NODE = True
HANDLER = """
import sqlite3
from pathlib import Path

path = Path(__file__).parent / "cities.db"


def handler(event, context):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as cities:
        wanted = "SELECT people FROM cities WHERE name = ?"
        row = cities.execute(wanted, (event["name"],)).fetchone()
        try:
            cities.execute("DELETE FROM cities")
        except sqlite3.OperationalError as error:
            return {"people": row and row[0], "deleting": "readonly" in str(error)}
"""
MANIFEST = """
[project]
name = "atlas"

[function.people]
handler = "app:handler"
source = "src"
"""


def test_a_database_file_in_the_source_is_read_and_not_written(
    node: TestNode, tmp_path: Path
) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    (source / "app.py").write_text(HANDLER)
    with sqlite3.connect(source / "cities.db") as cities:
        cities.execute("CREATE TABLE cities (name TEXT, people INTEGER)")
        cities.execute("INSERT INTO cities VALUES ('Bern', 134), ('O''Fallon', 90)")
    cities.close()
    node.deploy(tmp_path, project="atlas", name="people")
    for name, people in (("Bern", 134), ("O'Fallon", 90), ("' OR 1=1 --", None)):
        answer = node.invoke({"name": name}, function="atlas/people")
        assert answer.json() == {"people": people, "deleting": True}, name
