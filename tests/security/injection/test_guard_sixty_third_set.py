"""What the sixty-second and a sixty-third set of everyday programs showed of lines and signs."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

SETTINGS = """
import configparser
def handler(event, context):
    text = "[security]\\naudit = on\\n\\n[service:api]\\nlevel = info\\n"
    text += "{indent}notes = " + {notes} + "\\n"
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {{"ini": text, "read": sorted(parser["service:api"])}}
"""
FOLDED = SETTINGS.format(indent="", notes='event["v"].replace("\\n", "\\n    ")')
PLAIN = SETTINGS.format(indent="", notes='event["v"]')
LEVEL = SETTINGS.format(indent="    ", notes='event["v"].replace("\\n", "\\n    ")')

OWN = """
import re
def handler(event, context):
    text = "level: info\\nowner: root\\nmode: x\\nnotes: " + {notes} + "\\n"
    read, last = {{}}, ""
    for line in text.splitlines():
        if line[:1].isspace() and last:
            read[last] += line.strip()
        else:
            last, _, read[last] = line.partition(":")
    return {{"text": text}}
"""
GOES_ON = OWN.format(notes='re.sub(r"\\r?\\n", "\\n  ", event["v"].strip())')
BEGINS = OWN.format(notes='event["v"].strip()')

LOADED = """
import textwrap, yaml
LAYER = '''\\
status: proposed
published: false
point:
  title: "{{title}}"
text: |
{{text}}
contact:
  name: {{contact}}
'''
def handler(event, context):
    text = textwrap.indent(event.get("text", "-"), "  ", lambda line: True)
    contact = event.get("contact", "anonymous").strip()
    title = event.get("title", "").replace(chr(92), chr(92) * 2).replace('"', chr(92) + '"')
    source = LAYER.format(title=title, text=text, contact=contact)
    return str(yaml.load(source, Loader=yaml.{loader}))
"""
LOADERS = ("UnsafeLoader", "FullLoader", "Loader", "SafeLoader")

FILTER = """
SPECIAL = {{"\\\\": "\\\\5c", "*": "\\\\2a", "(": "\\\\28", ")": "\\\\29", "\\0": "\\\\00"}}
class Connection:
    def search(self, search_base, search_filter, attributes=()):
        return search_filter
def esc(value):
    return "".join({char} for c in value)
def handler(event, context):
    parts = "(&(objectClass=person)(%s=%s))" % ("cn", "*" + esc(event["v"]) + "*")
    return Connection().search(search_base="dc=acme", search_filter=parts)
"""
ESCAPED = FILTER.format(char="SPECIAL.get(c, c)")
HALF = FILTER.format(char='c if c in "*" else SPECIAL.get(c, c)')
BARE = FILTER.format(char="c")
LOOPED = """
ANY, SPECIAL = "*", {"(": "\\\\28", ")": "\\\\29"}
class Connection:
    def search(self, search_base, search_filter, attributes=()):
        return search_filter
def plain(value):
    out = ""
    for c in value:
        out += SPECIAL.get(c, c)
    return out
def handler(event, context):
    parts = "(&(objectClass=person)(cn=%s))" % plain(event["v"])
    return Connection().search(search_base="dc=acme", search_filter=parts)
"""

LISTED = """
def handler(event, context):
    lines = ["## " + str(event["version"])]
    lines += ["* " + one.strip() for one in event["v"]]
    text = "\\n".join(lines)
    return @READ@
"""
SHOWN = LISTED.replace("@READ@", '{"changelog": text}')
READ = LISTED.replace("@READ@", '{"n": len([x for x in text.splitlines() if x.startswith("* ")])}')

DOCUMENT = """
ASKED = "{user(name: \\"%s\\") {id}}"
class Layout:
    def filled(self, text):
        return text.replace("<", "&lt;")
def handler(event, context):
    title = " ".join(event["v"].split())
    return {"html": Layout().filled(title)}
"""

ROWS = """
def handler(event, context):
    rows = ["member,points,reason"]
    rows += [f"{one['member']},{one['points']},{one['reason']}" for one in event["v"]]
    text = "\\n".join(rows) + "\\n"
    balance = {}
    for line in text.splitlines()[1:]:
        member, points, reason = line.split(",", 2)
        balance[member] = points
    return balance
