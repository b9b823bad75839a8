"""Handlers that evaluate what the event brings."""

from support.guard_corpus import Program, b64, body, sns, sqs

IMPORT = "__import__('os').getcwd()"
PROGRAMS = {
    "eval": Program(
        """
import json
def handler(event, context):
    return eval(json.loads(event["body"])["expression"])
""",
        [
            body(expression=IMPORT),
            body(expression="[c for c in ().__class__.__base__.__subclasses__()]"),
        ],
        [body(expression="12")],
    ),
    "calculator with no builtins": Program(
        """
import math
NAMES = {k: getattr(math, k) for k in dir(math) if not k.startswith("_")}
def handler(event, context):
    return eval(event["f"], {"__builtins__": {}}, NAMES)
""",
        [{"f": "().__class__.__mro__[1].__subclasses__()"}],
    ),
    "exec": Program(
        """
def handler(event, context):
    scope = {}
    exec("def rule(x):\\n    return " + event["rule"], scope)
    return scope["rule"](3)
""",
        [{"rule": IMPORT}, {"rule": "1\nimport os"}],
        [{"rule": "5"}],
    ),
    "lambda": Program(
        """
def make(op, n): return eval(f"lambda v: v {op} {n}")
def handler(event, context):
    return [v for v in (1, 2, 3) if make(event["op"], event["n"])(v)]
""",
        [{"op": "and __import__('os') or", "n": 1}, {"op": ">", "n": IMPORT}],
        [{"op": ">", "n": 2}],
    ),
    "compile": Program(
        """
def handler(event, context):
    code = compile(event["code"].strip(), "<user>", "exec")
    env = {}
    exec(code, env)
    return str(env.get("result"))
""",
        [{"code": "  import os\nresult = os.getpid()"}],
    ),
    "import of a module": Program(
        """
import importlib
def handler(event, context):
    mod = importlib.import_module(event["plugin"])
    return mod.__name__
""",
        [{"plugin": "antigravity_none"}, {"plugin": "os"}, {"plugin": "subprocess"}],
    ),
    "dotted path": Program(
        """
import importlib
def load(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
def handler(event, context):
    return load(event["callback"])(*event["args"])
""",
        [{"callback": "os.getcwd", "args": []}, {"callback": "os.path.exists", "args": ["/"]}],
    ),
    "getattr of a module": Program(
        """
import os
def handler(event, context):
    return getattr(os, event["op"])(event["arg"])
""",
        [{"op": "listdir", "arg": "."}, {"op": "stat", "arg": "/"}],
    ),
    "special attribute": Program(
        """
class User:
    def __init__(self): self.name = "ada"
def handler(event, context):
    value = User()
    for part in event["path"].split("."): value = getattr(value, part)
    return str(value)
""",
        [{"path": "__class__.__init__.__globals__"}],
        [{"path": "name"}],
    ),
    "format": Program(
        """
class Order:
    def __init__(self): self.id = 3; self.total = 4
SECRET = "s"
def handler(event, context):
    return event["template"].format(order=Order())
""",
        [
            {"template": "{order.__init__.__globals__[SECRET]}"},
            {"template": "{order.__class__.__mro__}"},
        ],
        [{"template": "no fields"}],
    ),
    "base64": Program(
        """
import base64
def handler(event, context):
    return eval(base64.b64decode(event["e"]))
""",
        [{"e": b64(IMPORT)}],
    ),
    "globals": Program(
        """
import os
def ping(): return "pong"
def handler(event, context):
    return globals()[event["action"]]()
""",
        [{"action": "handler"}, {"action": "__builtins__"}, {"action": "os"}],
    ),
    "pandas eval": Program(
        """
import pandas as pd
def handler(event, context):
    df = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    return df.query("a > " + event["min"]).shape
""",
        [{"min": "@pd.io.common.os.getpid()"}, {"min": "0 and b < 1"}],
        [{"min": "1"}],
    ),
    "quotes stripped": Program(
        """
def handler(event, context):
    v = event["v"].replace('"', "").replace("'", "")
    return eval("len(" + v + ")")
""",
        [{"v": "globals())or(str(1)"}, {"v": "dir(__builtins__)"}],
    ),
    "queue, rule engine": Program(
        """
import json
class Engine:
    def __init__(self, rules): self.rules = rules
    def check(self, fact): return all(eval("fact['%s'] %s %r" % (r["field"], r["op"], r["value"])) for r in self.rules)
def handler(event, context):
    return [Engine(json.loads(r["body"])["rules"]).check({"age": 3}) for r in event["Records"]]
""",
        [
            sqs(
                {
                    "rules": [
                        {
                            "field": "age'] or __import__('os').getpid() or fact['age",
                            "op": ">",
                            "value": 1,
                        }
                    ]
                }
            ),
            sqs({"rules": [{"field": "age", "op": "or __import__('os') or", "value": 1}]}),
        ],
        [sqs({"rules": [{"field": "age", "op": ">", "value": 1}]})],
    ),
    "timeit": Program(
        """
import timeit
def handler(event, context):
    return timeit.timeit(stmt="sorted(%s)" % event["data"], number=1) >= 0
""",
        [{"data": "__import__('os').listdir()"}],
        [],
    ),
    "topic, parts": Program(
        """
import json
def handler(event, context):
    m = json.loads(event["Records"][0]["Sns"]["Message"])
    return eval("".join([m["left"], m["op"], m["right"]]))
""",
        [
            sns({"left": "__imp", "op": "ort__", "right": "('os')"}),
            sns({"left": "1", "op": "+", "right": "open('/etc/hostname').read()"}),
        ],
    ),
}
