"""Texts in a format of a program's own, which it puts together and reads again, in many ways."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from support.guard_cases import assert_blocked, assert_passes

STORES = {
    "closure": (
        "def store():\n    kept = []\n    return kept.append, lambda: kept[-1]\nput, get = store()",
        "put(text)",
        "get()",
    ),
    "dictionary": ("DB = {}", "DB['k'] = text", "DB['k']"),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass Row:\n    raw: str = ''\nROW = Row()",
        "ROW.raw = text",
        "ROW.raw",
    ),
    "queue": ("import queue\nQ = queue.Queue()", "Q.put(text)", "Q.get()"),
    "table": (
        "import sqlite3\nC = sqlite3.connect(':memory:')\nC.execute('create table k(v)')",
        "C.execute('insert into k values(?)', (text,))",
        "C.execute('select v from k').fetchone()[0]",
    ),
}
WRITERS = (
    'text = f"{{name}}{s}{{role}}"',
    "text = '{s}'.join([name, role])",
    "text = '%s{s}%s' % (name, role)",
    "text = '{{}}{s}{{}}'.format(name, role)",
    "text = name + '{s}' + role",
)
READERS = (
    "parts = t.split('{s}')",
    "a, _, b = t.partition('{s}'); parts = [a] + b.split('{s}')",
    "parts = [p.strip() for p in t.split('{s}')]",
    "n, *rest = t.split('{s}'); parts = [n, *rest]",
    "parts = t.split(SIGN)",
)
SIGNS = (
    "|",
    ";",
    "::",
    "#",
    "~",
    "\\x1f",
    "^",
    " -> ",
    "@",
    "$",
    "!!",
    "!",
    " | ",
    "\\u2028",
    "__",
)


def _record(number: int, sign: str, of: int) -> str:
    declared, put, get = list(STORES.values())[(number + of) % len(STORES)]
    write = WRITERS[(number + 2 * of) % len(WRITERS)].format(s=sign)
    read = READERS[(number * 2 + of) % len(READERS)].format(s=sign)
    return (
        f"{declared}\nSIGN = '{sign}'\ndef handler(event, context):\n"
        f"    name, role = event['name'], 'user'\n    {write}\n    {put}\n    t = {get}\n"
        f"    {read}\n    return parts[1]\n"
    )


@pytest.mark.parametrize("of", range(3))
def test_a_record_is_cut_where_the_code_has_joined_it(tmp_path: Path, of: int) -> None:
    codes = [(_record(number, sign, of), sign) for number, sign in enumerate(SIGNS)]
    attacks = {
        f"{of} {sign}": (code, {"name": f"bob{sign.encode().decode('unicode_escape')}admin"})
        for code, sign in codes
    }
    assert_blocked(tmp_path, attacks, {"deserialisation", "file"}, ())
    harmless = {
        f"{of} {sign} {name}": (code, {"name": name})
        for code, sign in codes
        for name in ("bob admin", "O'Neil (x)")
    }
    assert_passes(tmp_path, harmless, ())


LINES_WRITTEN = (
    "text = '\\n'.join(['prio{s}low', 'subject{s}' + v])",
    'text = f"prio{s}low\\nsubject{s}{{v}}\\n"',
    "text = 'prio{s}low\\nsubject{s}%s' % v",
    "import io\n    b = io.StringIO(); b.write('prio{s}low\\n'); b.write('subject{s}' + v)\n"
    "    text = b.getvalue()",
    "text = ''\n    for k, x in (('prio', 'low'), ('subject', v)): text += k + '{s}' + x + '\\n'",
    "import tempfile\n    f = tempfile.TemporaryFile('w+'); f.write('prio{s}low\\n')\n"
    "    f.write('subject{s}' + v + '\\n'); f.seek(0); text = f.read()",
    "import tempfile\n    f = tempfile.SpooledTemporaryFile(mode='w+'); f.write('prio{s}low\\n')\n"
    "    f.write('subject{s}' + v + '\\n'); f.seek(0); text = f.read()",
    "import tempfile\n    with tempfile.NamedTemporaryFile('w', suffix='.dat') as f:\n"
    "        f.write('prio{s}low\\n' + 'subject{s}' + v); f.flush()\n"
    "        text = open(f.name).read()",
)
LINES_READ = (
    "out = {{}}\n    for l in text.split('\\n'):\n"
    "        if l: k, _, x = l.partition('{s}'); out[k] = x",
    "out = dict(l.split('{s}', 1) for l in text.splitlines() if l)",
    "out = {{}}\n    for l in text.split('\\n'):\n"
    "        if l.startswith('prio{s}'): out['prio'] = l.removeprefix('prio{s}')",
    "import re\n    out = {{m[1]: m[2] for m in re.finditer(r'^(\\w+){r}(.*)$', text, re.M)}}",
    "import re\n    out = {{}}\n    for l in text.splitlines():\n"
    "        m = re.match(r'(\\w+){r}(.*)', l)\n        if m: out[m[1]] = m[2]",
    "out = {{}}\n    for l in text.splitlines():\n        i = l.find('{s}')\n"
    "        if i > 0: out[l[:i]] = l[i + len('{s}'):]",
)
BETWEEN = {"=": "=", ": ": ": ", " ": " ", "\\t": "\\t", "|": "\\|", " = ": " = ", " -> ": " -> "}


def _lines(number: int, sign: str, of: int) -> str:
    write = LINES_WRITTEN[(number + 3 * of) % len(LINES_WRITTEN)].format(s=sign)
    read = LINES_READ[(number * 5 + of) % len(LINES_READ)].format(s=sign, r=BETWEEN[sign])
    return (
        f"def handler(event, context):\n    v = event['v']\n    {write}\n    {read}\n"
        "    return out.get('prio')\n"
    )


@pytest.mark.parametrize("of", range(4))
def test_a_line_is_begun_by_the_code_alone(tmp_path: Path, of: int) -> None:
    codes = [(_lines(number, sign, of), sign) for number, sign in enumerate(BETWEEN)]
    attacks = {
        f"{of} {sign}": (code, {"v": f"x\nprio{sign.encode().decode('unicode_escape')}high"})
        for code, sign in codes
    }
    sinks = {"deserialisation", "file", "header", "log"}
    assert_blocked(tmp_path, attacks, sinks, ())
    harmless = {
        f"{of} {sign} {value}": (code, {"v": value})
        for code, sign in codes
        for value in ("prio high", "it's, (x) & y")
    }
    assert_passes(tmp_path, harmless, ())


DIRECTIVES = """
BLOCK = '''server {{
    listen 443 ssl;
    server_name {domain};
    add_header X-Brand "{brand}";
}}
'''
def handler(event, context):
    conf, found = BLOCK.format(domain="a.example", brand=event["brand"].replace('"', "'")), []
    for line in conf.splitlines():
        line = line.strip()
        if line.endswith(";"):
            found.append(line[:-1].partition(" "))
    return found
