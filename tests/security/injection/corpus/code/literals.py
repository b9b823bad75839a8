"""Values in literals that the code made well or badly, numbers with a sign, names in a row."""

from support.guard_corpus import Program

_RUNS = "__import__('os').getpid()"
_TEXTS = [
    "O'Brien",
    "'; x = 1 #",
    "\"'\\",
    "\\",
    "\\'",
    "a\nb",
    '"""',
    "{name!r}",
    _RUNS,
    "",
    "\u2028",
]

PROGRAMS = {
    "repr": Program(
        """
def handler(event, context):
    return eval("{'name': %r, 'age': %r}" % (event["n"], event["m"]))["name"] == event["n"]
""",
        (),
        [{"n": text, "m": 1} for text in _TEXTS] + [{"n": "x", "m": text} for text in _TEXTS],
    ),
    "quotes around": Program(
        """
def handler(event, context):
    return eval("{'name': '%s', 'note': '%s'}" % (event["n"], event["m"]))["name"]
""",
        [
            {"n": f"' + str({_RUNS}) + '", "m": ""},
            {"n": "\\", "m": f": 1, 'x': {_RUNS}}} #"},
            {"n": "\\", "m": f" + str({_RUNS})}} #", "o": "', "},
        ],
        [{"n": "Ada", "m": "1; import os"}, {"n": "{x}", "m": "# no"}],
    ),
    "formatted literal": Program(
        '''
def handler(event, context):
    name = event["n"]
    return eval(f\'f"""Dear {{name}}, {event["t"]}"""\')
''',
        [{"n": "x", "t": f"{{{_RUNS}}}"}, {"n": "x", "t": '""" + str(1) + f"""'}],
        [{"n": "O'Brien", "t": "hello"}, {"n": "{x}", "t": "it's 5 o'clock"}],
    ),
    "sign": Program(
        """
def handler(event, context):
    return eval(f"max(0, {event['n']} * 2)")
""",
        [{"n": f"-1, {_RUNS}"}, {"n": f"-{_RUNS}"}, {"n": "--x"}],
        [{"n": "-4"}, {"n": " 3 "}, {"n": "+2.5"}, {"n": "1e3"}, {"n": -7}],
    ),
    "sign before a power": Program(
        """
def handler(event, context):
    return eval("%s ** 2" % event["n"])
""",
        [{"n": "-3"}],
        [{"n": "3"}, {"n": "2.5"}],
    ),
    "query": Program(
        """
import pandas as pd
def handler(event, context):
    rows = pd.DataFrame({"age": [1, 5]})
    return rows.query(f"age > {event['n']}").shape[0]
""",
        [{"n": "-1 or age < 9"}, {"n": "@pd.io"}],
        [{"n": "-1"}, {"n": "2"}],
    ),
    "indented": Program(
        """
def handler(event, context):
    names = {}
    exec("if False:\\n    x = 1\\n" + event["n"] + "x = 2", names)
    return names.get("x")
""",
        [{"n": "    "}],
        [{"n": ""}],
    ),
    "attributes in a row": Program(
        """
import functools
class Users:
    size = 3
class Api:
    users = Users()
def handler(event, context):
    return repr(functools.reduce(getattr, event["path"].strip("/").split("/"), Api()))
""",
        [{"path": "/users/__class__"}, {"path": "/users/__init__/__globals__"}],
        [{"path": "/users/size"}, {"path": "/users/"}],
    ),
}
