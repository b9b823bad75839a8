"""Programs that call ten thousand times what the sink guard watches by its name alone.

`bench.guard_handlers` measures them apart from its handlers, as they do little else. The calls are
to a database, or to objects of their own that stand for a store, a broker, a socket.
"""

from __future__ import annotations

import random
from typing import Any

HEAD = '"""A program that makes many calls that are watched by name."""\n'

ANNOUNCED = {
    "execute_rows": """
import sqlite3


def handler(event, data):
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, city TEXT)")
        for row in event["rows"]:
            db.execute(
                "INSERT INTO orders VALUES (?, ?, ?)", (row["id"], row["name"], row["city"])
            )
        found = db.execute("SELECT city, count(*) FROM orders GROUP BY city").fetchall()
    return {"cities": dict(found)}
""",
    "execute_lookups": """
import sqlite3


def handler(event, data):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, city TEXT)")
    rows = event["rows"]
    db.executemany("INSERT INTO orders VALUES (:id, :name, :city)", rows)
    names = []
    for row in rows:
        found = db.execute("SELECT name, city FROM orders WHERE id = ?", (row["id"],)).fetchone()
        names.append(found[0])
    db.close()
    return {"names": len(set(names))}
""",
    "find_one": """
class Orders:
    def __init__(self, rows):
        self.by_id = {row["id"]: row for row in rows}

    def find_one(self, query):
        row = self.by_id.get(query["id"])
        if row is None:
            return None
        for field, wanted in query.items():
            if isinstance(wanted, dict):
                if not all(self.fits(row, field, op, value) for op, value in wanted.items()):
                    return None
            elif row.get(field) != wanted:
                return None
        return dict(row)

    @staticmethod
    def fits(row, field, op, value):
        if op == "$gt":
            return row[field] > value
        return row[field] != value if op == "$ne" else False


def handler(event, data):
    orders = Orders(event["rows"])
    total = 0.0
    for number in range(len(event["rows"])):
        order = orders.find_one({"id": number, "state": "open"})
        if order is not None:
            total += order["price"] * order["count"]
    return {"total": round(total, 2)}
""",
    "sendall": """
import json


class Wire:
    def __init__(self):
        self.sent, self.size = [], 0

    def sendall(self, data):
        self.sent.append(data)
        self.size += len(data)


def handler(event, data):
    wire = Wire()
    for row in event["rows"]:
        wire.sendall(json.dumps({"id": row["id"], "city": row["city"]}).encode() + b"\\n")
    return {"size": wire.size, "sent": len(wire.sent)}
""",
    "sendto": """
import socket


def handler(event, data):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = ("127.0.0.1", 9)
    client.bind(("127.0.0.1", 0))
    sent = 0
    for row in event["rows"]:
        sent += client.sendto(b"orders.count:%d|c" % row["count"], address)
    client.close()
    return {"sent": sent}
""",
    "match_items": """
import re

LINE = re.compile(r"(\\d+): ([a-z]+) (\\d+) <([^>]*)>")


def handler(event, data):
    counts, total = {}, 0
    for line in event["lines"]:
        m = LINE.match(line)
        if m:
            key = m[2], m[4]
            counts[key] = counts.get(key, 0) + 1
            total += int(m[1]) + int(m[3])
    return {"total": total, "kinds": len(counts)}
""",
    "subscribe": """
from collections import defaultdict


class Bus:
    def __init__(self):
        self.topics = defaultdict(list)

    def subscribe(self, topic, who):
        self.topics[topic].append(who)

    def publish(self, topic, value):
        return sum(who(value) for who in self.topics.get(topic, ()))


def handler(event, data):
    bus = Bus()
    for row in event["rows"]:
        bus.subscribe("orders/" + row["city"], lambda value, n=row["count"]: n * value)
    return {city: bus.publish("orders/" + city, 2) for city in ("Paris", "Rome", "Oslo")}
""",
    "topics": """
def matches(wanted, topic):
    f, t = wanted.split("/"), topic.split("/")
    for number, part in enumerate(f):
        if part == "#":
            return True
        if number >= len(t) or part not in ("+", t[number]):
            return False
    return len(f) == len(t)


def handler(event, data):
    wanted = ("orders/+/paid", "orders/Paris/#", "stock/#")
    counts = dict.fromkeys(wanted, 0)
    for line in event["topics"]:
        for each in wanted:
            counts[each] += matches(each, line)
    return counts
""",
    "parameters": """
from urllib.parse import parse_qs, urlsplit


def handler(event, data):
    pages = {}
    for link in event["links"]:
        parts = urlsplit(link)
        given = parse_qs(parts.query)
        key = parts.path, given.get("page", ["1"])[0]
        pages[key] = pages.get(key, 0) + len(given)
    return {"pages": len(pages), "all": sum(pages.values())}
""",
    "parameters_by_hand": """
def handler(event, data):
    pages = {}
    for link in event["links"]:
        path, _, query = link.partition("?")
        given = {}
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            given[name] = value
        key = path, given.get("page", "1")
        pages[key] = pages.get(key, 0) + len(given)
    return {"pages": len(pages), "all": sum(pages.values())}
""",
    "names": """
import fnmatch

KINDS = ("*.jpg", "report_*.txt", "IMG_????.*")


def handler(event, data):
    counts = dict.fromkeys(KINDS, 0)
    for name in event["names"]:
        for kind in KINDS:
            if fnmatch.fnmatch(name, kind):
                counts[kind] += 1
    return counts
""",
    "find_in_texts": """
def handler(event, data):
    found, places = {}, 0
    for line in event["lines"]:
        at = line.find(": ")
        if at < 0:
            continue
        number, rest = int(line[:at]), line[at + 2 :]
        word = rest[: rest.find(" ")]
        places += number + rest.rfind("<")
        found[word] = found.get(word, 0) + 1
    return {"found": found, "places": places}
""",
    "updates": """
def handler(event, data):
    cities, states = {}, set()
    for row in event["rows"]:
        city = cities.setdefault(row["city"], {})
        city.update(last=row["id"], price=row["price"])
        states.update((row["state"], row["name"][:3]))
    return {"cities": cities, "states": len(states)}
""",
}

