"""A function that is careless with what an event brings: `SINK VALUE`, from whatever brings it."""

import base64
import os
import pickle
import re
import sqlite3
import string
import urllib.request
import xml.etree.ElementTree as ElementTree


TABLE = []


def sql(value):
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE people (name TEXT, salary INTEGER)")
        found = database.execute(f"SELECT salary FROM people WHERE name = '{value}'")
        return found.fetchall()


def command(value):
    return os.system("echo " + value)


def path(value):
    with open("/function/code/" + value) as file:
        return file.read(100)


def url(value):
    return urllib.request.urlopen(value, timeout=1).status


def code(value):
    return repr(eval(value))


def deserialisation(value):
    return repr(pickle.loads(base64.b64decode(value)))


def xml(value):
    return ElementTree.fromstring(value).text


def attributes(value):
    name, _, text = value.partition("=")
    setattr(sql, name, text)
    return name


def regex(value):
    return bool(re.search(value, "a" * 40))


def template(value):
    return string.Template(value).safe_substitute(os.environ)


def stored(value):
    return sql(TABLE[0].get("drill")[0]["text"])


SINKS = {
    each.__name__: each
    for each in (
        sql, command, path, url, code, deserialisation, xml, attributes, regex, template, stored,
    )
}  # fmt: skip


def text_of(event):
    if "text" in event:
        return event["text"]
    if "bucket" in event:
        return event["bucket"]["key"]
    data = event["data"]
    if "new" in data:
        data = data["new"]
    return data["text"]


def handler(event, context):
    sink, _, value = text_of(event).partition(" ")
    TABLE[:] = [context.table("people")]
    if sink == "store":
        return TABLE[0].put({"id": "drill", "text": value})
    return SINKS[sink](value)
