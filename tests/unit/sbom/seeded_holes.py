"""Applications with a seeded hole each, of which it is known whether the code comes to it.

A way to a function times a place where that way is. `TARGET` stands for the module of the hole.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

HIT = 'print("HIT")'
HOLE = f"""
class Base:
    def inherited(self):
        {HIT}

    @classmethod
    def run_all(cls):
        for each in cls.__subclasses__():
            getattr(each(), "run", print)()

class Sub(Base):
    def run(self):
        {HIT}

class Hole(Base):
    def method(self):
        {HIT}
    @classmethod
    def by_class(cls):
        {HIT}
    @staticmethod
    def static(text):
        {HIT}
    @property
    def prop(self):
        {HIT}
    def __call__(self):
        {HIT}
    def __enter__(self):
        {HIT}
    def __exit__(self, *error):
        pass
    def __hidden(self):
        {HIT}
    def visit_hole(self):
        {HIT}

def hole(*given, **named):
    {HIT}
    return given

async def later():
    {HIT}

def made():
    {HIT}
    yield 1

class Parser(__import__("html.parser").parser.HTMLParser):
    def handle_starttag(self, tag, attributes):
        {HIT}

class Hook:
    def __init_subclass__(cls):
        {HIT}

def load(text):
    {HIT}
"""

REACHED: dict[str, tuple[str, str]] = {
    "call": ("hole", "import pkg.deep as d\nd.hole()"),
    "dotted": ("hole", "import pkg.deep\npkg.deep.hole()"),
    "from": ("hole", "from pkg.deep import hole\nhole()"),
    "from as": ("hole", "from pkg.deep import hole as other\nother(1)"),
    "star": ("hole", "from pkg.deep import *\nhole()"),
    "module": ("hole", "from pkg import deep\ndeep.hole()"),
    "re-exported": ("hole", "from pkg.exported import renamed\nrenamed()"),
    "re-exported by name": ("hole", "import pkg.exported\npkg.exported.hole()"),
    "in a list": ("hole", "from pkg.deep import hole\n[f() for f in (hole,)]"),
    "in a dict": ("hole", "import pkg.deep\n{'a': pkg.deep.hole}['a']()"),
    "handed over": ("hole", "from pkg.deep import hole\nlist(map(hole, [1]))"),
    "partial": ("hole", "import functools\nfrom pkg.deep import hole\nfunctools.partial(hole)()"),
    "key": ("hole", "from pkg import deep\nsorted([1, 2], key=deep.hole)"),
    "thread": (
        "hole",
        "import threading\nfrom pkg.deep import hole\n"
        "t = threading.Thread(target=hole)\nt.start()\nt.join()",
    ),
    "by getattr": ("hole", "import pkg.deep\ngetattr(pkg.deep, 'hole')()"),
    "by a prefix": (
        "Hole.visit_hole",
        "from pkg.deep import Hole\ngetattr(Hole(), f'visit_{\"hole\"}')()",
    ),
    "by a sum": (
        "Hole.visit_hole",
        "from pkg.deep import Hole\ngetattr(Hole(), 'visit_' + 'hole')()",
    ),
    "by a text": (
        "hole",
        "import importlib\nm, _, f = 'pkg.deep:hole'.partition(':')\n"
        "getattr(importlib.import_module(m), f)()",
    ),
    "by import_module": ("hole", "import importlib\nimportlib.import_module('pkg.deep').hole()"),
    "by __import__": ("hole", "__import__('pkg.deep').deep.hole()"),
    "late": ("hole", "def f():\n    from pkg.deep import hole\n    hole()\nf()"),
    "tried": (
        "hole",
        "try:\n    from pkg.deep import hole\nexcept ImportError:\n    hole = None\nhole()",
    ),
    "replaced": ("hole", "import pkg.deep, json\njson.loads = pkg.deep.hole\njson.loads('1')"),
    "named anew": ("hole", "import pkg.deep as d\ng = d.hole\ng()"),
    "default": ("hole", "from pkg.deep import hole\ndef f(g=hole):\n    g()\nf()"),
    "attribute": ("hole", "from pkg.deep import hole\nclass A:\n    run = hole\nA().run()"),
    "lambda": ("hole", "from pkg.deep import hole\n(lambda: hole())()"),
    "awaited": ("later", "import asyncio\nfrom pkg.deep import later\nasyncio.run(later())"),
    "generated": ("made", "from pkg.deep import made\nlist(made())"),
    "method": ("Hole.method", "from pkg.deep import Hole\nHole().method()"),
    "by class": ("Hole.by_class", "import pkg.deep as d\nd.Hole.by_class()"),
    "static": ("Hole.static", "import pkg.deep as d\nd.Hole.static('')"),
    "property": ("Hole.prop", "import pkg.deep as d\nd.Hole().prop"),
    "called": ("Hole.__call__", "from pkg.deep import Hole\nHole()()"),
    "entered": ("Hole.__enter__", "from pkg.deep import Hole\nwith Hole():\n    pass"),
    "inherited": ("Base.inherited", "from pkg.deep import Hole\nHole().inherited()"),
    "of a subclass": (
        "Hole.method",
        "from pkg.deep import Hole\nclass Mine(Hole):\n    def method(self):\n"
        "        super().method()\nMine().method()",
    ),
    "by a factory": ("Hole.method", "import pkg.factory\npkg.factory.make().method()"),
    "within": ("hole", "import pkg.factory\npkg.factory.through()"),
    "protocol": ("Parser.handle_starttag", "from pkg.deep import Parser\nParser().feed('<a>')"),
    "subclassed": ("Hook.__init_subclass__", "from pkg.deep import Hook\nclass A(Hook):\n    pass"),
    "registered": ("decorated.listener", "import pkg.decorated\npkg.decorated.fire()"),
    "at import": ("early", "import pkg.early"),
    "matched": (
        "Hole.prop",
        "from pkg.deep import Hole\nmatch Hole():\n    case Hole(prop=x):\n        pass",
    ),
    "star of a package": ("hole", "from star import *\nfar.hole()"),
    "by a private name": ("Hole.__hidden", "from pkg.deep import Hole\nHole()._Hole__hidden()"),
    "by an own decorator": ("cached.kept", "import pkg.cached\npkg.cached.fire()"),
    "in a match": ("matched.one", "import pkg.matched\npkg.matched.fire()"),
    "as another": ("load", "import pkg.deep as json\njson.load('')"),
}
"""What the hole is in `pkg.deep`, or where it is in `pkg`, and code that comes to it."""

UNREACHED: dict[str, tuple[str, str]] = {
    "nothing imported": ("hole", "x = 1"),
    "another module": ("hole", "import pkg.other\npkg.other.fine()"),
    "another function": ("hole", "from pkg.deep import later\nlater"),
    "in a comment": ("hole", "import pkg.deep  # pkg.deep.hole()"),
    "in a sentence": ("hole", "import pkg.deep\n'call the hole of it'"),
    "own of that name": ("hole", "import pkg.deep\ndef hole():\n    pass\nhole()"),
    "of the interpreter": ("load", "import pkg.deep\nimport json, io\njson.load(io.StringIO('1'))"),
    "a class that nobody makes": (
        "Hole.method",
        "import pkg.deep\nimport pkg.alike\npkg.alike.Fine().method()",
    ),
    "through what is not called": ("hole", "import pkg.factory\npkg.factory.fine()"),
    "in a list of names": ("listed.hole", "import pkg.listed\npkg.listed.fine()"),
    "itself alone": ("recursive.again", "import pkg.recursive\npkg.recursive.fine()"),
    "of its tests": ("tests.check.run", "import pkg.other\npkg.other.fine()"),
    "a method": ("Hole.static", "from pkg.deep import Hole\nHole().method"),
}
UNKNOWN: dict[str, tuple[str, str]] = {
    "by a relative name": (
        "hole",
        "import importlib\nimportlib.import_module('.deep', 'pkg').hole()",
    ),
    "of all subclasses": ("Sub.run", "from pkg.deep import Base\nBase.run_all()"),
    "of all members": (
        "hole",
        "import inspect, pkg.one\nfor n, f in inspect.getmembers(pkg.one, inspect.isfunction):\n"
        "    f()",
    ),
    "below sys.path": (
        "hole",
        "import sys, os, pkg\nsys.path.append(os.path.dirname(pkg.__file__))\n"
        "import deep\ndeep.hole()",
    ),
    "from an event": ("hole", "import pkg.deep\ngetattr(pkg.deep, 'HO' .lower() + 'le')()"),
    "evaluated": ("hole", "import pkg.deep\neval('pkg.' + 'deep.ho' + 'le')()"),
    "a module from data": (
        "hole",
        "import importlib\nimportlib.import_module('pkg.' + 'de' + 'ep')",
    ),
    "unpickled": ("hole", "import pkg.deep, pickle\npickle.dumps(1)"),
}
"""What nobody can tell by reading: it may be one or the other, but not out of reach."""

PKG = {
    "pkg/__init__.py": "",
    "pkg/deep.py": HOLE,
    "pkg/exported.py": "from .deep import hole\nfrom .deep import hole as renamed\n",
    "pkg/other.py": "def fine():\n    return 1\n",
    "pkg/alike.py": "class Fine:\n    def method(self):\n        return 1\n",
    "pkg/factory.py": (
        "from . import deep\ndef make():\n    return deep.Hole()\n"
        "def through():\n    return _inner()\ndef _inner():\n    return deep.hole()\n"
        "def fine():\n    return 2\n"
    ),
    "pkg/decorated.py": (
        "LISTENERS = []\ndef on(function):\n    LISTENERS.append(function)\n    return function\n"
        f"@on\ndef listener():\n    {HIT}\ndef fire():\n    for one in LISTENERS:\n        one()\n"
    ),
    "pkg/one.py": "from .deep import hole\n",
    "star/__init__.py": "__all__ = ['far']\n",
    "star/far.py": "from pkg.deep import hole\n",
    "pkg/cached.py": (
        "KEPT = []\ndef cache(function):\n    KEPT.append(function)\n    return None\n"
        f"@cache\ndef kept():\n    {HIT}\ndef fire():\n    for one in KEPT:\n        one()\n"
    ),
    "pkg/matched.py": (
        "DO = []\nmatch 1:\n    case 1:\n        @DO.append\n"
        f"        def one():\n            {HIT}\ndef fire():\n    DO[0]()\n"
    ),
    "pkg/early.py": HIT + "\n",
    "pkg/listed.py": (
        f"__all__ = ['hole', 'fine']\ndef hole():\n    {HIT}\ndef fine():\n    return 1\n"
    ),
    "pkg/recursive.py": (
        f"def again(n):\n    {HIT}\n    return again(n - 1)\ndef fine():\n    return 1\n"
    ),
    "pkg/tests/__init__.py": "",
    "pkg/tests/check.py": f"def run():\n    {HIT}\nrun()\n",
}
PLACES = ("handler", "own module", "package", "two packages")
"""Where the way is: in the handler, in a module of the function, in a package that it calls."""


class Case(NamedTuple):
    """One application."""

    name: str
    symbol: str
    files: dict[str, str]
    runs: bool | None
    """Whether the handler comes to the hole; None: by what no reader sees."""


def cases() -> Iterator[Case]:
    """Give every way at every place."""
    for runs, ways in ((True, REACHED), (False, UNREACHED), (None, UNKNOWN)):
        for name, (hole, code) in ways.items():
            places = PLACES if runs is not None else PLACES[:2]
            for place in places:
                yield _case(f"{name}, {place}", hole, code, place, runs)


def drawn(seed: int, count: int) -> Iterator[Case]:
    """Give applications of several ways, of which one comes to the hole or none, among others."""
    chance = random.Random(seed)
    for number in range(count):
        runs = chance.random() < 0.5
        hole, code = chance.choice(list((REACHED if runs else UNREACHED).values()))
        case = _case(f"drawn {number}", hole, code, chance.choice(PLACES), runs)
        files = dict(case.files)
        for other in range(chance.randrange(4)):
            files[f"deps/noise{other}.py"] = _noise(chance, other)
        files["code/app.py"] += "".join(
            f"\nimport noise{n}" for n in range(4) if f"deps/noise{n}.py" in files
        )
        yield case._replace(files=files)


def _noise(chance: random.Random, number: int) -> str:
    names = [f"fn_{number}_{n}" for n in range(chance.randrange(1, 6))]
    return "\n".join(
        f"def {name}(a=None):\n    return {chance.choice([*names, 'len', 'str'])}\n"
        for name in names
    )


def _case(name: str, hole: str, code: str, place: str, runs: bool | None) -> Case:
    body = "\n".join("    " + line for line in _without_stars(code).split("\n"))
    stars = "".join(f"{line}\n" for line in code.split("\n") if line.endswith("import *"))
    way = f"{stars}def way():\n{body}\n"
    call = "def handler(event, context):\n"
    files = {f"deps/{path}": text for path, text in PKG.items()}
    if place == "handler":
        files["code/app.py"] = f"{way}{call}    way()\n"
    elif place == "own module":
        files["code/app.py"] = f"from part import inner\n{call}    inner.way()\n"
        files |= {"code/part/__init__.py": "", "code/part/inner.py": way}
    else:
        files["code/app.py"] = f"import client\n{call}    client.do()\n"
        if place == "package":
            files["deps/client.py"] = f"{way}def do():\n    return way()\n"
        else:
            files["deps/client.py"] = "from wire import Wire\ndef do():\n    return Wire().send()\n"
            files["deps/wire.py"] = f"{way}class Wire:\n    def send(self):\n        return way()\n"
    modules = ("cached", "decorated", "early", "listed", "matched", "recursive", "tests")
    symbol = f"pkg.{hole}" if hole.partition(".")[0] in modules else f"pkg.deep.{hole}"
    return Case(name, symbol, files, runs)


def _without_stars(code: str) -> str:
    """Return code that can stand in a function, where nothing imports all of a module."""
    return "\n".join("pass" if line.endswith("import *") else line for line in code.split("\n"))