"""


def test_a_directive_is_begun_by_the_code_alone(tmp_path: Path) -> None:
    for brand in ("x;\n    proxy_pass http://169.254.169.254/;\n#", "x\n    autoindex on;\n"):
        cases = {brand: (DIRECTIVES, {"brand": brand})}
        assert_blocked(tmp_path, cases, {"deserialisation", "file"}, ())
    for brand in ('The "Best" O\'Neil', "a; b", "listen 80"):
        assert_passes(tmp_path, {brand: (DIRECTIVES, {"brand": brand})}, ())


WRAPPED = """
import textwrap
def handler(event, context):
    body = f"Name: {event['name']}\\nSubject: {event['subject']}\\n\\n{event['text']}"
    return [line for each in body.splitlines() for line in textwrap.wrap(each, 40) or [""]]
"""
NUMBERED = """
def handler(event, context):
    code = "# file: " + event["name"] + "\\n" + event["code"]
    return [f"{i:3} {line}" for i, line in enumerate(code.split("\\n"), 1)]
"""
HASHTAGS = """
import re
def handler(event, context):
    return sorted(set(re.findall(r"#(\\w+)", f"#{event['topic']} {event['text']}")))
"""
REPLIED = """
def handler(event, context):
    text = f"Order {event['id']} for {event['name']}\\nThanks, {event['note']}"
    return ["> " + line for line in text.splitlines()]
