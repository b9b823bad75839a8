"""A cross product of ways that data takes from an event to an interpreter, under the sink guard.

Transforms x joins x sinks x places: each attack has a harmless twin, the same with another value.
A way counts as an attack only if its payload is whole in the text that the sink gets.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CHILD = Path(__file__).with_name("guard_flows_child.py")
_SECONDS = 7000
PLACES = ("function", "helper", "dependency")

TRANSFORMS: dict[str, tuple[str, str]] = {
    # name: what is done to `v`, and the event's value, with the payload in the place of `@`
    "nothing": ("v", "@"),
    "str": ("str(v)", "@"),
    "strip": ("v.strip()", "  @  "),
    "lstrip": ("v.lstrip()", " @"),
    "rstrip": ("v.rstrip()", "@\t"),
    "strip of signs": ("v.strip('=~')", "~~@=="),
    "split by bar": ("v.split('|')[1]", "left|@|right"),
    "split at most": ("v.split('|', 1)[1]", "left|@"),
    "rsplit": ("v.rsplit('|', 1)[0]", "@|right"),
    "split, last": ("v.split('~')[-1]", "1~2~@"),
    "partition": ("v.partition('~')[2]", "key~@"),
    "rpartition": ("v.rpartition('~')[0]", "@~key"),
    "unpacked": ("(lambda k, w: w)(*v.split('~', 1))", "key~@"),
    "slice from": ("v[3:]", "abc@"),
    "slice to": ("v[:-3]", "@abc"),
    "slice of both": ("v[2:-2]", "ab@cd"),
    "slice by find": ("v[v.find('~') + 1:]", "ab~@"),
    "slice by index": ("v[v.index('~') + 1:v.rindex('~')]", "ab~@~cd"),
    "double reverse": ("v[::-1][::-1]", "@"),
    "removeprefix": ("v.removeprefix('id~')", "id~@"),
    "removesuffix": ("v.removesuffix('~id')", "@~id"),
    "replace a mark": ("v.replace('~', '')", "~@~"),
    "replace a word": ("v.replace('zzz', ' ')", "@zzz"),
    "replace twice": ("v.replace('~', '').replace('%%', '')", "~@%%"),
    "white space to one": ("' '.join(v.split())", "  @  "),
    "join of split": ("'~'.join(v.split('~'))", "@"),
    "join of lines": ("' '.join(v.splitlines())", "@"),
    "first line": ("v.splitlines()[0]", "@\nsecond"),
    "last line": ("v.splitlines()[-1]", "first\n@"),
    "lower": ("v.lower()", "@"),
    "upper": ("v.upper()", "@"),
    "casefold": ("v.casefold()", "@"),
    "swapcase": ("v.swapcase()", "@"),
    "title and lower": ("v.title().lower()", "@"),
    "expandtabs": ("v.expandtabs(2)", "@\t"),
    "ljust": ("v.ljust(80).rstrip()", "@"),
    "center": ("v.center(90).strip()", "@"),
    "zfill": ("v.zfill(60).lstrip('0')", "@"),
    "translate": ("v.translate({126: None})", "~@~"),
    "maketrans": ("v.translate(str.maketrans('', '', '~'))", "~@"),
    "re.sub": ("re.sub('^id~', '', v)", "id~@"),
    "re.sub of spaces": ("re.sub(r'[ ]+$', '', v)", "@   "),
    "re.split": ("re.split('~', v)[1]", "a~@~b"),
    "re.match group": ("re.match('id~(.*)', v, re.S).group(1)", "id~@"),
    "re.search index": ("re.search('~(.*)~', v, re.S)[1]", "a~@~b"),
    "re.findall": ("re.findall('~([^~]*)~', v)[0]", "a~@~b"),
    "re.fullmatch groups": ("re.fullmatch('(.)~(.*)', v, re.S).groups()[1]", "a~@"),
    "re.finditer": ("[m.group(0) for m in re.finditer('[^~]+', v)][1]", "a~@~b"),
    "encode and decode": ("v.encode().decode()", "@"),
    "encode, cut, decode": ("v.encode()[2:].decode()", "ab@"),
    "bytes strip": ("v.encode().strip(b'~').decode('utf-8')", "~@~"),
    "format": ("'{}'.format(v)", "@"),
    "format with width": ("f'{v:<80}'.rstrip()", "@"),
    "percent": ("'%s' % v", "@"),
    "NFKC": ("unicodedata.normalize('NFKC', v)", "@"),
    "unquote": ("urllib.parse.unquote(v)", "%20@"),
    "unescape": ("html.unescape(v)", "@&nbsp;"),
    "json": ("json.loads(v)['k']", '{"k": @json}'),
    "csv": ("next(csv.reader([v], delimiter='~'))[1]", "a~@~b"),
    "shlex of words": ("' '.join(v.split(' '))", "@"),
    "characters": ("''.join([c for c in v if c != '~'])", "~@"),
    "generator": ("''.join(c for c in v if c.isprintable() or c in '\\r\\n')", "@\x07"),
    "map": ("''.join(map(str, v))", "@"),
    "filter": ("''.join(filter(lambda c: c != '~', v))", "@~"),
    "dict and get": ("{'k': v.strip()}.get('k')", " @"),
    "list and pop": ("[v.strip()].pop()", "@ "),
    "textwrap.dedent": ("textwrap.dedent(v)", "  @"),
    "or default": ("(v.strip() or 'none')", " @"),
    "namedtuple": ("Named(v.strip()).value", " @"),
    "base64": ("base64.b64decode(v).decode()", "@base64"),
}

JOINS: dict[str, str] = {
    "f-string": "text = f'{a}{v}{b}'",
    "f-string of three": "x = f'{a}{v}'\ntext = f'{x}{b}'",
    "plus": "text = a + v + b",
    "plus in brackets": "text = a + (v + b)",
    "plus of names": "left = a\nright = v\ntext = left + right\ntext = text + b",
    "helper's plus": "text = glue(a, v, b)",
    "helper's plus by name": "text = glue(left=a, middle=v, right=b)",
    "nested helpers": "text = glue(glue(a, v, ''), b, '')",
    "lambda": "text = (lambda x, y, z: x + y + z)(a, v, b)",
    "method": "text = Builder(a).build(v, b)",
    "attribute plus": "made = Builder(a)\nmade.text += v\nmade.text += b\ntext = made.text",
    "attribute of attribute": "made = Box(Builder(a))\nmade.inner.text += v\n"
    "made.inner.text += b\ntext = made.inner.text",
    "item plus": "made = {'text': a}\nmade['text'] += v\nmade['text'] += b\ntext = made['text']",
    "list item plus": "made = [a]\nmade[0] += v\nmade[0] += b\ntext = made[0]",
    "name plus": "text = a\ntext += v\ntext += b",
    "name plus in a loop": "text = a\nfor piece in (v, b):\n    text += piece",
    "constant plus": "text = CONSTANTS[k][0] + v + CONSTANTS[k][1]",
    "constant's attribute": "text = Held.a[k] + v + Held.b[k]",
    "percent": "text = '%s%s%s' % (a, v, b)",
    "percent of dict": "text = '%(a)s%(v)s%(b)s' % {'a': a, 'v': v, 'b': b}",
    "percent of a template": "text = (a.replace('%', '%%') + '%s' + b.replace('%', '%%')) % v",
    "format": "text = '{}{}{}'.format(a, v, b)",
    "format by name": "text = '{a}{v}{b}'.format(a=a, v=v, b=b)",
    "format_map": "text = '{a}{v}{b}'.format_map({'a': a, 'v': v, 'b': b})",
    "format of a template": "text = THREE.format(a, v, b)",
    "join of a list": "text = ''.join([a, v, b])",
    "join of a tuple": "text = ''.join((a, v, b))",
    "join of a generator": "text = ''.join(x for x in (a, v, b))",
    "join of appended": "parts = []\nparts.append(a)\nparts.append(v)\nparts.append(b)\n"
    "text = ''.join(parts)",
    "join by a name": "nothing = ''\ntext = nothing.join([a, v, b])",
    "StringIO": "out = io.StringIO()\nout.write(a)\nout.write(v)\nout.write(b)\n"
    "text = out.getvalue()",
    "print to StringIO": "out = io.StringIO()\nprint(a, v, b, sep='', end='', file=out)\n"
    "text = out.getvalue()",
    "reduce": "text = functools.reduce(lambda x, y: x + y, [a, v, b])",
    "reduce with add": "text = functools.reduce(operator.add, [a, v, b])",
    "operator.add": "text = operator.add(operator.add(a, v), b)",
    "operator.concat": "text = operator.concat(operator.concat(a, v), b)",
    "__add__": "text = a.__add__(v).__add__(b)",
    "replace": "text = (a + '@@' + b).replace('@@', v)",
    "Template": "text = string.Template('${a}${v}${b}').substitute(a=a, v=v, b=b)",
    "Jinja": "text = JINJA.render(a=a, v=v, b=b)",
    "re.sub": "text = re.sub('@@', lambda m: v, a + '@@' + b)",
    "slice assigned": "letters = list(a + b)\nletters[len(a):len(a)] = [v]\n"
    "text = ''.join(letters)",
    "accumulate": "text = list(itertools.accumulate([a, v, b]))[-1]",
    "bytes": "text = (a.encode() + v.encode() + b.encode()).decode()",
    "bytearray": "out = bytearray()\nout += a.encode()\nout += v.encode()\nout += b.encode()\n"
    "text = out.decode()",
}

SINKS: dict[str, tuple[str, str, str, str, str]] = {
    # name: before, after, payload, harmless value, call
    "sql": (
        "SELECT * FROM users WHERE name = '",
        "'",
        "x' OR '1'='1' UNION SELECT 1; -- ",
        "Ada O Lovelace",
        "DB.execute(text)",
    ),
    "sql number": ("SELECT * FROM users WHERE id = ", "", "1 OR 1=1 -- ", "17", "DB.execute(text)"),
    "command": (
        "echo '",
        "'",
        "x'; touch /tmp/y; echo 'z",
        "Ada Lovelace",
        "subprocess.run(text, shell=True)",
    ),
    "path": ("/tmp/guard-flows/", "", "../../etc/passwd", "ada/notes.txt", "open(text)"),
    "code": ("len('", "')", "x') + print('y", "Ada Lovelace", "eval(text)"),
    "template": (
        "Hello ",
        "!",
        "{{ config.__class__.__mro__ }}",
        "Ada Lovelace",
        "jinja2.Environment().from_string(text)",
    ),
    "url": (
        "https://",
        "/api",
        "evil.example.net:8080",
        "",
        "urllib.request.urlopen(text, timeout=1)",
    ),
    "ldap": (
        "(uid=",
        ")",
        "*)(objectClass=*",
        "ada.lovelace",
        "ldap3.Connection(None).search('o=x', text)",
    ),
    "xpath": ("//user[@name='", "']", "x' or '1'='1", "Ada Lovelace", "TREE.xpath(text)"),
    "response": (
        "lang=",
        "",
        "en\r\nSet-Cookie: session=1",
        "en-GB",
        "response.check_answer(GUARD, {'status': 200, 'headers': {'X-Lang': text}})",
    ),
    "deserialisation": (
        "name: ",
        "",
        "!!python/object/apply:os.getpid []",
        "Ada Lovelace",
        "yaml.unsafe_load(text)",
    ),
    "regex": ("^", "$", "(a+)+b", "abc", "re.compile(text)"),
}

_HEAD = """
import base64, collections, csv, functools, html, io, itertools, json, operator, re, string
import textwrap, unicodedata, urllib.parse
import jinja2
from {constants} import CONSTANTS, Held

