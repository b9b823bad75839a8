"""The twelve handlers that `bench.guard_handlers` measures, as modules. None names what it gets."""

from __future__ import annotations

HEAD = '"""A handler."""\n'

HANDLERS = {
    "thumbnail": """
import io
from PIL import Image


def handler(event, data):
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((256, 256))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=80)
    return {"name": f"thumb-{event['name']}", "size": len(out.getvalue())}
""",
    "csv": """
import csv
import io


def handler(event, data):
    totals = {}
    for row in csv.DictReader(io.StringIO(event["body"])):
        city = row["city"].strip()
        totals[city] = totals.get(city, 0.0) + float(row["price"])
    return [f"{city}: {total:.2f}" for city, total in sorted(totals.items())]
""",
    "json_of_1_mb": """
import json


def handler(event, data):
    orders = json.loads(event["body"])["orders"]
    large = [order for order in orders if order["price"] > 50]
    names = {order["name"].lower() for order in large}
    return json.dumps({"count": len(large), "names": len(names), "orders": orders})
""",
    "rows_10000": """
def handler(event, data):
    found = {}
    for row in event["rows"]:
        if row["city"] in ("Paris", "Rome"):
            found.setdefault(row["city"], []).append(row["price"] * row["count"])
    return {city: sum(prices) / len(prices) for city, prices in found.items()}
""",
    "sql_1000": """
import sqlite3

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE orders (id INTEGER, name TEXT, price REAL)")


def handler(event, data):
    DB.execute("DELETE FROM orders")
    for row in event["rows"][:500]:
        DB.execute(
            "INSERT INTO orders VALUES (?, ?, ?)", (row["id"], row["name"], row["price"])
        )
    found = 0
    for row in event["rows"][:500]:
        found += DB.execute(
            "SELECT count(*) FROM orders WHERE id = ? AND price > ?", (row["id"], 10)
        ).fetchone()[0]
    return found
""",
    "jinja": """
import jinja2

ENVIRONMENT = jinja2.Environment(autoescape=True)
PAGE = ENVIRONMENT.from_string(
    "<h1>{{ title }}</h1><ul>{% for row in rows %}<li class='{{ loop.cycle('a', 'b') }}'>"
    "{{ row.name|upper }} of {{ row.city }}: {{ '%.2f'|format(row.price) }}</li>{% endfor %}</ul>"
)


def handler(event, data):
    return PAGE.render(title=event["name"], rows=event["rows"][:500])
""",
    "flask": """
import flask

APP = flask.Flask("shop")


@APP.post("/orders/<int:number>")
def order(number):
    body = flask.request.get_json()
    names = [row["name"].strip().title() for row in body["rows"]]
    return flask.jsonify({"id": number, "who": f"{body['name']} ({len(names)})", "names": names})


def handler(event, data):
    given = {"name": event["name"], "rows": event["rows"][:200]}
    return APP.test_client().post("/orders/17", json=given).get_json()
""",
    "fastapi": """
import asyncio
import json

import fastapi
import pydantic


class Row(pydantic.BaseModel):
    id: int
    name: str
    city: str
    price: float


class Order(pydantic.BaseModel):
    name: str
    rows: list[Row]


APP = fastapi.FastAPI()


@APP.post("/orders/{number}")
async def order(number: int, order: Order):
    return {"id": number, "total": sum(row.price for row in order.rows), "who": order.name}


async def call(path, body):
    sent = []
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
        "http_version": "1.1", "scheme": "http", "server": ("x", 80), "root_path": "",
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await APP(scope, receive, send)
    return sent[-1]["body"]


def handler(event, data):
    body = json.dumps({"name": event["name"], "rows": event["rows"][:200]}).encode()
    return json.loads(asyncio.run(call("/orders/17", body)))
""",
    "django": """
import json

import django
from django.conf import settings

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="of a benchmark", ALLOWED_HOSTS=["*"], DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()
from django.http import HttpResponse
from django.template import engines
from django.test import Client
from django.urls import path

PAGE = engines["django"].from_string(
    "<ul>{% for row in rows %}<li>{{ row.name|upper }}: {{ row.price }}</li>{% endfor %}</ul>"
)


def orders(request, number):
    rows = json.loads(request.body)["rows"]
    return HttpResponse(PAGE.render({"rows": rows}))


urlpatterns = [path("orders/<int:number>", orders)]


def handler(event, data):
    body = json.dumps({"rows": event["rows"][:200]})
    answer = Client().post("/orders/17", body, content_type="application/json")
    return len(answer.content)
""",
    "numbers": """
def handler(event, data):
    prices = [row["price"] for row in event["rows"]]
    total = 0.0
    for number in range(len(prices) - 1):
        change = prices[number + 1] - prices[number]
        total += change * change
        if change > 0:
            total = total + change / 2
    return (total / len(prices)) ** 0.5
""",
    "report": """
def handler(event, data):
    lines = [f"# Orders of {event['name']}", ""]
    for row in event["rows"][:1000]:
        name = row["name"].strip().title()
        lines.append(f"- {row['id']:>6} {name:<20} {row['city']}: {row['price']:.2f}")
    text = "\\n".join(lines)
    return {"text": text, "words": len(text.split())}
""",
    "archive": """
import gzip
import hashlib
import io
import zipfile


def handler(event, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"part-{number}.txt", event["body"][number * 1000:][:20000])
    packed = gzip.compress(data)
    return hashlib.sha256(out.getvalue() + packed).hexdigest()
""",
}