"""
INDEXED = """
import re
def handler(event, context):
    return re.findall(r"[\\w']+", " ".join([event["title"], "-", event["body"]]))
"""


def test_prose_of_several_lines_and_signs_passes(tmp_path: Path) -> None:
    events = {
        WRAPPED: {"name": "A: B", "subject": "x = y", "text": "Hi\nNotes: a\na = 1\nName of all"},
        NUMBERED: {"name": "a.py", "code": "x = 1\n# file: b\nprint(x)"},
        HASHTAGS: {"topic": "news", "text": "I like #python and #c"},
        REPLIED: {"id": "5", "name": "Ann", "note": "fine\nname is wrong\nid too: it's 6"},
        INDEXED: {"title": "It's a [test]", "body": "a=b; c='d' (e) #f\nkey: value"},
    }
    assert_passes(tmp_path, {code: (code, event) for code, event in events.items()}, ())


FOUND = {
    "between signs": (
        r"<(\w+)\|([^>]*)>",
        "'<user|' + v + '><role|viewer>'",
        "bob><role|admin",
        "bob (role)",
    ),
    "with a name": (
        r"(\w+)~([^~;]*);",
        "f'user~{v};role~viewer;'",
        "bob;role~admin",
        "b & o's",
    ),
    "in double brackets": (
        r"\[\[(\w+):([^\]]*)\]\]",
        "'[[user:%s]] [[role:viewer]]' % v",
        "x]] [[role:admin",
        "a [b] c",
    ),
    "lines": (
        r"(?m)^(.*?) x(\d+) @ (\d+)$",
        "'\\n'.join([f'{v} x1 @ 100', 'Tea x2 @ 5'])",
        "Chair x1 @ 1\nnote",
        "Chair (x2) @home",
    ),
}


@pytest.mark.parametrize("finds", ["re.findall(PATTERN, text)", "list(RX.finditer(text))"])
def test_a_pattern_finds_no_part_that_data_has_added(tmp_path: Path, finds: str) -> None:
    attacks, harmless = {}, {}
    for name, (pattern, made, attack, plain) in FOUND.items():
        code = (
            f"import re\nPATTERN = r'''{pattern}'''\nRX = re.compile(PATTERN)\n"
            f"def handler(event, context):\n    v = event['v']\n    text = {made}\n"
            f"    return len({finds})\n"
        )
        attacks[name] = (code, {"v": attack})
        harmless[name] = (code, {"v": plain})
    assert_blocked(tmp_path, attacks, {"deserialisation", "file", "nosql"}, ())
    assert_passes(tmp_path, harmless, ())


FIELDS = """
import operator
from functools import partial
class User:
    def __init__(self):
        self.nick, self.city, self.role = "", "", "user"
assign = setattr
def handler(event, context):
    u = User()
    {}
    return u.role
"""
WAYS = (
    "for k, v in event.items(): u.__dict__[k] = v",
    "u.__dict__ |= event",
    "fields = vars(u)\n    for k in event: fields[k] = event[k]",
    "vars(u).update(event)",
    "put = partial(setattr, u)\n    for k, v in event.items(): put(k, v)",
    "for k, v in event.items(): assign(u, k, v)",
    "for k, v in event.items(): operator.setitem(u.__dict__, k, v)",
    "for k, v in event.items(): u.__dict__.__setitem__(k, v)",
    "list(map(lambda pair: setattr(u, *pair), event.items()))",
)


def test_attributes_are_set_by_many_ways(tmp_path: Path) -> None:
    codes = {way: FIELDS.format(way) for way in WAYS}
    for event in ({"role": "admin"}, {"nick": "a", "__class__": "x"}):
        attacks = {f"{way} {event}": (code, event) for way, code in codes.items()}
        if "__class__" in event:
            attacks = dict(itertools.islice(attacks.items(), 6))
        assert_blocked(tmp_path, attacks, {"attributes"}, ())
    for event in ({"nick": "role", "city": "Bonn"}, {"nick": "O'Neil"}):
        harmless = {f"{way} {event}": (code, event) for way, code in codes.items()}
        assert_passes(tmp_path, harmless, ())
