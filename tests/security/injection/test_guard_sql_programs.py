"""Whole handlers as they are written for different sources, unsafe and safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.guard import guarded

DATABASE = """
import json, re, sqlite3
from urllib.parse import unquote_plus

def connect():
    db = sqlite3.connect(":memory:")
    db.executescript('''
        CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, role TEXT, created_at TEXT);
        CREATE TABLE files (bucket TEXT, name TEXT, size INTEGER);
        CREATE TABLE tenant_a1 (id INTEGER, note TEXT);
        INSERT INTO users VALUES (1, 'Ada', 'ada@example.com', 'admin', '2026-01-01');
        INSERT INTO users VALUES (2, 'Bo', 'bo@example.com', 'user', '2026-02-01');
    ''')
    return db
"""
ATTACK = "x' OR '1'='1"
UNION = "x' UNION SELECT 1, name, sql, 2, 3 FROM sqlite_master --"


def http(body: object = None, **query: str) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": "/users",
        "headers": {"content-type": "application/json", "accept": "*/*"},
        "query": {name: [value] for name, value in query.items()},
        "body": json.dumps(body),
    }


def records(*bodies: object) -> dict[str, Any]:
    return {"Records": [{"messageId": str(n), "body": json.dumps(b)} for n, b in enumerate(bodies)]}


def stored(key: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": "up"}, "object": {"key": key, "size": 7}}}]}


# name: (handler, hostile events, harmless events)
UNSAFE: dict[str, tuple[str, list[object], list[object]]] = {
    "repository": (
        """
class Users:
    def __init__(self, db):
        self.db = db
        self.table = "users"
    def by_name(self, name):
        self.query = "SELECT * FROM " + self.table
        self.query += f" WHERE name = '{name}'"
        return self.db.execute(self.query).fetchall()

def handler(event, context):
    body = json.loads(event["body"])
    return Users(connect()).by_name(body["name"])
""",
        [http({"name": ATTACK}), http({"name": UNION})],
        [http({"name": "Ada"}), http({"name": "users"})],
    ),
    "list of conditions": (
        """
def handler(event, context):
    wheres = []
    for field, values in event["query"].items():
        wheres.append("%s = '%s'" % (field, values[0]))
    query = "SELECT * FROM users"
    if wheres:
        query = query + " WHERE " + " AND ".join(wheres)
    return connect().execute(query).fetchall()
""",
        [http(name=ATTACK), http(**{"1=1 OR name": "x"}), http(name="Ada", role="user' OR ''='")],
        [http()],
    ),
    "queue": (
        """
def handler(event, context):
    db = connect()
    for record in event["Records"]:
        body = json.loads(record["body"])
        db.execute("UPDATE users SET role = '{role}' WHERE id = {id}".format(**body))
    return db.total_changes
""",
        [records({"id": 1, "role": "x', name = 'y"}), records({"id": "1 OR 1=1", "role": "user"})],
        [records({"id": 1, "role": "user"}, {"id": "2", "role": "admin"})],
    ),
    "object key": (
        """
def handler(event, context):
    db = connect()
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        name = key.rsplit("/", 1)[-1]
        size = record["s3"]["object"]["size"]
        db.execute(f"INSERT INTO files VALUES ('{record['s3']['bucket']['name']}', '{name}', {size})")
    return db.execute("SELECT * FROM files").fetchall()
""",
        [stored("a/x%27%2C+1%29%3B+DROP+TABLE+files%3B+--.png"), stored("x'||(SELECT 1)||'.png")],
        [stored("a/holiday+photo.png"), stored("report%202026.pdf")],
    ),
    "table stream": (
        """
def plain(value):
    (kind, inner), = value.items()
    return inner if kind == "S" else int(inner) if kind == "N" else inner

def handler(event, context):
    image = {k: plain(v) for k, v in event["dynamodb"]["NewImage"].items()}
    columns = ", ".join(image)
    values = ", ".join("'" + str(v) + "'" for v in image.values())
    return connect().execute("INSERT INTO users (" + columns + ") VALUES (" + values + ")").rowcount
