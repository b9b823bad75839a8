"""Tests of what is read in the source of a module that an event chooses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from casemate.guard.core import Guard
from casemate.guard.evaluation import plain_modules

CIRCLE = "import math\nfrom dataclasses import dataclass\n@dataclass\nclass Circle:\n    r: float\n"
PLAIN = {
    "types": f"{CIRCLE}    def area(self):\n        return math.pi * self.r\n",
    "type of a text": "class Tag:\n    def __init__(self, name):\n        self.name = name\n",
    "function": "def run(t):\n    return t.upper()\n",
    "module": "import math\ndef run(t):\n    return math.sqrt(len(t))\n",
    "pattern": "import re\nWORD = re.compile(r'\\w+')\ndef run(t):\n    return WORD.findall(t)\n",
    "table of text": (
        "import csv\nimport io\n\ndef run(rows):\n    out = io.StringIO()\n"
        "    csv.writer(out, lineterminator='\\n').writerows(rows)\n    return out.getvalue()\n"
    ),
    "table of text by a name": (
        "import csv\nfrom io import StringIO\n\ndef run(rows):\n    out = StringIO()\n"
        "    table = csv.DictWriter(out, list(rows[0]))\n    table.writeheader()\n"
        "    for row in rows:\n        table.writerow(row)\n    return out.getvalue()\n"
    ),
    "rows of a text": (
        "import csv, io\n\ndef run(t):\n    return list(csv.reader(io.StringIO(t)))\n"
    ),
    "digest": (
        "import base64, hashlib\n\ndef run(t):\n"
        "    return base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()\n"
    ),
    "quoted": "from urllib.parse import quote\ndef run(t):\n    return quote(t)\n",
    "table": "def a(t):\n    return t\nTABLE = {'a': a}\nWIDTH = 3\n_UNIT = 'cm'\n",
    "class": (
        "class Side:\n    def __init__(self, n):\n        self.n = n\n"
        "    def twice(self):\n        return self.n * 2\n"
    ),
    "its own functions by their names": (
        "STEPS = ['tasks:clean', 'tasks.clean', 'clean']\n\n\ndef clean(t):\n    return t\n"
    ),
    "enum": "from enum import Enum\nclass Kind(Enum):\n    A = 'a'\n",
}
REACHING = {
    "import beside types": f"import os\n{CIRCLE}",
    "text beside types": f"{CIRCLE}KEY = 'secret'\n",
    "file of a type": f"{CIRCLE}    def read(self):\n        return open(self.r).read()\n",
    "import of a type": f"{CIRCLE}    def a(self):\n        import os\n        return os.sep\n",
    "code of a type": f"{CIRCLE}    def run(self):\n        return (lambda: eval(self.r))()\n",
    "programs beside types": f"from subprocess import Popen\n{CIRCLE}",
    "program of a type": "import math\nclass Run:\n    go = __import__('os').system\n",
    "statement of a type": (
        "class Job:\n    def __init__(self, sql):\n        self.sql = sql\n"
        "    def run(self, connection):\n        return connection.execute(self.sql)\n"
    ),
    "import": "import os\n",
    "a file of a digest": "import hashlib\ndef run(t):\n    return hashlib.io.open(t)\n",
    "a URL": "from urllib.request import urlopen\ndef run(t):\n    return urlopen(t)\n",
    "opened by io": "import io\ndef run(t):\n    return io.open(t).read()\n",
    "a file of io": "import io\ndef run(t):\n    return io.FileIO(t).read()\n",
    "a file of io by a name": "from io import FileIO\ndef run(t):\n    return FileIO(t).read()\n",
    "writing to a parameter": "def run(t):\n    t.write('x')\n",
    "a table written to a parameter": (
        "import csv\ndef run(t):\n    csv.writer(t).writerow(['x'])\n"
    ),
    "a file by two ways": (
        "import io\ndef run(t):\n    out = io.StringIO()\n    out = t\n    out.write('x')\n"
    ),
    "a file that a loop takes": (
        "import io\ndef run(t):\n    out = io.StringIO()\n    for out in t:\n"
        "        out.write('x')\n"
    ),
    "a module of csv": "import csv\ndef run(t):\n    return csv.register_dialect\n",
    "import within": "def run(t):\n    import socket\n    return t\n",
    "sibling": "from . import other\n",
    "module of a module": "from json import codecs\n",
    "all of a module": "from math import *\n",
    "module of one by attribute": "import re\ndef run(t):\n    return re.enum\n",
    "module as a value": "import json\ndef run(t):\n    return json\n",
    "built-in": "def run(t):\n    return eval(t)\n",
    "built-in by a name": "run = open\n",
    "special attribute": "def run(t):\n    return t.__class__.__mro__\n",
    "call of a parameter": "def run(t):\n    return t('x')\n",
    "method that is no data's": "def run(t):\n    return t.execute('x')\n",
    "method by a name": "def run(t):\n    f = t.execute\n    return f('x')\n",
    "method of an own name": "class A:\n    def execute(self, t):\n        return t.execute('x')\n",
    "change of a parameter": "def run(t):\n    t.clear()\n",
    "item of a parameter": "def run(t):\n    t['a'] = 1\n",
    "field of a parameter": "def run(t):\n    t.a = 1\n",
    "deletion": "def run(t):\n    del t['a']\n",
    "text": "PLACE = 'x'\n",
    "text in a list": "PLACES = ['x']\n",
    "a text that ends with a function's name": (
        "KEY = 's3cret pw:clean'\ndef clean(t):\n    return t\n"
    ),
    "a function of another module by its name": (
        "STEPS = ['tasks:wipe']\ndef clean(t):\n    return t\n"
    ),
    "call at the beginning": "def a():\n    return 'x'\nPLACE = a()\n",
    "secret": "TOKEN = 3\n",
    "secret of a class": "class A:\n    password = 'x'\n",
    "no Python": "def run(:\n",
    "long": "#" * 70_000,
    "many parts": "A = 1\n" * 3000,
}


def _chosen(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> bool:
    (folder / "plain_tool_module.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return plain_modules.is_chosen_freely(Guard(str(folder)), "plain_tool_module")


@pytest.mark.parametrize("name", PLAIN)
def test_module_that_calculates(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _chosen(tmp_path, monkeypatch, PLAIN[name])


@pytest.mark.parametrize("name", REACHING)
def test_module_that_reaches_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not _chosen(tmp_path, monkeypatch, REACHING[name])


@pytest.mark.parametrize("name", ["math", "json", "sys", "json.tool", "..x", "", "a.b.c.d.e"])
def test_module_of_others(name: str, tmp_path: Path) -> None:
    assert not plain_modules.is_chosen_freely(Guard(str(tmp_path)), name)


def test_module_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plain_package"
    package.mkdir()
    (package / "tool.py").write_text(PLAIN["function"])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    guard = Guard(str(tmp_path))
    assert plain_modules.is_chosen_freely(guard, "plain_package.tool")
    (package / "__init__.py").write_text("import os\n")
    assert not plain_modules.is_chosen_freely(guard, "plain_package.tool")


def test_looking_into_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(str(tmp_path))
    (tmp_path / "plain_tool_module.py").write_text(PLAIN["module"])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    guard.constants.add_code(compile("from operator import attrgetter", "app", "exec"))
    assert not plain_modules.is_chosen_freely(guard, "plain_tool_module")
