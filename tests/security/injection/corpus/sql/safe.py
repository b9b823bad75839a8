"""Handlers that bind, check or choose."""

from support.guard_corpus import Program, body, query, sqs

FILE = '''
#### db.py
import sqlite3
def connect():
    c = sqlite3.connect(":memory:")
    c.executescript("""CREATE TABLE users (id INTEGER, name TEXT, mail TEXT, role TEXT, age INTEGER);
    INSERT INTO users VALUES (1,'ada','ada@example.com','admin',36),(2,'bob','bob@example.com','user',20);
    CREATE TABLE orders (id INTEGER, user_id INTEGER, total REAL, state TEXT);""")
    return c
'''
HOSTILE = [
    "' OR '1'='1",
    "x'; DROP TABLE users; --",
    "SELECT * FROM users",
    "O'Brien",
    "name",
    "users",
]

PROGRAMS = {
    "bound": Program(
        """
from db import connect
def handler(event, context):
    return connect().execute("SELECT * FROM users WHERE name = ?", (event["name"],)).fetchall()
"""
        + FILE,
        benign=[{"name": h} for h in HOSTILE],
    ),
    "named, f-string of columns": Program(
        """
from db import connect
COLUMNS = ("id", "name")
def handler(event, context):
    sql = f"SELECT {', '.join(COLUMNS)} FROM users WHERE name = :name AND role = :role"
    return connect().execute(sql, {"name": event["name"], "role": "user"}).fetchall()
"""
        + FILE,
        benign=[{"name": h} for h in HOSTILE],
    ),
    "placeholders of a list": Program(
        """
import json
from db import connect
def handler(event, context):
    ids = json.loads(event["body"])["ids"]
    marks = ",".join("?" * len(ids))
    return connect().execute(f"SELECT * FROM users WHERE id IN ({marks})", ids).fetchall()
"""
        + FILE,
        benign=[body(ids=["1", "' OR 1=1", "?"]), body(ids=[1, 2, 3])],
    ),
    "allowed order": Program(
        """
from db import connect
ALLOWED = {"id", "name", "age"}
def handler(event, context):
    p = event["queryStringParameters"]
    sort = p.get("sort", "id")
    if sort not in ALLOWED: return {"statusCode": 400}
    direction = "DESC" if p.get("dir", "").lower() == "desc" else "ASC"
    return connect().execute(f"SELECT * FROM users ORDER BY {sort} {direction} LIMIT {int(p.get('limit', 10))}").fetchall()
"""
        + FILE,
        benign=[
            query(sort="name", dir="desc"),
            query(sort="age", limit="2"),
            query(sort="id; drop"),
        ],
    ),
    "dictionary of columns": Program(
        """
from db import connect
SORT = {"newest": "id DESC", "oldest": "id ASC", "name": "name COLLATE NOCASE"}
def handler(event, context):
    return connect().execute("SELECT id FROM users ORDER BY " + SORT.get(event["sort"], SORT["newest"])).fetchall()
"""
        + FILE,
        benign=[{"sort": "newest"}, {"sort": "name"}, {"sort": "id DESC; --"}],
    ),
    "enum": Program(
        """
from enum import Enum
from db import connect
class Role(str, Enum):
    ADMIN = "admin"
    USER = "user"
def handler(event, context):
    role = Role(event["role"])
    return connect().execute("SELECT * FROM users WHERE role = '%s'" % role.value).fetchall()
"""
        + FILE,
        benign=[{"role": "admin"}, {"role": "' or 1=1"}],
    ),
    "regex, table": Program(
        """
import re
from db import connect
def handler(event, context):
    table = event["table"]
    if not re.fullmatch(r"[a-z_]{1,30}", table): raise ValueError("table")
    return connect().execute('SELECT count(*) FROM "' + table + '"').fetchone()
"""
        + FILE,
        benign=[{"table": "users"}, {"table": "orders"}, {"table": "x y"}],
    ),
    "isidentifier": Program(
        """
from db import connect
def column(name):
    if not name.isidentifier(): raise ValueError(name)
    return name
def handler(event, context):
    sets = ", ".join(f"{column(k)} = ?" for k in event["changes"])
    return connect().execute(f"UPDATE users SET {sets} WHERE id = ?", [*event["changes"].values(), event["id"]]).rowcount
"""
        + FILE,
        benign=[
            {"changes": {"name": "x'; --", "mail": "q"}, "id": 1},
            {"changes": {"a b": 1}, "id": 1},
        ],
    ),
    "numbers": Program(
        """
from decimal import Decimal
from db import connect
import uuid
def handler(event, context):
    age, price = int(event["age"]), Decimal(event["price"])
    key = uuid.UUID(event["key"])
    return connect().execute(f"SELECT * FROM users WHERE age > {age} AND id < {price} AND name <> '{key}'").fetchall()
"""
        + FILE,
        benign=[
            {"age": "-3", "price": "1e3", "key": "12345678123456781234567812345678"},
            {"age": " 42 ", "price": "7.50", "key": "{12345678-1234-5678-1234-567812345678}"},
        ],
    ),
    "doubled quotes": Program(
        """
from db import connect
def quote(value): return "'" + value.replace("'", "''") + "'"
def handler(event, context):
    return connect().execute("SELECT * FROM users WHERE name = " + quote(event["name"])).fetchall()
"""
        + FILE,
        benign=[{"name": h} for h in HOSTILE],
    ),
    "date": Program(
        """
from datetime import date, datetime
from db import connect
def handler(event, context):
    since = date.fromisoformat(event["since"])
    until = datetime.strptime(event["until"], "%d.%m.%Y")
    return connect().execute(f"SELECT * FROM users WHERE mail BETWEEN '{since.isoformat()}' AND '{until:%Y-%m-%d}'").fetchall()
"""
        + FILE,
        benign=[{"since": "2024-01-31", "until": "1.2.2024"}],
    ),
    "builder of a search": Program(
        """
from db import connect
class Query:
    def __init__(self, table): self.table, self.where, self.args = table, [], []
    def eq(self, column, value):
        self.where.append(f"{column} = ?"); self.args.append(value); return self
    def like(self, column, value):
        self.where.append(column + " LIKE ? ESCAPE '!'")
        self.args.append("%" + value.replace("!", "!!").replace("%", "!%") + "%"); return self
    def all(self, conn):
        sql = "SELECT * FROM " + self.table
        if self.where: sql += " WHERE " + " AND ".join(self.where)
        return conn.execute(sql, self.args).fetchall()
def handler(event, context):
    q = Query("users")
    for field in ("name", "role"):
        if field in event: q.eq(field, event[field])
    if "search" in event: q.like("mail", event["search"])
    return q.all(connect())
"""
        + FILE,
        benign=[{"name": h, "search": h} for h in HOSTILE],
    ),
    "event that names what the code names": Program(
        """
from db import connect
def handler(event, context):
    conn = connect()
    conn.execute("INSERT INTO orders (id, user_id, state) VALUES (?, ?, ?)", (1, 2, event["state"]))
    return conn.execute("SELECT state, count(*) FROM orders GROUP BY state ORDER BY state").fetchall()
"""
        + FILE,
        benign=[
            {"state": s}
            for s in ("state", "orders", "GROUP BY", "count(*)", "id, user_id", "SELECT", ", ")
        ],
    ),
    "queue, executemany": Program(
        """
import json
from db import connect
def handler(event, context):
    rows = [json.loads(r["body"]) for r in event["Records"]]
    c = connect()
    c.executemany("INSERT INTO users (id, name) VALUES (:id, :name)", rows)
    return c.total_changes
"""
        + FILE,
        benign=[sqs({"id": 1, "name": "'); DROP TABLE users; --"}, {"id": 2, "name": "users"})],
    ),
    "key of the code's own dictionary": Program(
        """
from db import connect
FIELDS = {"full_name": "name", "email": "mail"}
def handler(event, context):
    wanted = [FIELDS[f] for f in event["fields"].split(",") if f in FIELDS]
    return connect().execute("SELECT " + ", ".join(wanted or ["id"]) + " FROM users").fetchall()
"""
        + FILE,
        benign=[{"fields": "full_name,email,password"}, {"fields": "1;--"}],
    ),
    "pandas": Program(
        """
import pandas as pd
from db import connect
def handler(event, context):
    return len(pd.read_sql_query("SELECT * FROM users WHERE role = ?", connect(), params=(event["role"],)))
"""
        + FILE,
        benign=[{"role": h} for h in HOSTILE],
    ),
}
