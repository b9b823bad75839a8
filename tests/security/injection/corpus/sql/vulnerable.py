"""Handlers that splice data into statements."""

from support.guard_corpus import Program, b64, body, query, s3, sns, sqs

DB = '''
import sqlite3
def connect():
    c = sqlite3.connect(":memory:")
    c.executescript("""CREATE TABLE users (id INTEGER, name TEXT, mail TEXT, role TEXT, age INTEGER);
    INSERT INTO users VALUES (1,'ada','ada@example.com','admin',36),(2,'bob','bob@example.com','user',20);
    CREATE TABLE orders (id INTEGER, user_id INTEGER, total REAL, state TEXT);""")
    return c
'''
FILE = "#### db.py" + DB
UNION = "x' UNION SELECT mail, role, 1, 1, 1 FROM users --"
OR = "' OR '1'='1"

PROGRAMS = {
    "repository class": Program(
        """
from db import connect
class UserRepository:
    TABLE = "users"
    def __init__(self, conn): self.conn = conn
    def _where(self, **criteria):
        parts = []
        for column, value in criteria.items():
            parts.append(column + " = '" + str(value) + "'")
        return " AND ".join(parts)
    def find(self, **criteria):
        return self.conn.execute(f"SELECT * FROM {self.TABLE} WHERE {self._where(**criteria)}").fetchall()
def handler(event, context):
    return UserRepository(connect()).find(name=event["name"], role=event.get("role", "user"))
"""
        + FILE,
        [{"name": OR}, {"name": "a", "role": UNION}, {"name": "admin'--"}],
        [{"name": "ada"}, {"name": "Bob Smith", "role": "admin"}],
    ),
    "body, percent": Program(
        """
import json
from db import connect
def handler(event, context):
    data = json.loads(event["body"])
    sql = "SELECT id FROM users WHERE name = '%s' AND mail = '%s'" % (data["user"], data["mail"])
    cur = connect().cursor()
    cur.execute(sql)
    return {"statusCode": 200, "body": json.dumps(cur.fetchall())}
"""
        + FILE,
        [body(user="x", mail=OR), body(user="\\' or 1=1 --", mail="")],
        [body(user="ada", mail="ada@example.com")],
    ),
    "format in another module": Program(
        """
import queries
from db import connect
def handler(event, context):
    q = queries.SEARCH.format(term=event["queryStringParameters"]["q"].strip().lower())
    return connect().execute(q).fetchall()
#### queries.py
SEARCH = "SELECT name, mail FROM users WHERE name LIKE '%{term}%' OR mail LIKE '%{term}%'"
"""
        + FILE,
        [query(q="  ' UNION SELECT role, age FROM users --"), query(q="%' or 1 or '")],
        [query(q="ada"), query(q="Example.COM")],
    ),
    "order by": Program(
        """
from db import connect
def handler(event, context):
    p = event.get("queryStringParameters") or {}
    sort, direction = p.get("sort", "id"), p.get("dir", "asc")
    sql = "select id, name from users"
    sql += " order by " + sort + " " + direction
    sql += " limit " + str(p.get("limit", 10))
    return connect().execute(sql).fetchall()
"""
        + FILE,
        [
            query(sort="(CASE WHEN (SELECT 1) THEN id ELSE name END)"),
            query(sort="id", dir="desc, (select mail from users)"),
            query(sort="id", limit="1 UNION SELECT 1,2"),
        ],
        [query(limit="5"), query(sort="name", dir="desc")],
    ),
    "key of an object": Program(
        """
from urllib.parse import unquote_plus
from db import connect
import os
def handler(event, context):
    db = connect()
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        user, _, filename = key.partition("/")
        name = os.path.splitext(filename)[0]
        db.execute(f"UPDATE users SET mail = '{name}' WHERE name = '{user}'")
"""
        + FILE,
        [s3("ada/x%27%2C+role%3D%27admin%27+--+.png"), s3("x%27+or+%271%27%3D%271/a.png")],
        [s3("ada/photo.png"), s3("ada/my+photo+%281%29.png")],
    ),
    "queue, batch insert": Program(
        """
import json
from db import connect
def handler(event, context):
    rows = []
    for r in event["Records"]:
        m = json.loads(r["body"])
        rows.append("({}, '{}', '{}')".format(m["id"], m["name"], m["mail"]))
    connect().execute("INSERT INTO users (id, name, mail) VALUES " + ", ".join(rows))
"""
        + FILE,
        [
            sqs({"id": 1, "name": "a", "mail": "b'),(9,'root',(select role from users)) --"}),
            sqs({"id": "1, (select 1), 2)--", "name": "a", "mail": "b"}),
        ],
        [sqs({"id": 1, "name": "a", "mail": "b@c.d"}, {"id": 2, "name": "x y", "mail": "q"})],
    ),
    "base64 token": Program(
        """
import base64, json
from db import connect
def handler(event, context):
    token = event["headers"]["x-cursor"]
    state = json.loads(base64.urlsafe_b64decode(token + "==="))
    rows = connect().execute("SELECT * FROM users WHERE id > %s LIMIT %s" % (state["after"], state["n"]))
    return rows.fetchall()
"""
        + FILE,
        [{"headers": {"x-cursor": b64('{"after": "0 UNION SELECT 1,2,3,4,5 --", "n": 3}')}}],
        [{"headers": {"x-cursor": b64('{"after": 1, "n": 3}')}}],
    ),
    "quotes stripped": Program(
        """
from db import connect
def clean(s):
    return s.replace("'", "").replace(";", "")
def handler(event, context):
    uid = clean(event["id"])
    return connect().execute(f"SELECT name FROM users WHERE id = {uid}").fetchall()
"""
        + FILE,
        [{"id": "1 OR 1=1"}, {"id": "'0' UNION SELECT mail FROM users"}, {"id": "1 or ';'1"}],
        [{"id": "1"}, {"id": "'2'"}],
    ),
    "backslash escape": Program(
        """
from db import connect
def esc(s): return s.replace("'", "\\\\'")
def handler(event, context):
    return connect().execute("SELECT 1 FROM users WHERE name='" + esc(event["n"]) + "'").fetchall()
"""
        + FILE,
        [{"n": "x' OR 1=1 --"}],
        [{"n": "ada"}],
    ),
    "in list": Program(
        """
from db import connect
def handler(event, context):
    ids = event["ids"] if isinstance(event["ids"], list) else event["ids"].split(",")
    return connect().execute("SELECT * FROM users WHERE id IN (%s)" % ",".join(str(i) for i in ids)).fetchall()
"""
        + FILE,
        [{"ids": "1,2) OR (1=1"}, {"ids": [1, "2) UNION SELECT 1,2,3,4,5 --"]}],
        [{"ids": "1,2,3"}, {"ids": [1, 2]}],
    ),
    "in list, quoted": Program(
        """
from db import connect
def handler(event, context):
    names = ", ".join(f"'{n.strip()}'" for n in event["names"].split(","))
    return connect().execute(f"DELETE FROM users WHERE name IN ({names})").rowcount
"""
        + FILE,
        [{"names": "a, b') OR ('1'='1"}],
        [{"names": "ada, bob"}],
    ),
    "topic, executescript": Program(
        """
import json
from db import connect
def handler(event, context):
    msg = json.loads(event["Records"][0]["Sns"]["Message"])
    connect().executescript("BEGIN; UPDATE orders SET state = '" + msg["state"] + "' WHERE id = " + str(int(msg["id"])) + "; COMMIT;")
"""
        + FILE,
        [sns({"id": 1, "state": "x'; DROP TABLE users; --"})],
        [sns({"id": 1, "state": "sent"})],
    ),
    "pandas": Program(
        """
import pandas as pd
from db import connect
def handler(event, context):
    return len(pd.read_sql_query(f"SELECT * FROM users WHERE role = '{event['role']}'", connect()))
"""
        + FILE,
        [{"role": OR}],
        [{"role": "admin"}],
    ),
    "dataclass filter, decorator": Program(
        """
import functools
from dataclasses import dataclass, asdict
from db import connect
@dataclass
class Filter:
    column: str = "name"
    op: str = "="
    value: str = ""
    def sql(self): return "{column} {op} '{value}'".format(**asdict(self))
def parse(fn):
    @functools.wraps(fn)
    def inner(event, context): return fn([Filter(**f) for f in event["filters"]])
    return inner
@parse
def handler(filters):
    where = " AND ".join(f.sql() for f in filters)
    return connect().execute("SELECT id FROM users WHERE " + where).fetchall()
""".replace("def handler(filters)", "def search(filters)")
        + """
def handler(event, context): return search(event, context)
"""
        + FILE,
        [
            {"filters": [{"value": OR}]},
            {"filters": [{"op": "LIKE '%' OR name =", "value": "x"}]},
            {"filters": [{"column": "1=1 OR name", "value": "x"}]},
        ],
        [{"filters": [{"value": "ada"}]}],
    ),
    "table name": Program(
        """
from db import connect
def handler(event, context):
    table = event["pathParameters"]["entity"]
    return connect().execute("SELECT count(*) FROM " + table).fetchone()
"""
        + FILE,
        [
            {"pathParameters": {"entity": "sqlite_master"}},
            {"pathParameters": {"entity": "users WHERE 1=1 UNION SELECT mail FROM users"}},
        ],
    ),
    "DynamoDB stream, upsert": Program(
        """
from db import connect
def handler(event, context):
    db = connect()
    for r in event["Records"]:
        img = {k: list(v.values())[0] for k, v in r["dynamodb"]["NewImage"].items()}
        cols, vals = ", ".join(img), ", ".join("'" + v + "'" for v in img.values())
        db.execute("INSERT INTO users (" + cols + ") VALUES (" + vals + ")")
"""
        + FILE,
        [
            {
                "Records": [
                    {
                        "dynamodb": {
                            "NewImage": {"id": {"N": "1"}, "name": {"S": "x', (select 1)) --"}}
                        }
                    }
                ]
            },
            {"Records": [{"dynamodb": {"NewImage": {"id) select 1 --": {"N": "1"}}}}]},
        ],
    ),
    "half parameterised": Program(
        """
from db import connect
def handler(event, context):
    sql = "SELECT * FROM users WHERE name = ?"
    args = [event["name"]]
    if event.get("role"):
        sql += " AND role = '" + event["role"] + "'"
    return connect().execute(sql, args).fetchall()
"""
        + FILE,
        [{"name": "ada", "role": UNION}],
        [{"name": OR}, {"name": "ada", "role": "admin"}],
    ),
}
