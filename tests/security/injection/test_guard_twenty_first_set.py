"""What a twenty-first set of programs by others showed, and small ones of our own.

Each has its hostile twins.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

pytestmark = pytest.mark.usefixtures("own_temporary_files")

PRELOAD = ("requests", "urllib.request", "pydoc", "importlib", "xml.sax", "html.parser", "tempfile")


def _handler(body: str, before: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return f"{before}\ndef handler(event, context):\n{lines}"


# -- the last number of an address -----------------------------------------------------------------

FETCH = (
    "import requests\nPREFIX = '10.20.30'\n"
    "class Adapter(requests.adapters.BaseAdapter):\n    def send(self, request, **named):\n"
    "        found = requests.Response()\n        found.status_code = 200\n"
    "        found._content = b'ok'\n        found.url = request.url\n        return found\n"
    "    def close(self):\n        pass\n"
    "def fetch(url):\n    session = requests.Session()\n    session.mount('http://', Adapter())\n"
    "    return session.get(url, params={'sku': 'a&b'}).text\n"
)
NETWORKS = {
    "an f-string": "f'http://10.20.30.{d}:8080/stock'",
    "a format": "'http://10.20.30.{}/stock'.format(d)",
    "a percent sign": "'http://10.20.30.%s/stock' % d",
    "a sum": "'http://10.20.30.' + d + '/stock'",
    "a name": "f'http://{PREFIX}.{d}/stock'",
}


def _of_network(url: str, number: str) -> tuple[str, object]:
    return _handler(f"d = event['d'].strip()\nreturn fetch({url})", FETCH), {"d": number}


NETWORKS_AS_MEANT: Cases = {
    f"{k}, {n!r}": _of_network(u, n) for k, u in NETWORKS.items() for n in ("3", "254", " 7 ")
}
NETWORKS_STOPPED: Cases = {
    **{
        f"{k}, {n!r}": _of_network(u, n)
        for k, u in NETWORKS.items()
        for n in ("3@127.0.0.1", "9.evil.test", "1/../x", "256", "1:22", "3#", "3.4", "0x7f", "03")
    },
    "another number": _of_network("f'http://10.20.{d}.5/'", "3"),
    "a short address": _of_network("f'http://127.{d}:80/'", "1"),
}

# -- functions of the code's own that are called as known ones -------------------------------------

PLACES = "import base64, os, tempfile\ndef places():\n    base = tempfile.mkdtemp()\n"
OWN = {
    "a pair of unpack": PLACES + "    return base, base + '/data'\ndef unpack(blob):\n"
    "    return places()\n",
    "a list of loads": PLACES + "    return [base, os.path.join(base, 'data')]\n"
    "def loads(blob):\n    return places()\nunpack = loads\n",
    "a method": PLACES + "    return base, os.path.join(base, 'data')\nclass Intake:\n"
    "    def normalize(self, blob):\n        return places()\nunpack = Intake().normalize\n",
}
OWN_AS_MEANT: Cases = {
    k: (
        _handler(
            "base, dest = unpack(event['b'])\nos.mkdir(dest)\n"
            "with open(os.path.join(dest, 'm.json'), 'w') as file:\n    file.write('x')\n"
            "return os.listdir(dest)",
            code,
        ),
        {"b": "aGVsbG8gd29ybGQ="},
    )
    for k, code in OWN.items()
}
OWN_STOPPED: Cases = {
    "a path of unpack": (
        _handler(
            "base, dest = unpack(event['b'])\nreturn open(dest).read()",
            "def unpack(blob):\n    return '/srv', blob.strip()\n",
        ),
        {"b": "/etc/passwd "},
    ),
    "a path of loads": (
        _handler(
            "base, dest = loads(event['b'])\nreturn open(dest).read()",
            "import base64\ndef loads(blob):\n    return ['/srv', base64.b64decode(blob).decode()]\n",
        ),
        {"b": "L2V0Yy9wYXNzd2Q="},
    ),
}

# -- operators and literals in code ----------------------------------------------------------------

OPERATORS = "OPERATORS = {'==', '!=', '<', 'in', 'not', 'is'}\n"
ASKED = "if event['op'].split()[0] not in OPERATORS:\n    raise SystemExit('no')\n"
COMPARING = {
    "eval": ASKED + "cart = {'country': 'FR'}\n"
    "return eval(f\"cart['country'] {event['op']} ['DE']\", {'cart': cart})",
    "a join": ASKED + "return eval(' '.join(['c', event['op'], repr(['DE'])]), {'c': 'FR'})",
    "compile": ASKED + "code = compile('c ' + event['op'] + \" ('DE',)\", 'x', 'eval')\n"
    "return eval(code, {'c': 'FR'})",
}
RULES = (
    "import json\nKEY = 'plan'\ndef source(name, default, value):\n"
    "    more = f' or {default!r}' if default else ''\n"
    "    return f\"(attrs.get('{name}'){more}) == {value!r}\"\n"
)
RULE = (
    "rule = json.loads(event['r'])\nname, _, default = rule['a'].partition('|')\n"
    "return eval(source(name, default, rule['v']), {'attrs': {}})"
)


def _rule(name: str, value: str) -> tuple[str, object]:
    return _handler(RULE, RULES), {"r": json.dumps({"a": name, "v": value})}


CODE_AS_MEANT: Cases = {
    **{
        f"{k}, {op}": (_handler(c, OPERATORS), {"op": op})
        for k, c in COMPARING.items()
        for op in ("not in", "in", "is not")
    },
    "a default that is quoted elsewhere": _rule("plan|free", "['free'] or \"trial\" # it's"),
    "a default that is compared": _rule("plan|free", "x == 'free'"),
}
CODE_STOPPED: Cases = {
    **{
        f"{k}, {op}": (_handler(c, OPERATORS), {"op": op})
        for k, c in COMPARING.items()
        for op in ("in () or True or 'x' in", "not in () or c in", "is not None or c in")
    },
    "an operator that nothing names": (
        _handler("return eval(f\"c {event['op']} ['DE']\", {'c': 'FR'})"),
        {"op": "not in"},
    ),
    "a name that ends its quotes": _rule("plan') or 'free' or ('|free", "'free'"),
}

# -- fields that an object of the code's shows -----------------------------------------------------

PARCELS = (
    "OFFERED = {'number', 'name', 'short', 'depot', 'secret', 'note'}\nGATEWAY = 'x-live-1'\n"
    "class Depot:\n    def __init__(self, town):\n        self.town = town\n"
    "    def __str__(self):\n        return self.town\n"
    "class Note:\n    def __init__(self):\n        self.text = 'x'\n"
    "class Parcel:\n    def __init__(self, number):\n        self.number = number\n"
    "        self.name, self.depot, self.secret, self.note = 'N', Depot('HH'), 'tok', Note()\n"
    "    @property\n    def short(self):\n        return self.number[-2:]\n"
    "    def drop(self):\n        return 1\n    @property\n    def hint(self):\n        return 'h'\n"
)
FORMATTING = {
    "format": "return event['t'].format(p=Parcel('12345'))",
    "format_map": "return event['t'].format_map({'p': Parcel('12345')})",
    "a place": "return event['t'].replace('{p', '{0').format(Parcel('12345'))",
}
FIELDS_AS_MEANT: Cases = {
    f"{k}, {t}": (_handler(c, PARCELS), {"t": t})
    for k, c in FORMATTING.items()
    for t in ("{p.short}", "{p.number}: {p.depot}", "{p.name:>9}|{p.short}", "{p.number!r}")
}
FIELDS_STOPPED: Cases = {
    f"{k}, {t}": (_handler(c, PARCELS), {"t": t})
    for k, c in FORMATTING.items()
    for t in (
        *("{p.depot.town.__class__}", "{p.depot.__init__.__globals__[GATEWAY]}", "{p.secret}"),
        *("{p.drop}", "{p.__class__}", "{p.note}", "{p.__dict__}", "{p.depot.__str__}", "{p.hint}"),
    )
}

# -- types by dotted names -------------------------------------------------------------------------

MODELS = {
    "mm_models.py": (
        "from dataclasses import dataclass\n\n@dataclass\nclass Sample:\n    label: str\n"
        "    mass: float\n\n    def __str__(self):\n        return self.label\n"
    ),
    "mm_acting.py": (
        "import os\nclass Job:\n    def __init__(self, command):\n"
        "        self.found = os.popen(command).read()\n"
    ),
}
WRITTEN = (
    "import importlib, os, pydoc, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
    f"for name, source in {MODELS!r}.items():\n"
    "    with open(os.path.join(HERE, name), 'w') as file:\n        file.write(source)\n"
    "sys.path.insert(0, HERE)\n"
)
LOCATING = {
    "pydoc": "found = pydoc.locate(event['k'])",
    "importlib": "module, _, name = event['k'].rpartition('.')\n"
    "found = getattr(importlib.import_module(module), name)",
}
TYPES_AS_MEANT: Cases = {
    k: (_handler(f"{c}\nreturn str(found('E. coli', 2))", WRITTEN), {"k": "mm_models.Sample"})
    for k, c in LOCATING.items()
}
TYPES_STOPPED: Cases = {
    f"{k}, {t}": (_handler(f"{c}\nreturn str(found('true'))", WRITTEN), {"k": t})
    for k, c in LOCATING.items()
    for t in (
        *("mm_acting.Job", "subprocess.getoutput", "mm_models.dataclass", "builtins.eval"),
        *("os.system", "mm_models.__builtins__"),
    )
}

# -- texts that a parser gives piece by piece ------------------------------------------------------

READERS = {
    "sax": "import xml.sax\nclass Notes(xml.sax.ContentHandler):\n    def __init__(self):\n"
    "        super().__init__()\n        self.found = []\n    def characters(self, content):\n"
    "        self.found.append(content)\nnotes = Notes()\n"
    "xml.sax.parseString(event['x'].encode(), notes)\nfound = notes.found",
    "html": "from html.parser import HTMLParser\nclass Notes(HTMLParser):\n    def __init__(self):\n"
    "        super().__init__()\n        self.found = []\n    def handle_data(self, data):\n"
    "        self.found.append(data)\nnotes = Notes()\nnotes.feed(event['x'])\nfound = notes.found",
    "a tree": "import xml.etree.ElementTree as ET\nfound = ET.fromstring(event['x']).itertext()",
}
ESCAPED = (
    *("&lt;!-- Rabatt --&gt; &lt;b&gt; x", "&lt;p&gt;Hi&lt;/p&gt;", "a &lt;br&gt; b &amp;amp;"),
)
TEXTS_AS_MEANT: Cases = {
    f"{k}, {t}": (
        _handler(f"{c}\nreturn {{'note': ''.join(found).strip()}}"),
        {"x": f"<Note>{t}</Note>"},
    )
    for k, c in READERS.items()
    for t in ESCAPED
}
TEXTS_STOPPED: Cases = {
    made: (_handler(f"t = event['t']\nreturn {{'html': {made}}}"), {"t": "<script>a()</script>"})
    for made in (
        *("'<p>' + t + '</p>'", "'<p>%s</p>' % t", "''.join(['<p>', t, '</p>'])"),
        *("f'<p>{t}</p>'.strip()", "'<p>T</p>'.replace('T', t)", "'<p>{}</p>'.format(t)"),
        "'\\n'.join(f'<li>{x}</li>' for x in [t, t])",
    )
}

# -- links that are all of a text ------------------------------------------------------------------

PREVIEW = (
    "import re, urllib.request, urllib.error\n"
    "LINK = re.compile(r'[a-z]{3,6}://?[^\\s<>\"\\')]+', re.I)\ndef fetch(url):\n    try:\n"
    "        asked = urllib.request.Request(url, headers={'User-Agent': 'p/1'})\n"
    "        return urllib.request.urlopen(asked, timeout=2).read(10)\n"
    "    except (urllib.error.URLError, OSError):\n        return 'gone'\n"
)
FOUND = "found = LINK.search(event['t'])\nreturn fetch(found[0]) if found else None"
CHECKED = "if not {}:\n    raise SystemExit('no')\nreturn fetch(event['t'])"
LINKS_AS_MEANT: Cases = {
    t: (_handler(FOUND, PREVIEW), {"t": t})
    for t in (
        *("https://shop.example/a", "(http://www.rates.invalid/x.html) look!"),
        "see http://a.example.org/?q=1 now",
    )
}
LINKS_STOPPED: Cases = {
    **{
        t: (_handler(FOUND, PREVIEW), {"t": t})
        for t in (
            *("https://10.0.0.5/a", "http://localhost/x", "look file:///etc/passwd"),
            *("http://169.254.169.254/", "http://db.internal/", "http://vault.example/"),
        )
    },
    **{
        check: (_handler(CHECKED.format(check), PREVIEW), {"t": "https://evil.example/a"})
        for check in (
            *("re.search(r'^https?://', event['t'])", "re.match(r'https?://\\S+', event['t'])"),
            *("re.search(r'https?://', event['t'])", "re.fullmatch(r'https?://\\S+', event['t'])"),
        )
    },
}

# -- records by their fields -----------------------------------------------------------------------

LOGS = {
    "a file": (
        "fd, path = tempfile.mkstemp(suffix='.log')\nos.close(fd)\nwith open(path, 'a') as file:\n"
        "    file.write(f'2025-03-04T08:00 DENIED badge={b} door=n reason={r}\\n')\n"
        "lines = open(path).read().splitlines()\nos.unlink(path)\nreturn lines"
    ),
    "what is printed": "print(f'badge={b} door=n reason={r}')\nreturn 1",
    "memory": (
        "out = io.StringIO()\nout.write(f'badge={b} door=n reason={r}\\n')\n"
        "return out.getvalue().splitlines()"
    ),
}


def _logged(code: str, reason: str) -> tuple[str, object]:
    return _handler(f"b, r = 'zz', event['r']\n{code}", "import io, os, tempfile"), {"r": reason}


LOGS_AS_MEANT: Cases = {
    f"{k}, {r!r}": _logged(c, r)
    for k, c in LOGS.items()
    for r in ("shift; early", "badge=x was lost", "two\nlines", "a\nreason=x")
}
LOGS_STOPPED: Cases = {
    f"{k}, {r!r}": _logged(c, r)
    for k, c in LOGS.items()
    for r in ("hi\r\n1 GRANTED badge=ceo door=v reason=", "x\nGRANTED door=v badge=boss")
}

# -- methods that a list of the code's leaves out --------------------------------------------------

STUDY = (
    "class Study:\n    def __init__(self):\n        self.title, self.people = 's', ['P. Quill']\n"
    "    def count(self):\n        return 1\n    def mean(self):\n        return 2\n"
    "    def unblind(self):\n        return self.people\n"
)
GOT = "value = getattr(Study(), event['m'])\nreturn value() if callable(value) else value"
LISTS = {
    "a list": "DASHBOARD = ['count', 'mean']\n",
    "a tuple of a class": "class Board:\n    METRICS = ('count', 'mean')\n",
    "keys": "LABELS = {'count': 'Number of people', 'mean': 'Mean'}\n",
}
NO_LISTS = {
    "nothing": "",
    "other words": "WORDS = ['count', 'house']\n",
    "two lists": "A = ['count', 'mean']\nB = ['mean', 'unblind']\n",
}


def _metric(more: str, name: str) -> tuple[str, object]:
    return _handler(GOT, STUDY + more), {"m": name}


METHODS_AS_MEANT: Cases = {
    **{f"{k}, {m}": _metric(c, m) for k, c in LISTS.items() for m in ("count", "mean", "title")},
    **{k: _metric(c, "unblind") for k, c in NO_LISTS.items()},
}
METHODS_STOPPED: Cases = {k: _metric(c, "unblind") for k, c in LISTS.items()}


def test_numbers_of_a_network_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, NETWORKS_AS_MEANT, PRELOAD)


def test_other_addresses_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, NETWORKS_STOPPED, {"url"}, PRELOAD)


def test_what_own_functions_return_is_known_by_what_they_do(tmp_path: Path) -> None:
    assert_passes(tmp_path, OWN_AS_MEANT, PRELOAD)


def test_paths_that_own_functions_pass_on_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, OWN_STOPPED, {"path"}, PRELOAD)


def test_operators_literals_fields_types_and_methods_pass(tmp_path: Path) -> None:
    cases = {**CODE_AS_MEANT, **FIELDS_AS_MEANT, **TYPES_AS_MEANT, **METHODS_AS_MEANT}
    assert_passes(tmp_path, cases, PRELOAD)


def test_more_than_these_is_blocked(tmp_path: Path) -> None:
    cases = {**CODE_STOPPED, **FIELDS_STOPPED, **TYPES_STOPPED, **METHODS_STOPPED}
    assert_blocked(tmp_path, cases, {"code"}, PRELOAD)


def test_texts_of_a_parser_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, TEXTS_AS_MEANT, PRELOAD)


def test_pages_of_the_code_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, TEXTS_STOPPED, {"response"}, PRELOAD)


def test_links_that_are_all_of_a_text_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, LINKS_AS_MEANT, PRELOAD)


def test_links_elsewhere_and_those_of_a_field_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, LINKS_STOPPED, {"url"}, PRELOAD)


def test_reasons_in_records_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(LOGS_AS_MEANT, tmp_path), PRELOAD)


def test_records_by_their_fields_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(LOGS_STOPPED, tmp_path), {"log"}, PRELOAD)