""",
        [{"dynamodb": {"NewImage": {"name": {"S": "x'), ('y"}, "id": {"N": "5"}}}},
         {"dynamodb": {"NewImage": {"name) SELECT sql FROM sqlite_master --": {"S": "x"}}}}],
        [],
    ),
    "object with a text of its own": (
        """
class Filter:
    def __init__(self, column, value):
        self.column, self.value = column, value
    def __str__(self):
        return f"{self.column} = '{self.value}'"

def handler(event, context):
    return connect().execute(f"SELECT * FROM users WHERE {Filter('name', event['name'])}").fetchall()
""",
        [{"name": ATTACK}, {"name": "'"}],
        [{"name": "Ada"}],
    ),
    "reduce": (
        """
import functools
def handler(event, context):
    parts = ["SELECT * FROM users WHERE name = '", event["name"], "'"]
    return connect().execute(functools.reduce(lambda a, b: a + b, parts)).fetchall()
""",
        [{"name": ATTACK}],
        [{"name": "Ada"}],
    ),
    "tuple as a list": (
        """
def handler(event, context):
    return connect().execute(f"SELECT * FROM users WHERE name IN {tuple(event['names'])}").fetchall()
""",
        [{"names": ['a\' OR "b"=\'', "c' OR \"d\"=\"d"]}, {"names": ["x' OR \"1\"=\"1' --", "y"]}],
        [{"names": ["Ada", "Bo"]}],
    ),
    "JSON inside a literal": (
        """
def handler(event, context):
    db = connect()
    db.execute("INSERT INTO users (name) VALUES ('" + json.dumps(event["profile"]) + "')")
    return db.execute("SELECT name FROM users").fetchall()
""",
        [{"profile": {"bio": "it's me'); DELETE FROM users; --"}}, {"profile": ["\"x\"', 1) --"]}],
        [{"profile": {"bio": "hello \"world\""}}],
    ),
    "keys become columns": (
        """
def find(filters):
    where = " AND ".join(f"{name} = ?" for name in filters)
    return connect().execute("SELECT name, role FROM users WHERE " + where, tuple(filters.values())).fetchall()

def handler(event, context):
    assert "name" or "role"
    return find(event["filters"])
""",
        [{"filters": {"1=1 --": "x"}}, {"filters": {"name": "a", "x OR 1=1 OR id": 1}}],
        [],
    ),
    "sort": (
        """
def handler(event, context):
    sort = event.get("sort", "id")
    direction = "DESC" if sort.startswith("-") else "ASC"
    return connect().execute(f"SELECT * FROM users ORDER BY {sort.lstrip('-')} {direction}").fetchall()
""",
        [{"sort": "(CASE WHEN (SELECT 1) THEN name ELSE id END)"}, {"sort": "id; SELECT 1"}],
        [{"sort": "id"}, {}],
    ),
    "page": (
        """
def handler(event, context):
    q = event["query"]
    return connect().execute("SELECT * FROM users LIMIT " + q["limit"][0] + " OFFSET " + q["offset"][0]).fetchall()
""",
        [http(limit="1 UNION SELECT 1,2,3,4,5", offset="0"), http(limit="1", offset="0; --")],
        [http(limit="1", offset="0"), http(limit="10", offset="2")],
    ),
    "search": (
        """
def handler(event, context):
    term = event["q"].strip().lower()
    words = [w for w in re.split(r"\\s+", term) if w]
    like = " OR ".join(f"lower(name) LIKE '%{w}%'" for w in words)
    return connect().execute(f"SELECT * FROM users WHERE {like}").fetchall()
""",
        [{"q": "ada%'or'1'='1"}, {"q": "Ada x%')union(select(1),2,3,4,5)--"}],
        [{"q": "Ada Bo"}, {"q": " ada "}],
    ),
    "login": (
        """
