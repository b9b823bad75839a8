"""Names in the place of values, wider targets and other libraries: stopped; their like passes."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

_SQL = """
import re, sqlite3
def db():
    c = sqlite3.connect(":memory:")
    c.execute("CREATE TABLE users(id INTEGER, user_id INTEGER, name TEXT, email TEXT, pw TEXT)")
    return c
"""
_ROUTE = """
def handler(event, context):
    found = re.match(r"^/u/(?P<id>[^/]+)/x$", event["path"])
    return db().execute("SELECT name FROM users WHERE user_id = " + found.group("id")).fetchall()
"""
_ORDER = """
def handler(event, context):
    rows = db().execute("SELECT id, name, email FROM users ORDER BY " + event["by"] + " DESC")
    return rows.fetchall()
"""
_INDEX = """
from elasticsearch import Elasticsearch
def handler(event, context):
    client = Elasticsearch("http://127.0.0.1:1")
    return client.search(index="tenant-" + event["tenant"], body={"query": {"match_all": {}}})
"""
_JINJA = """
from jinja2 import Template
def handler(event, context): return Template("<p>" + event["text"] + "</p>{{ sign }}").render(sign=1)
"""
_FACTOR = """
import jinja2
def handler(event, context):
    return jinja2.Environment().compile_expression("price * " + event["factor"])(price=3)
"""
_CONDITION = """
import boto3
def handler(event, context):
    name = {"AttributeValueList": [{"S": "x"}], "ComparisonOperator": "EQ"} | event["name"]
    return boto3.client("dynamodb").scan(TableName="users", ScanFilter={"name": name})
"""
_EXPRESSION = """
import boto3
def handler(event, context):
    words = "price < :max AND category = " + event["category"]
    return boto3.client("dynamodb").scan(TableName="items", FilterExpression=words)
"""
_XPATH = """
from lxml import etree
def handler(event, context):
    return len(etree.fromstring("<r><u><id>1</id></u></r>").xpath(f"//u[id={event['id']}]"))
"""

ATTACKS: Cases = {
    "a column that equals itself": (_SQL + _ROUTE, {"path": "/u/user_id/x"}),
    "the order of a hidden column": (_SQL + _ORDER, {"by": "pw"}),
    "an order by a query": (_SQL + _ORDER, {"by": "(SELECT name)"}),
    "an index more": (_INDEX, {"tenant": "a,other"}),
    "every index": (_INDEX, {"tenant": "*"}),
    "an operator of a condition": (_CONDITION, {"name": {"ComparisonOperator": "NE"}}),
    "a field that equals itself": (_EXPRESSION, {"category": "category"}),
    "an element that equals itself": (_XPATH, {"id": "id"}),
    "a tag": (_JINJA, {"text": '{"a": {"b": 1}} {{ 7 * 7 }}'}),
    "an expression": (_FACTOR, {"factor": "1.5 + x"}),
}
HARMLESS: Cases = {
    "a number of a path": (_SQL + _ROUTE, {"path": "/u/7/x"}),
    "the order of a selected column": (_SQL + _ORDER, {"by": "email"}),
    "one index": (_INDEX, {"tenant": "acme-2"}),
    "a value of a condition": (_CONDITION, {"name": {"AttributeValueList": [{"S": "NE"}]}}),
    "a number of an element": (_XPATH, {"id": "1"}),
    "braces of JSON": (_JINJA, {"text": '{"a": {"b": 1}}'}),
    "a number of an expression": (_FACTOR, {"factor": "2.5"}),
}
_PRELOAD = ("sqlite3", "jinja2", "elasticsearch", "boto3", "lxml.etree")


def test_names_in_the_place_of_values_and_wider_targets_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, ATTACKS, {"sql", "nosql", "template", "xpath"}, _PRELOAD)


def test_their_harmless_like_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, HARMLESS, _PRELOAD)
