"""What a nineteenth set of programs by others showed, and small ones of our own.

Each has its hostile twins.
"""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = ("sqlite3", "dataclasses", "importlib", "operator")

TOOLS = (
    "import importlib, json, os, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
    "os.makedirs(os.path.join(HERE, 'tools', 'deep'), exist_ok=True)\n"
    "SOURCES = {sources}\nfor NAME, SOURCE in SOURCES.items():\n"
    "    with open(os.path.join(HERE, 'tools', NAME), 'w') as file:\n        file.write(SOURCE)\n"
    "sys.path.insert(0, os.path.join(HERE, 'tools'))\n{more}\ndef handler(event, context):\n"
    "    module, _, name = event['k'].partition(':')\n"
    "    found = {look}\n    return str(found(event['t'])) if callable(found) else str(found)\n"
)
GETTING = "getattr(importlib.import_module(module), name or 'run')"
FILES = {
    "tt_case.py": "import re\nBLANK = re.compile(r'\\s+')\n\ndef upper(t):\n    return BLANK.sub(' ', t.upper())\n",
    "tt_count.py": "def run(t):\n    return f'{len(t.split())} words'\n",
    "tt_shapes.py": (
        "from collections import namedtuple\nfrom dataclasses import dataclass\n\n@dataclass\n"
        "class Side:\n    size: str\n\n    def area(self):\n        return self.size * 2\n"
        "\ndef make(t):\n    return Side(t).area()\n"
    ),
    "tt_acting.py": "import os\ndef run(t):\n    return t + os.sep\n",
    "tt_hiding.py": "from json import codecs\ndef run(t):\n    return t\n",
    "tt_reading.py": "def run(t):\n    return open(t).read()\n",
    "tt_looking.py": "def run(t):\n    return run.__globals__\n",
    "tt_frames.py": "def run(t):\n    return (x for x in t).gi_frame.f_builtins\n",
    "tt_settings.py": "DSN = 'postgresql://etl:geheim@db/x'\ndef run(t):\n    return DSN\n",
    "tt_texts.py": "PLACE = 'postgresql://etl:geheim@db/x'\ndef run(t):\n    return t\n",
    "tt_store.py": "def run(con):\n    return con.execute('DELETE FROM x')\n",
    "tt_jobs.py": (
        "class Job:\n    def __init__(self, sql):\n        self.sql = sql\n"
        "    def run(self, con):\n        return con.execute(self.sql)\n"
    ),
    "tt_wipe.py": "def run(held):\n    held.clear()\n    return 'gone'\n",
    "tt_late.py": "def run(t):\n    import subprocess\n    return subprocess.getoutput(t)\n",
    "tt_default.py": "def run(t, to=__import__):\n    return to(t)\n",
    "tt_given.py": "def run(t, to=None):\n    return to(t)\n",
    "tt_state.py": "def run(t):\n    global LEFT\n    LEFT = t\n    return t\n",
    "admin_tools.py": "def run(t):\n    return t\n",
    "tt_json.py": "import json\ndef run(t):\n    return json.dumps(t)\n",
    "deep/__init__.py": "",
    "deep/low.py": "def run(t):\n    return t.lower()\n",
}


def _tools(more: str = "", look: str = GETTING) -> str:
    return TOOLS.format(sources=repr(FILES), more=more, look=look)