import hashlib
def handler(event, context):
    digest = hashlib.sha256(event["password"].encode()).hexdigest()
    query = ("SELECT id FROM users WHERE email = '%(email)s' AND role = '%(digest)s'"
             % {"email": event["email"], "digest": digest})
    return connect().execute(query).fetchone()
""",
        [{"email": "admin@example.com' --", "password": "x"}, {"email": "' OR 1=1 --", "password": ""}],
        [{"email": "ada@example.com", "password": "x' OR '1'='1"}],
    ),
    "log table": (
        """
from datetime import datetime
def handler(event, context):
    db = connect()
    agent = event["headers"]["user-agent"]
    db.execute("INSERT INTO files VALUES ('log', '" + agent[:200] + "', " + str(len(agent)) + ")")
    return "ok"
""",
        [{"headers": {"user-agent": "Mozilla/5.0', (SELECT sql FROM sqlite_master), 1) --"}}],
        [{"headers": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:120.0)"}}],
    ),
}  # fmt: skip


SAFE: dict[str, tuple[str, list[object]]] = {
    "repository": (
        """
class Users:
    COLUMNS = ("id", "name", "email", "role")
    def __init__(self, db):
        self.db = db
    def find(self, **filters):
        query, values = "SELECT * FROM users", []
        for name, value in filters.items():
            if name not in self.COLUMNS:
                raise ValueError(name)
            query += (" AND " if values else " WHERE ") + f"{name} = ?"
            values.append(value)
        return self.db.execute(query, values).fetchall()

def handler(event, context):
    try:
        return Users(connect()).find(**json.loads(event["body"]))
    except ValueError:
        return "unknown column"
""",
        [http({"name": ATTACK}), http({"name": UNION, "role": "'"}), http({"1=1 --": 1}), http({})],
    ),
    "fields that may be set": (
        """
ALLOWED = {"name", "email"}
def handler(event, context):
    fields = {k: v for k, v in event["set"].items() if k in ALLOWED}
    if not fields:
        return "nothing"
    assignments = ", ".join(f"{k} = :{k}" for k in fields)
    return connect().execute(f"UPDATE users SET {assignments} WHERE id = :id", {**fields, "id": 1}).rowcount
""",
        [{"set": {"name": ATTACK}}, {"set": {"name": "x", "email": UNION, "role = 'admin' --": 1}}],
    ),
    "marks": (
        """
def handler(event, context):
    marks = ", ".join(["?"] * len(event["names"]))
    return connect().execute(f"SELECT * FROM users WHERE name IN ({marks})", event["names"]).fetchall()
""",
        [{"names": [ATTACK, "Ada", "?", ", "]}],
    ),
    "sort": (
        """
SORTS = {"name": "name ASC", "newest": "created_at DESC, id DESC"}
def handler(event, context):
    order = SORTS.get(event.get("sort"), "id")
    page = max(1, int(event.get("page", 1)))
    return connect().execute(f"SELECT * FROM users ORDER BY {order} LIMIT 10 OFFSET {(page - 1) * 10}").fetchall()
""",
        [{"sort": "name"}, {"sort": "id; DROP TABLE users"}, {"sort": "created_at DESC, id DESC"},
         {"sort": "newest", "page": "3"}],
    ),
    "sort by a list of phrases": (
        """
def handler(event, context):
    order = event["order"]
    if order not in ["created_at DESC", "created_at ASC", "name"]:
        order = "name"
    return connect().execute("SELECT * FROM users ORDER BY " + order).fetchall()
""",
        [{"order": "created_at DESC"}, {"order": "name"}, {"order": ATTACK}],
    ),
    "pattern": (
        """
def handler(event, context):
    column, tenant = event["column"], event["tenant"]
    if not re.fullmatch(r"[a-z_]{1,30}", column) or not tenant.isalnum():
        return "bad"
    return connect().execute(f"SELECT {column} FROM tenant_{tenant}").fetchall()
""",
        [{"column": "note", "tenant": "a1"}, {"column": "id, note", "tenant": "a1"},
         {"column": "note", "tenant": "a1; --"}],
    ),
    "quoted name": (
        """
