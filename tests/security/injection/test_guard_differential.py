"""Handlers of many kinds give the same results with the sink guard and without."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, run

_EXAMPLES = Path(__file__).parents[3] / "examples"
PRELOAD = ("pandas", "numpy", "jinja2", "yaml", "markdown_it", "lxml.etree", "pydantic")
TEXT = {"v": "Ada; '--' {x} %s ../x", "n": 3, "items": ["b", "a", "c"]}
_REFUSING = {"failing", "price", "webhook"}
"""They refuse the event, or need the platform: with the guard and without."""
CONTEXT = (
    "class Log:\n    def __getattr__(self, name): return lambda *a, **n: None\n"
    "class Context:\n    log = Log()\n"
)


def example(name: str, module: str, event: object) -> tuple[str, object]:
    """Return an example's own module with a context to call it with."""
    source = _EXAMPLES / name / "src"
    code = (source / f"{module}.py").read_text().replace("__file__", repr(str(source / "x.py")))
    end = (
        f"\n{CONTEXT}inner = handler\ndef handler(event, context): return inner(event, Context())\n"
    )
    return code + end, event


def request(body: str) -> dict[str, object]:
    """Return an event of HTTP."""
    return {
        "body": body,
        "isBase64Encoded": False,
        "headers": {"content-type": "text/csv"},
        "query": {},
    }