THREE = "{{}}{{}}{{}}"
JINJA = jinja2.Template("{{{{ a }}}}{{{{ v }}}}{{{{ b }}}}", keep_trailing_newline=True)
Named = collections.namedtuple("Named", ["value"])


class Builder:
    def __init__(self, text):
        self.text = text

    def build(self, value, end):
        return self.text + value + end


class Box:
    def __init__(self, inner):
        self.inner = inner


def glue(left, middle, right):
    return left + middle + right
"""


@dataclass(frozen=True)
class Way:
    """One way of data; names as in the tables."""

    transform: str
    join: str
    sink: str
    place: str

    @property
    def text(self) -> str:
        """For messages."""
        return f"{self.transform} / {self.join} / {self.sink} / {self.place}"


@dataclass
class Score:
    """What became of all ways."""

    attacks: int = 0
    benign: int = 0
    missed: list[Way] = None  # type: ignore[assignment]
    alarms: list[Way] = None  # type: ignore[assignment]

    @property
    def found(self) -> float:
        """Share of the attacks that were stopped."""
        return 1 - len(self.missed) / self.attacks

    @property
    def false(self) -> float:
        """Share of the harmless twins that were stopped."""
        return len(self.alarms) / self.benign


def every_way() -> list[Way]:
    """Return the whole cross product."""
    return [Way(t, j, s, p) for p in PLACES for t in TRANSFORMS for j in JOINS for s in SINKS]


def sample(number: int, seed: int) -> list[Way]:
    """Return so many ways, the same for the same seed."""
    return random.Random(seed).sample(every_way(), number)


def _functions(ways: Sequence[Way], place: str) -> str:
    lines = []
    pairs = dict.fromkeys((w.transform, w.join) for w in ways if w.place == place)
    transforms, joins = list(TRANSFORMS), list(JOINS)
    for transform, join in pairs:
        name = f"flow_{transforms.index(transform)}_{joins.index(join)}"
        body = JOINS[join].replace("\n", "\n    ")
        lines.append(
            f"def {name}(a, v, b, k):\n    v = {TRANSFORMS[transform][0]}\n    {body}\n"
            "    return text\n"
        )
    return "\n\n".join(lines)


def _write(folder: Path, ways: Sequence[Way]) -> None:
    own, installed = folder / "code", folder / "installed"
    own.mkdir()
    installed.mkdir()
    around = ", ".join(f"{n!r}: ({s[0]!r}, {s[1]!r})" for n, s in SINKS.items())
    constants = f"CONSTANTS = {{ {around} }}\n\n\n"
    constants += "class Held:\n    a = {k: v[0] for k, v in CONSTANTS.items()}\n"
    constants += "    b = {k: v[1] for k, v in CONSTANTS.items()}\n"
    (own / "settings.py").write_text(constants)
    (installed / "dep_settings.py").write_text(constants)
    head, dep_head = _HEAD.format(constants="settings"), _HEAD.format(constants="dep_settings")
    (own / "helper.py").write_text(head + "\n\n" + _functions(ways, "helper"))
    (installed / "dep.py").write_text(dep_head + "\n\n" + _functions(ways, "dependency"))
    calls = "\n\n".join(
        f"def sink_{n}(text):\n    return {s[4]}\n" for n, s in enumerate(SINKS.values())
    )
    (own / "app.py").write_text(
        "import sqlite3, subprocess, urllib.request\nimport ldap3, lxml.etree, yaml\n"
        "import helper, dep\nfrom casemate.guard.sinks import response\n"
        + head
        + "\nGUARD = None\nDB = sqlite3.connect(':memory:')\n"
        "DB.execute('CREATE TABLE users (id INTEGER, name TEXT)')\n"
        "TREE = lxml.etree.fromstring('<users><user name=\"Ada\"/></users>')\n\n\n"
        + _functions(ways, "function")
        + "\n\n"
        + calls
    )


def run(folder: Path, ways: Sequence[Way]) -> Score:
    """Return what became of each way's attack and of its harmless twin."""
    _write(folder, ways)
    transforms, joins, sinks = list(TRANSFORMS), list(JOINS), list(SINKS)
    asked = []
    for way in ways:
        before, after, payload, harmless, _ = SINKS[way.sink]
        asked.append(
            {
                "transform": transforms.index(way.transform),
                "join": joins.index(way.join),
                "sink": sinks.index(way.sink),
                "name": way.sink,
                "place": way.place,
                "given": TRANSFORMS[way.transform][1],
                "before": before,
                "after": after,
                "payload": payload,
                "harmless": harmless,
            }
        )
    done = subprocess.run(
        [sys.executable, str(_CHILD), str(folder)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"the guarded process failed:\n{done.stderr[-4000:]}")
    score = Score(missed=[], alarms=[])
    for way, answer in zip(ways, json.loads((folder / "answers.json").read_text()), strict=True):
        if answer["attack"] is not None:
            score.attacks += 1
            if not answer["attack"]:
                score.missed.append(way)
        if answer["harmless"] is not None:
            score.benign += 1
            if answer["harmless"]:
                score.alarms.append(way)
    return score