def quote_name(name):
    return '"' + name.replace('"', '""') + '"'
def handler(event, context):
    return connect().execute("SELECT name AS " + quote_name(event["label"]) + " FROM users").fetchall()
""",
        [{"label": "Full name"}, {"label": 'x" FROM users; --'}, {"label": '""'}],
    ),
    "quoted literal": (
        """
def quote(value):
    return "'" + str(value).replace("'", "''") + "'"
def handler(event, context):
    return connect().execute("SELECT * FROM users WHERE name = " + quote(event["name"])).fetchall()
""",
        [{"name": ATTACK}, {"name": "O'Reilly"}, {"name": "\\\' OR 1=1 --"}, {"name": "''"}],
    ),
    "uuid and date": (
        """
import uuid
from datetime import date
def handler(event, context):
    key, day = uuid.UUID(event["id"]), date.fromisoformat(event["day"])
    return connect().execute(f"SELECT '{key}' FROM users WHERE created_at >= '{day}'").fetchall()
""",
        [{"id": "12345678-1234-5678-1234-567812345678", "day": "2026-01-31"}],
    ),
    "statements in a file": (
        """
from pathlib import Path
QUERIES = dict(
    part.strip().split("\\n", 1)
    for part in (Path(__file__).parent / "queries.sql").read_text().split("-- name: ")[1:]
)
def handler(event, context):
    return connect().execute(QUERIES[event["query"]], {"name": event["name"]}).fetchall()
""",
        [{"query": "by_name", "name": "users"}, {"query": "by_name", "name": ATTACK},
         {"query": "by_name", "name": "name = :name"}, {"query": "newest", "name": "created_at DESC"}],
    ),
    "text about SQL": (
        """
def handler(event, context):
    db = connect()
    db.execute("INSERT INTO users (name, email) VALUES (?, ?)", (event["title"], event["body"]))
    return db.execute("SELECT name, email FROM users WHERE name = ?", (event["title"],)).fetchall()
""",
        [{"title": "INSERT INTO users (name, email) VALUES (?, ?)", "body": "name, email"},
         {"title": "SELECT", "body": "users WHERE name = ?"}, {"title": "?", "body": ", "}],
    ),
    "export": (
        """
def handler(event, context):
    db = connect()
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if event["table"] not in tables:
        return "no such table"
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({event['table']})")]
    chosen = [c for c in event["columns"] if c in columns]
    return db.execute(f"SELECT {', '.join(chosen)} FROM {event['table']}").fetchall()
""",
        [{"table": "users", "columns": ["id", "name", ATTACK]}, {"table": "users; --", "columns": []}],
    ),
    "many rows": (
        """
def handler(event, context):
    db = connect()
    db.executemany("INSERT INTO files VALUES (:bucket, :name, :size)", event["rows"])
    return db.execute("SELECT count(*) FROM files WHERE name LIKE ?", (f"%{event['rows'][0]['name']}%",)).fetchall()
""",
        [{"rows": [{"bucket": "a", "name": ATTACK, "size": 1}, {"bucket": "files", "name": "%", "size": 2}]}],
    ),
}  # fmt: skip
QUERIES = """
-- name: by_name
SELECT id, name FROM users WHERE name = :name AND role <> 'x'
-- name: newest
SELECT * FROM users WHERE name <> :name ORDER BY created_at DESC
"""


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_program_is_stopped_by_hostile_events_alone(tmp_path: Path, name: str) -> None:
    handler, hostile, harmless = UNSAFE[name]
    answers = guarded(tmp_path, DATABASE + handler, [*hostile, *harmless])
    found = [answer.outcome for answer in answers]
    assert found == ["blocked"] * len(hostile) + ["ok"] * len(harmless), answers


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_program_is_never_stopped(tmp_path: Path, name: str) -> None:
    handler, events = SAFE[name]
    (tmp_path / "queries.sql").write_text(QUERIES)
    answers = guarded(tmp_path, DATABASE + handler, events)
    assert [answer.outcome for answer in answers] == ["ok"] * len(events), answers