CASES: Cases = {
    "csv-summary": example("csv-summary", "summary", request("a,b\n1,x\n2,y\n")),
    "markdown": example("markdown", "render", request("# T\n\n*a* `b`\n")),
    "webhook": example("webhook", "receive", request('{"a": 1}')),
    "price": example("orders", "price", {"lines": [{"sku": "x", "quantity": 2}]}),
    "csv": (
        "import csv, io\nreturn list(csv.DictReader(io.StringIO('a,b\\n1,' + event['v'])))",
        TEXT,
    ),
    "zip": (
        "import io, zipfile\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w') as z: z.writestr('a', event['v'])\n"
        "return zipfile.ZipFile(b).read('a')",
        TEXT,
    ),
    "tar": (
        "import io, tarfile\nb = io.BytesIO()\nt = tarfile.open(fileobj=b, mode='w')\n"
        "i = tarfile.TarInfo('a'); i.size = 1; t.addfile(i, io.BytesIO(b'x')); t.close(); b.seek(0)\n"
        "return tarfile.open(fileobj=b).getnames()",
        TEXT,
    ),
    "regex": (
        "import re\nreturn re.sub(r'(\\w+)', lambda m: m[1][::-1], event['v']), re.split('[;, ]', event['v'])",
        TEXT,
    ),
    "data classes": (
        "from dataclasses import dataclass, field, asdict, replace\n"
        "def handler(event, context):\n    @dataclass(order=True, slots=True)\n    class A:\n        v: str\n        t: list = field(default_factory=list)\n"
        "    return asdict(replace(A(event['v']), t=event['items'])), sorted([A('b'), A(event['v'])])[0].v",
        TEXT,
    ),
    "named tuples": (
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\nreturn tuple(P(event['v'], 1)._replace(y=2)), repr(P(1, event['v']))",
        TEXT,
    ),
    "typing": (
        "from typing import NamedTuple, TypedDict\nclass A(NamedTuple):\n    v: str\nreturn A(event['v'])._asdict()",
        TEXT,
    ),
    "enum": (
        "from enum import Enum, Flag, auto\nE = Enum('E', 'A B')\nclass F(Flag):\n    X = auto()\n    Y = auto()\nreturn [e.name for e in E], (F.X | F.Y).value",
        TEXT,
    ),
    "async": (
        "import asyncio\nasync def one(x):\n    await asyncio.sleep(0)\n    return f'{x}!' + x\n"
        "async def every(items): return [r async for r in agen(items)] + await asyncio.gather(*map(one, items))\n"
        "async def agen(items):\n    for i in items: yield await one(i)\n"
        "def handler(event, context): return asyncio.run(every(event['items']))",
        TEXT,
    ),
    "generators": (
        "def walk(x):\n    got = yield x\n    yield from ([got] * 2 if got else [x + 'z'])\n"
        "def handler(event, context):\n    g = walk(event['v']); a = next(g); b = g.send(a + '1')\n    return a, b, list(g), [*walk('q')]",
        TEXT,
    ),
    "classes": (
        "class Meta(type):\n    def __new__(m, n, b, d): return super().__new__(m, n, b, dict(d, tag=n + '!'))\n"
        "class A(metaclass=Meta):\n    __slots__ = ('v',)\n    def __init__(self, v): self.v = v\n    def __add__(self, o): return f'{self.v}+{o}'\n"
        "    def __radd__(self, o): return o + self.v\n    def __mod__(self, o): return (self.v, o)\n    def __contains__(self, o): return o in self.v\n"
        "    def __format__(self, s): return s or 'none'\n    @property\n    def join(self): return lambda *a, **k: (a, k)\n"
        "def handler(event, context):\n    a = A(event['v'])\n    return a + 1, 'x' + a, a % 3, 'Ada' in a, f'{a:>>}', a.join(1, b=2), A.tag",
        TEXT,
    ),
    "decorators": (
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g(*a, **k): return f(*a, **k), f(*a, **k)\n    return g\n"
        "@twice\ndef one(v, *, sep='-'): return sep.join(v)\n"
        "def handler(event, context): return one(event['items']), one.__name__, functools.reduce(lambda a, b: a + b, event['items'])",
        TEXT,
    ),
    "logging": (
        "import io, logging\ns = io.StringIO(); l = logging.Logger('x'); h = logging.StreamHandler(s)\n"
        "h.setFormatter(logging.Formatter('%(levelname)s %(message)s')); l.addHandler(h)\nl.warning('got %s of %d', event['v'], event['n'])\nreturn s.getvalue()",
        TEXT,
    ),
    "time": (
        "from datetime import datetime, timedelta, timezone\nd = datetime(2024, 2, 28, tzinfo=timezone.utc) + timedelta(days=event['n'])\nreturn d.isoformat(), f'{d:%d.%m.%Y}', d.strftime('%A')",
        TEXT,
    ),
    "decimal": (
        "from decimal import Decimal, ROUND_HALF_UP\nreturn str((Decimal('10.005') * event['n']).quantize(Decimal('0.01'), ROUND_HALF_UP)), f\"{Decimal('1.5'):>8}\"",
        TEXT,
    ),
    "fractions": (
        "from fractions import Fraction\nimport statistics\nreturn str(Fraction('1/3') + event['n']), statistics.median([1, event['n'], 7])",
        TEXT,
    ),
    "hashing": (
        "import hashlib, hmac\nreturn hashlib.sha256(event['v'].encode()).hexdigest(), hmac.new(b'k', event['v'].encode(), 'sha1').hexdigest()",
        TEXT,
    ),
    "base64": (
        "import base64, gzip, zlib\nb = base64.b85encode(zlib.compress(event['v'].encode()))\nreturn b, zlib.decompress(base64.b85decode(b)).decode()",
        TEXT,
    ),
    "json": (
        "import json\nreturn json.loads(json.dumps(event, indent=1, sort_keys=True)), json.dumps(event, separators=(',', ':'))",
        TEXT,
    ),
    "urls": (
        "from urllib.parse import *\nreturn urlencode(event), quote(event['v']), parse_qs('a=1&b=' + quote_plus(event['v'])), urljoin('http://a/b', event['v'])",
        TEXT,
    ),
    "mail": (
        "from email.message import EmailMessage\nm = EmailMessage(); m['Subject'] = 'Hi ' + event['v'].split(';')[0]; m.set_content(event['v'])\nreturn m.as_string()",
        TEXT,
    ),
    "templates": (
        "import jinja2\nreturn jinja2.Template('{% for i in items %}{{ i|upper }},{% endfor %}{{ v }}').render(**event)",
        TEXT,
    ),
    "string templates": (
        "from string import Template, Formatter\nreturn Template('$v and ${n}').substitute(event), list(Formatter().parse('{a!r:>3}')), '{v:*^40}|{items[0]}'.format(**event)",
        TEXT,
    ),
    "yaml": (
        "import yaml\nreturn yaml.safe_load(yaml.safe_dump(event)), yaml.safe_load('a: [1, 2]')",
        TEXT,
    ),
    "pandas": (
        "import pandas as pd\ndf = pd.DataFrame({'k': event['items'], 'v': [1, 2, 3]})\n"
        "return df.groupby('k').v.sum().to_dict(), df.query('v > 1').k.tolist(), df.sort_values('k').to_csv(index=False), df.eval('w = v * 2').w.tolist()",
        TEXT,
    ),
    "numpy": (
        "import numpy as np\na = np.arange(6).reshape(2, -1) * event['n']\nreturn a.sum(axis=0).tolist(), np.linalg.norm(a).round(3).item(), str(a)",
        TEXT,
    ),
    "markdown-it": (
        "from markdown_it import MarkdownIt\nreturn MarkdownIt().render('# ' + event['v'] + '\\n\\n- a\\n- **b**\\n')",
        TEXT,
    ),
    "lxml": (
        "from lxml import etree\nr = etree.Element('r'); etree.SubElement(r, 'a').text = event['v']\nreturn etree.tostring(r), r.xpath('//a/text()')[0] == event['v'], r.findtext('a')",
        TEXT,
    ),
    "ElementTree": (
        "import xml.etree.ElementTree as ET\nr = ET.fromstring('<r><a x=\"1\">t</a></r>')\nreturn [(e.tag, e.attrib) for e in r.iter()], ET.tostring(r)",
        TEXT,
    ),
    "html": (
        "import html\nfrom html.parser import HTMLParser\nclass P(HTMLParser):\n    out = ()\n    def handle_data(self, d): self.out += (d,)\np = P(); p.feed('<b>' + html.escape(event['v']) + '</b>'); p.close()\nreturn p.out",
        TEXT,
    ),
    "sqlite": (
        "import sqlite3\nc = sqlite3.connect(':memory:'); c.row_factory = sqlite3.Row\nc.execute('create table t (a, b)')\nc.executemany('insert into t values (?, ?)', [(i, event['v']) for i in event['items']])\nreturn [tuple(r) for r in c.execute('select * from t where b = ? order by a', (event['v'],))]",
        TEXT,
    ),
    "pydantic": (
        "from pydantic import BaseModel, Field\nclass M(BaseModel):\n    v: str\n    n: int = Field(gt=1)\n    items: list[str]\nreturn M.model_validate(event).model_dump_json(), sorted(M.model_json_schema()['required'])",
        TEXT,
    ),
    "files": (
        "import tempfile, os, pathlib, shutil\nwith tempfile.TemporaryDirectory() as d:\n    p = pathlib.Path(d) / 'a' / 'b.txt'; p.parent.mkdir(); p.write_text(event['v'])\n    shutil.copytree(p.parent, os.path.join(d, 'c'))\n    return sorted(os.listdir(d)), (p.parent.parent / 'c' / 'b.txt').read_text(), p.suffix, p.stem, os.path.split('/a/b'), os.path.dirname('/a/b/c')",
        TEXT,
    ),
    "subprocess": (
        "import subprocess\nreturn subprocess.run(['cat'], input=event['v'], text=True, capture_output=True).stdout",
        TEXT,
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as p: return list(p.map(lambda x: f'{x}-' + event['v'], event['items']))",
        TEXT,
    ),
    "pickle of its own": (
        "import copy, pickle\nreturn pickle.loads(pickle.dumps({'a': event['v'], 'b': (1, 2)})), copy.deepcopy(event)",
        TEXT,
    ),
    "bytes": (
        "b = bytearray(event['v'], 'utf-8'); b += b'!'\nreturn bytes(b)[2:-2], b'%d-%s' % (3, b'x'), b''.join([b'a', bytes(b)]), memoryview(b)[1:3].tobytes(), struct.pack('>I', event['n'])\nimport struct",
        TEXT,
    ),
    "context managers, exceptions": (
        "import contextlib\n@contextlib.contextmanager\ndef cm(v):\n    try: yield v + '1'\n    except KeyError as e: print(e)\n"
        "def handler(event, context):\n    with cm(event['v']) as x, contextlib.suppress(ValueError):\n        try: raise ValueError('bad %s' % x)\n        except ValueError as e: return str(e), type(e).__name__",
        TEXT,
    ),
    "match": (
        "match event:\n    case {'v': str(v), 'items': [first, *rest]} if len(v) > 2: return v[:3], first, rest[::-1]\n    case _: return None",
        TEXT,
    ),
    "walrus, comprehensions": (
        "return [y for x in event['items'] if (y := x.upper()) in {'A', 'B'}], {k: len(str(v)) for k, v in event.items()}, 'a' in event['v'], event['v'] not in ('x',)",
        TEXT,
    ),
    "scopes": (
        "total = ''\ndef handler(event, context):\n    global total\n    acc = ''\n    def add(x):\n        nonlocal acc\n        acc += x\n        return acc\n"
        "    for i in event['items']: add(i); total += i\n    d = {'a': 'x'}; d['a'] += acc; l = ['q']; l[0] += acc; l += 'zz'\n    return acc, total, d, l, locals()['acc']",
        TEXT,
    ),
    "failing": ("return int(event['v'])", TEXT),
}


def test_results_are_the_same_with_the_guard_and_without(tmp_path: Path) -> None:
    assert len(CASES) >= 34
    results = {}
    for guard in ("on", "off"):
        (tmp_path / guard).mkdir()
        results[guard] = run(tmp_path / guard, CASES, PRELOAD, guard=guard)
    for name in CASES:
        on, off = results["on"][name], results["off"][name]
        assert (on.outcome, on.result) == (off.outcome, off.result), name
        assert not on.records, f"{name}: {on.records}"


def test_the_handlers_do_their_work(tmp_path: Path) -> None:
    answers = run(tmp_path, CASES, PRELOAD, guard="off")
    failed = {n: a.result for n, a in answers.items() if a.outcome != "ok"}
    assert set(failed) <= _REFUSING, failed
