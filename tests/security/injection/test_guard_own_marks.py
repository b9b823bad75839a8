"""Marks of templates of the code's own: a value that has one is not filled. With harmless twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

ROUNDS = """
def handler(event, context):
    text = "Hi {name}, your link: {link}"
    return text.replace("{name}", event["name"]).replace("{link}", "https://x/reset?t=SECRET")
"""
LOOP = """
class Letter:
    def __init__(self, text):
        self.text, self.values = text, {}
    def set(self, name, value):
        self.values[name] = value
        return self
    def render(self):
        out = self.text
        for name, value in self.values.items():
            out = out.replace("${" + name + "}", str(value))
        return out
def handler(event, context):
    letter = Letter("Hello ${name}!\\n${body}\\nReset: ${link}").set("name", event["name"])
    return letter.set("body", event.get("body", "")).set("link", "https://x/SECRET").render()
"""
SHORTER = """
def handler(event, context):
    out = "Ticket #ID#: " + event["text"]
    return out.replace("#ID#", "12").replace("\\n", "<br>").replace("<br>", "<br/>")
"""
PATTERN = """
import re
VALUES = {"shop": "S", "token": "T"}
def handler(event, context):
    page = "<h1>{shop}</h1><p>" + event["text"].replace("<", "&lt;") + "</p>"
    return re.sub(r"\\{(\\w+)\\}", lambda mark: VALUES.get(mark[1], mark[0]), page)
"""
PATHS = """
import re
KNOWN = {"shop": {"name": "S", "api_token": "T"}}
def look_up(path):
    found = KNOWN
    for step in path.split("."):
        found = found[step]
    return str(found)
def handler(event, context):
    text = re.sub(r"\\{\\{(\\w+)\\}\\}", lambda m: event.get(m[1], m[0]), "Hi {{name}}, [[shop.name]]")
    return re.sub(r"\\[\\[([\\w.]+)\\]\\]", lambda m: look_up(m[1]), text)
"""
WORDS = """
import re
SIGNS = {"smile": ":)"}
def handler(event, context):
    text = f"<b>{event['who']}</b>: {event['text']} :smile: [[Home]]"
    text = re.sub(r":(\\w+):", lambda m: SIGNS.get(m[1], m[0]), text)
    return re.sub(r"\\[\\[(\\w+)\\]\\]", lambda m: "<a>" + m[1] + "</a>", text)
"""
OWN_TEMPLATE = """
def handler(event, context):
    text = event["template"] + "\\n-- {shop}"
    return text.replace("{name}", event["name"]).replace("{shop}", "Shop & Co")
"""


def test_a_value_with_a_mark_is_not_filled(tmp_path: Path) -> None:
    hostile: Cases = {
        "rounds": (ROUNDS, {"name": "{link}"}),
        "loop": (LOOP, {"name": "x", "body": "see ${link}"}),
        "shorter": (SHORTER, {"text": "a #ID#"}),
        "pattern": (PATTERN, {"text": "{token}"}),
        "paths": (PATHS, {"name": "[[shop.api_token]]"}),
        "template of the event's": (OWN_TEMPLATE, {"template": "Hi {name}", "name": "{shop}"}),
    }
    assert_blocked(tmp_path, hostile, {"template"}, ())


def test_signs_that_fill_nothing_pass(tmp_path: Path) -> None:
    harmless: Cases = {
        "rounds 1": (ROUNDS, {"name": "{other} {"}),
        "rounds 2": (ROUNDS, {"name": "link"}),
        "loop": (LOOP, {"name": "${x}", "body": "{link} $link ${"}),
        "halves": (LOOP, {"name": "${link", "body": "}"}),
        "shorter": (SHORTER, {"text": "a #tag# b<br>c\n"}),
        "pattern": (PATTERN, {"text": "use {braces} in C, { x }"}),
        "paths": (PATHS, {"name": "[x] {{name}} ]]"}),
        "words": (WORDS, {"who": "a", "text": "hey :smile:, see [[Contact]]"}),
        "template of the event's": (
            OWN_TEMPLATE,
            {"template": "Hi {name} of {shop}", "name": "x"},
        ),
    }
    assert_passes(tmp_path, harmless, ())