_CITIES = ("Paris", "Rome", "London", "Oslo", "Lima")
_WORDS = ("paid", "sent", "returned", "open")
_MANY = 10_000


def given(name: str) -> dict[str, Any]:
    """Return the event of one of them, the same each time."""
    chance = random.Random(20261201)
    if name in ("match_items", "find_in_texts"):
        return {
            "lines": [
                f"{n}: {chance.choice(_WORDS)} {chance.randrange(99)} <{chance.choice(_CITIES)}>"
                for n in range(_MANY)
            ]
        }
    if name == "topics":
        return {
            "topics": [
                f"orders/{chance.choice(_CITIES)}/{chance.choice(_WORDS)}"
                for _ in range(_MANY // 3)
            ]
        }
    if name.startswith("parameters"):
        links = [
            f"https://shop.example/{chance.choice(_WORDS)}?page={chance.randrange(20)}&n={n}&q=a+b"
            for n in range(_MANY)
        ]
        return {"links": links}
    if name == "names":
        ends = ("jpg", "txt", "png")
        names = [f"{chance.choice(_WORDS)}_{n}.{chance.choice(ends)}" for n in range(_MANY // 3)]
        return {"names": names}
    rows = [
        {
            **{"id": n, "name": f"customer {chance.randrange(3000)}", "count": n % 9},
            **{"city": chance.choice(_CITIES), "price": round(chance.random() * 100, 3)},
            **{"state": chance.choice(("open", "closed"))},
        }
        for n in range(_MANY)
    ]
    return {"rows": rows}
