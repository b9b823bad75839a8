"""Handlers that read literals, choose and dispatch."""

from support.guard_corpus import Program, body

HOSTILE = [
    "__import__('os').system('id')",
    "1 + 1",
    "os",
    "{0.__class__}",
    "lambda: 1",
    "eval",
    "handler",
]


def each(key):
    return [{key: h} for h in HOSTILE]


PROGRAMS = {
    "literal_eval": Program(
        """
import ast
def handler(event, context):
    try: return ast.literal_eval(event["v"])
    except (ValueError, SyntaxError): return None
""",
        benign=[*each("v"), {"v": "{'a': [1, 2]}"}],
    ),
    "dictionary of functions": Program(
        """
import operator
OPS = {"+": operator.add, "-": operator.sub}
def handler(event, context):
    op = OPS.get(event["op"])
    return op(2, 3) if op else 400
""",
        benign=[*each("op"), {"op": "+"}],
    ),
    "arithmetic by a pattern": Program(
        """
import re
def handler(event, context):
    e = event["e"]
    if not re.fullmatch(r"[0-9+\\-*/(). ]{1,50}", e): return 400
    return eval(e)
""",
        benign=[*each("e"), {"e": "(1 + 2) * 3"}],
    ),
    "own tree": Program(
        """
import ast, operator
OPS = {ast.Add: operator.add, ast.Mult: operator.mul, ast.Sub: operator.sub}
def walk(n):
    if isinstance(n, ast.Expression): return walk(n.body)
    if isinstance(n, ast.Constant) and isinstance(n.value, (int, float)): return n.value
    if isinstance(n, ast.BinOp): return OPS[type(n.op)](walk(n.left), walk(n.right))
    raise ValueError("unsupported")
def handler(event, context):
    return walk(ast.parse(event["e"], mode="eval"))
""",
        benign=[*each("e"), {"e": "2*(3+4)"}],
    ),
    "plugins by name": Program(
        """
import importlib
PLUGINS = {"json": "json", "csv": "csv"}
def handler(event, context):
    if event["p"] not in PLUGINS: return 404
    return importlib.import_module(PLUGINS[event["p"]]).__name__
""",
        benign=[*each("p"), {"p": "csv"}],
    ),
    "own methods": Program(
        """
class Actions:
    def do_ping(self): return "pong"
    def do_list(self): return []
def handler(event, context):
    method = getattr(Actions(), "do_" + event["action"], None)
    return method() if method else 404
""",
        benign=[{"action": "ping"}, {"action": "list"}, {"action": "x"}, {"action": "__class__"}],
    ),
    "fields of a data class": Program(
        """
from dataclasses import dataclass, fields
@dataclass
class User:
    name: str = "ada"
    mail: str = "a@b.c"
def handler(event, context):
    names = {f.name for f in fields(User)}
    return {n: getattr(User(), n) for n in event["fields"].split(",") if n in names}
""",
        benign=[{"fields": "name,mail,__class__"}, {"fields": "mail"}],
    ),
    "constant template": Program(
        """
TEMPLATE = "Dear {name}, your order {order[id]} is ready"
def handler(event, context):
    return TEMPLATE.format(name=event["name"], order={"id": event["id"]})
""",
        benign=[{"name": h, "id": 1} for h in HOSTILE],
    ),
    "data in format and percent": Program(
        """
def handler(event, context):
    return "%s|{}|{!r:>5}".format(event["v"], event["v"]) % event["v"] + f"{event['v']:>10}"
""",
        benign=[{"v": h} for h in HOSTILE if "{" not in h],
    ),
    "named tuple": Program(
        """
from collections import namedtuple
from dataclasses import make_dataclass
Point = namedtuple("Point", "x y")
def handler(event, context):
    Row = namedtuple("Row", ["a", "b"])
    D = make_dataclass("D", ["a"])
    return str(Row(event["v"], 1)) + repr(D(event["v"])) + str(Point(1, event["v"])._replace(x=2))
""",
        benign=[*each("v"), {"v": "a"}, {"v": "Row"}],
    ),
    "columns of the event in a named tuple": Program(
        """
import csv, io
from collections import namedtuple
def handler(event, context):
    rows = csv.reader(io.StringIO(event["csv"]))
    Row = namedtuple("Row", next(rows), rename=True)
    return [Row(*r)._asdict() for r in rows]
""",
        benign=[{"csv": "id,name,class\n1,ada,x\n"}, {"csv": "a b,import\n1,2\n"}],
    ),
    "json": Program(
        """
import json
def handler(event, context):
    return sorted(json.loads(event["body"]).items())
""",
        benign=[body(a="__import__('os')", b="eval")],
    ),
    "enum by value, by name": Program(
        """
from enum import Enum
class Color(Enum):
    RED = 1
    BLUE = 2
def handler(event, context):
    try: return Color[event["c"].upper()].value
    except KeyError: return 400
""",
        benign=[*each("c"), {"c": "red"}],
    ),
    "pandas with local": Program(
        """
import pandas as pd
def handler(event, context):
    df = pd.DataFrame({"a": ["x", "y"], "b": [3, 4]})
    wanted = event["v"]
    return df.query("a == @wanted and b > 0").shape, df[df["a"] == wanted].shape
""",
        benign=each("v"),
    ),
    "string.Template": Program(
        """
from string import Template
def handler(event, context):
    return Template("Hello $name").substitute(name=event["v"]) + Template(event["v"]).safe_substitute(a=1)
""",
        benign=each("v"),
    ),
    "late import": Program(
        """
def handler(event, context):
    import colorsys, sched
    from wsgiref import util
    return [colorsys.__name__, event["v"]]
""",
        benign=[{"v": "colorsys"}, {"v": "wsgiref.util"}, {"v": "import colorsys"}],
    ),
}