MENU = (
    "MENU = [{'tool': 'tt_acting:run', 'title': {'en': 'List'}},"
    " {'tool': 'tt_count', 'title': {'en': 'Count'}}]"
)
FORBIDDEN = MENU.replace("'tool'", "'blocked'")
GO = (
    "from urllib.parse import urlsplit\nOUR_SITES = ('library.example', 'schule.example', '市.example')\n"
    "class Links:\n    def ours(self, url):\n        parts = urlsplit(url)\n"
    "        host = (parts.hostname or '').lower()\n"
    "        return parts.scheme in ('http', 'https') and host.endswith(OUR_SITES)\n"
    "    def told(self, urls):\n        for url in urls:\n            if self.ours(url):\n"
    "                yield {'status': 302, 'headers': {'Location': url}, 'body': ''}\n"
    "def handler(event, context):\n    for answer in Links().told([event['to']]):\n"
    "        return answer\n    return {'status': 404, 'headers': {}, 'body': ''}\n"
)
FORMULA = (
    "import json, math\nNAMES = {'min': min, 'max': max, 'round': round, 'floor': math.floor}\n"
    "def handler(event, context):\n    scope = dict(NAMES)\n    PAY = json.loads('{\"salary\": 5210}')\n"
    "    scope.update(PAY)\n    scope.update({k: float(v) for k, v in event['v'].items()})\n"
    "    return eval(event['f'], {'__builtins__': {}}, scope)\n"
)
COMMENT = (
    "import re\nALLOWED = ('b', 'i', 'code', 'br')\nTAG = re.compile(r'</?([a-zA-Z0-9]+)[^>]*>')\n"
    "def clean(text):\n    def one(m):\n"
    "        return m.group(0) if m.group(1).lower() in ALLOWED else ''\n"
    "    return TAG.sub(one, text)\ndef handler(event, context):\n"
    "    return {'status': 200, 'headers': {'content-type': 'text/html'},"
    " 'body': '<!doctype html><p>' + clean(event['t']) + '</p>'}\n"
)
AS_IT_IS = COMMENT.replace("clean(event['t'])", "event['t']")
NO_RULE = AS_IT_IS.replace("TAG = re.compile(r'</?([a-zA-Z0-9]+)[^>]*>')", "TAG = re")
FORBIDS = AS_IT_IS.replace("ALLOWED", "FORBIDDEN")
SEARCH = (
    'import sqlite3\ndef quote(text):\n    return "\'" + text.replace("\'", "\'\'") + "\'"\n'
    "def handler(event, context):\n    con = sqlite3.connect(':memory:')\n"
    "    con.execute('CREATE TABLE x(a, b)')\n"
    "    where = [f\"(a LIKE {quote('%' + w + '%')} OR b LIKE {quote('%' + w + '%')})\""
    " for w in event['q'].split()]\n    where.append(\"b = '%s'\" % event['l'])\n"
    "    return con.execute('SELECT a FROM x WHERE ' + ' AND '.join(where)).fetchall()\n"
)
SERIES = (
    "class Source:\n    def __init__(self):\n        self.dsn, self.name = 'postgresql://a:b@c/d', 'w'\n"
    "        self._pay = 5210\n    def total(self):\n        return 3\n    def _payroll(self):\n"
    "        return self._pay\n    def __str__(self):\n        return 'source'\n"
    "class Series:\n    '''What one may ask for: unit, total, token'''\n    def __init__(self):\n"
    "        self.unit, self.token, self.connection = 'm', 'word', Source()\n"
    "def handler(event, context):\n    found = Series()\n    for part in event['want'].split('.'):\n"
    "        found = getattr(found, part)\n    return str(found)\n"
)
GETTER = SERIES.replace(
    "    found = Series()\n    for part in event['want'].split('.'):\n"
    "        found = getattr(found, part)\n",
    "    from operator import attrgetter\n    found = attrgetter(event['want'])(Series())\n",
)
AS_MEANT: Cases = {
    "a tool that calculates": (_tools(), {"k": "tt_case:upper", "t": "import os; it's"}),
    "a tool by its module": (_tools(), {"k": "tt_count", "t": "a b"}),
    "a tool with a class": (_tools(), {"k": "tt_shapes:make", "t": "m"}),
    "a type of the code's": (_tools(), {"k": "tt_shapes:Side", "t": "m"}),
    "a tool with a module of numbers and texts": (_tools(), {"k": "tt_json", "t": "m"}),
    "a tool of a package": (_tools(), {"k": "deep.low", "t": "M"}),
    "a tool that is listed": (_tools(MENU), {"k": "tt_acting:run", "t": "/"}),
    "our site": (GO, {"to": "https://www.library.example/news?id=5&lang=de#top"}),
    "our site in capitals": (GO, {"to": "http://LIBRARY.example/%E6%9C%AC"}),
    "our site in Chinese": (GO, {"to": "http://市.example/新聞?頁=2"}),
    "below our site in Chinese": (GO, {"to": "http://www.市.example/"}),
    **{
        f"the formula {formula}": (FORMULA, {"f": formula, "v": {"income": 3550, "n": "2"}})
        for formula in (
            *("n * 4.5", "(income - 2000) * 0.05 if income > 2000 else 0", "max(n, 3) + 1"),
            *("income > 3 and not n == 2 or n", "round(income / 3, 2)", "-n if 1 < n <= 3 else n"),
        )
    },
    "tags that are allowed": (COMMENT, {"t": "<b>Great</b>, see <code>x</code><br>it's 3 < 4"}),
    "tags in capitals": (COMMENT, {"t": "Grüße <I>und</I> <br/>"}),
    "tags that are taken away": (COMMENT, {"t": "<u>x</u> <h1>y"}),
    "a quotation": (SEARCH, {"q": '"to be or not to be" AND \'tis nobler', "l": "en"}),
    "a word in quotes": (SEARCH, {"q": "or 'tis' 'twas", "l": "en"}),
    "a name of the class": (SERIES, {"want": "unit"}),
    "a name that is documented": (SERIES, {"want": "token"}),
    "a name within another": (SERIES, {"want": "connection.name"}),
    "a name within another, by a getter": (GETTER, {"want": "connection.name"}),
}
STOPPED: Cases = {
    **{
        f"the tool {name}": (_tools(), {"k": name, "t": "x"})
        for name in (
            *("tt_acting", "tt_hiding", "tt_reading", "tt_looking", "tt_frames", "tt_settings"),
            *("tt_settings:DSN", "tt_texts:PLACE", "tt_store", "tt_wipe", "tt_late", "tt_default"),
            *("tt_given", "tt_state", "admin_tools", "app:handler", "app:importlib"),
            *("subprocess:getoutput", "builtins:eval", "tt_shapes:namedtuple", "tt_case:re"),
            *("tt_shapes:dataclass", "tt_hiding:codecs", "tt_case:__dict__", "tt_case:_x"),
            *("os.path:exists", "deep.low:__globals__"),
        )
    },
    "a type that executes, which the code has imported": (
        _tools("import tt_jobs"),
        {"k": "tt_jobs:Job", "t": "x"},
    ),
    "a module within a tool's": (
        _tools("import operator", "operator.attrgetter(name)(importlib.import_module(module))"),
        {"k": "tt_json:json.codecs.builtins.open", "t": "x"},
    ),
    "what a tool has by its dictionary": (
        _tools("", "vars(importlib.import_module(module))[name]"),
        {"k": "tt_json:json", "t": "x"},
    ),
    "another of a tool that is listed": (_tools(MENU), {"k": "tt_acting:os", "t": "/"}),
    "a tool that is blocked": (_tools(FORBIDDEN), {"k": "tt_acting:run", "t": "/"}),
    **{
        f"a link to {url}": (GO, {"to": url})
        for url in (
            *("https://evil-library.example/login", "https://EVIL-LIBRARY.example/"),
            *("http://evil市.example/", "https://user@evilschule.example/"),
        )
    },
    **{
        f"the formula {formula}": (FORMULA, {"f": formula, "v": {"income": 3550, "n": "2"}})
        for formula in (
            *("().__class__.__base__.__subclasses__()", "floor.__self__", "n.real", "salary"),
            *("[x for x in (1, 2)]", "(lambda: 1)()", "9 ** 9 ** 9", "n['__class__']"),
            *(
                "floor.__self__ if n else 0",
                "salary > 5000",
                "n and min.__self__",
                "{n: floor}[n]()",
            ),
        )
    },
    "a salary that is sent elsewhere": (FORMULA, {"f": "salary", "v": {}, "salary": 3}),
    "a salary that is guessed": (
        FORMULA,
        {"f": "salary", "v": {}, "guesses": [{"salary": n} for n in range(5200, 5220 + 5)]},
    ),
    **{
        f"a comment with {text}": (code, {"t": text})
        for code in (COMMENT, AS_IT_IS)
        for text in (
            *("<b onmouseover=alert(1)>x</b>", "<b\nonclick=alert(1)>", "<i/onclick=alert(1)>"),
            *("<code style=x:y>", "<b><b onclick=alert(1)>", "<br onload=a>"),
        )
    },
    **{
        f"a comment as it is with {text}": (AS_IT_IS, {"t": text})
        for text in (
            *("<script>alert(1)</script>", "<a href=x>", "<img src=x>", "<style>x</style>"),
            *("<form>", "<base href=x>", "<svg>", "<b>x</b><script>", "<!-- <b> -->", "<h1>"),
        )
    },
    "a comment that becomes a tag": (COMMENT, {"t": "<<x>script>alert(1)<<x>/script>"}),
    "a tag without a rule": (NO_RULE, {"t": "<b>x</b>"}),
    "a tag that is forbidden": (FORBIDS, {"t": "<b>x</b>"}),
    "a value that ends its literal": (SEARCH, {"q": "'tis nobler", "l": "de' OR 1=1 --"}),
    "a value that begins with a quote": (SEARCH, {"q": "a 'tis", "l": "' OR a = ''"}),
    "a value that is a quote": (SEARCH, {"q": "or 'tis", "l": "'||(SELECT 1)||'"}),
    **{
        f"the name {want}": (code, {"want": want})
        for code in (SERIES, GETTER)
        for want in ("connection._pay", "connection._payroll", "__init__.__globals__")
    },
    "the place of the data": (SERIES, {"want": "connection.dsn"}),
}


def test_what_is_as_meant_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(AS_MEANT, tmp_path), PRELOAD)


def test_its_hostile_twins_are_stopped(tmp_path: Path) -> None:
    sinks = {"code", "path", "sql", "response", "attributes"}
    assert_blocked(tmp_path, placed(STOPPED, tmp_path), sinks, PRELOAD)