"""
SEMICOLONS = ROWS.replace(",points,", ";points;").replace("},{", "};{").replace('","', '";"')


def _row(member: str, reason: str) -> dict[str, object]:
    return {"v": [{"member": member, "points": 5, "reason": reason}]}


def test_lines_that_begin_and_signs_that_stand_for_others_are_stopped(tmp_path: Path) -> None:
    attacks = {
        "a line of its own": (PLAIN, {"v": "x\nlevel = off\nmode = x"}),
        "a section of its own": (PLAIN, {"v": "x\n[security]\naudit = off"}),
        "blanks that the code has put no deeper": (LEVEL, {"v": "x\n[security]\naudit = off"}),
        "a segment": (BEGINS, {"v": "x\nlevel: debug\nmode: y"}),
        "a segment behind blanks of its own": (BEGINS, {"v": "x\n  level: debug\n  mode: y"}),
        "blanks of its own beside a text without them": (
            BEGINS,
            {"memo": "x\nlevel: debug\nmode: y", "v": " x\n  level: debug\n  mode: y"},
        ),
        "the same in capitals": (
            BEGINS.replace(".strip()", ".strip().lower()"),
            {"memo": "x\nlevel: debug\nmode: y", "v": " X\n  Level: debug\n  mode: Y"},
        ),
        "a carriage return": (FOLDED, {"v": "x\n\r[security]\naudit = off"}),
        "a star that is left": (HALF, {"v": "*)(uid=*"}),
        "one star of many signs": (HALF, {"v": "*x))))((((("}),
        "stars as they are": (BARE, {"v": "*)(uid=*"}),
        "a star beside a text that has others": (BARE, {"memo": "_abuid=_", "v": "*)(uid=*"}),
        **{
            f"{value} beside {memo}": (code, {"memo": memo, "v": value})
            for code in (BARE, LOOPED)
            for memo, value in ((")(uid=", "*)(uid=*"), ("a(b", "*a(b*"), ("uid", "*uid*"))
        },
        "an item that is read": (READ, {"version": "1", "v": ["a\n* b"]}),
        **{
            f"{what} for {loader}": (LOADED.format(loader=loader), event)
            for loader in LOADERS
            for what, event in (
                ("a key", {"contact": "Eve\npublished:\n  true"}),
                ("two keys", {"contact": "Bob\nstatus:\n approved\ntext:\n changed"}),
            )
        },
        "a row": (ROWS, _row("ann", "visit\nmallory,99999,gift")),
        "a column that is not the last": (ROWS, _row("ann,9999", "visit")),
        "another row": (SEMICOLONS, _row("ann", "visit\nmallory;99999;gift")),
        "another column that is not the last": (SEMICOLONS, _row("ann;9999", "visit")),
    }
    sinks = {"file", "deserialisation", "ldap", "wire", "cell"}
    assert_blocked(tmp_path, attacks, sinks, [])


def test_what_only_looks_so_passes(tmp_path: Path) -> None:
    harmless = {
        "lines that go on": (FOLDED, {"v": "## Steps\n\n* open\n\n[security]\naudit = off"}),
        **{
            f"a block for {loader}": (LOADED.format(loader=loader), event)
            for loader in LOADERS
            for event in ({"text": "Key: value\n- item\npublished: true", "title": '"Old" one'},)
        },
        "segments that go on": (GOES_ON, {"v": "x\nlevel: debug\nmode: y"}),
        "one line": (FOLDED, {"v": "all is well"}),
        "an escaped star": (ESCAPED, {"v": "*)(uid=*"}),
        "an escaped star alone": (ESCAPED, {"v": "*uid=*"}),
        "an escaped end": (ESCAPED, {"v": "*)(uid=x*)"}),
        "an escaped form": (ESCAPED, {"v": "*)(uid=*", "office": "Aarhus"}),
        "many that are escaped": (ESCAPED, {"v": "*)(|(a=*"}),
        "an item that is shown": (SHOWN, {"version": "1", "v": ["## Steps\n\n* open *page*"]}),
        "a title in braces": (DOCUMENT, {"v": "{ok: true}"}),
        "commas in the last column": (ROWS, _row("ann", 'said "thanks", twice')),
        "semicolons in the last column": (SEMICOLONS, _row("ann", "no nuts; dark")),
        "a row within one": (ROWS, _row("ann", "mallory,99999,gift")),
    }
    assert_passes(tmp_path, harmless, [])
