"""Code in handlers of every style: data that becomes Python, names or formats; and safe twins."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from support.guard_cases import Cases, placed, run

CODE = "__import__('os').getcwd()"
_B64 = base64.b64encode(CODE.encode()).decode()
SHOP = (
    "class Shop:\n    def __init__(self):\n        self.name, self.supplier = 'Purl', 'ann'\n"
    "        self.owner = {'phone': '+49'}\n    def __str__(self): return self.name\n"
)

VULNERABLE: Cases = {
    "eval": ("return eval(event['e'])", {"e": CODE}),
    "eval arithmetic": ("return eval(event['e'])", {"e": "2 ** 3 + len(dir())"}),
    "eval f-string": ("return eval(f'1 + {event[\"e\"]}')", {"e": CODE}),
    "eval of a quoted value": (
        "return eval(f\"len('{event['e']}')\")",
        {"e": "') or " + CODE + " or ('"},
    ),
    "a tree that nobody has looked at, beside a check that another function has": (
        """
        import ast
        def check(node):
            match node:
                case ast.Expression() | ast.Constant() | ast.BinOp():
                    return
                case _:
                    raise ValueError
        def other(text):
            check(ast.parse(text))
        def handler(event, context):
            tree = ast.parse(event["e"], mode="eval")
            return eval(compile(tree, "<e>", "eval"))
        """,
        {"e": CODE},
    ),
    "a tree of which only the kind of its root was asked": (
        """
        import ast
        def handler(event, context):
            tree = ast.parse(event["e"], mode="eval")
            if not isinstance(tree, ast.Expression):
                raise ValueError
            return eval(compile(tree, "<e>", "eval"))
        """,
        {"e": CODE},
    ),
    "a tree that a function names kinds of and refuses none": (
        """
        import ast
        def told(node):
            return "sum" if isinstance(node.body, (ast.BinOp, ast.Call)) else "value"
        def handler(event, context):
            tree = ast.parse(event["e"], mode="eval")
            print(told(tree))
            return eval(compile(tree, "<e>", "eval"))
        """,
        {"e": CODE},
    ),
    "eval without built-ins": (
        "return eval(event['e'], {'__builtins__': {}}, {})",
        {"e": "().__class__.__base__.__subclasses__()"},
    ),
    "eval of a name": ("secret = 'x'\nreturn eval(event['e'])", {"e": "secret"}),
    "eval stripped": ("return eval(event['e'].strip().replace('\\n', ' '))", {"e": "  " + CODE}),
    "eval denylist": (
        "if 'import os' in event['e']: raise ValueError\nreturn eval(event['e'])",
        {"e": CODE},
    ),
    "exec": ("exec(event['e'])", {"e": "import os\nos.getcwd()"}),
    "exec f-string": ("ns = {}\nexec(f'x = {event[\"e\"]}', ns)\nreturn ns['x']", {"e": CODE}),
    "exec function": (
        "ns = {}\nexec('def f(a):\\n    return ' + event['e'], ns)\nreturn ns['f'](1)",
        {"e": "a.__class__"},
    ),
    "exec assignment": ("exec('%s = %r' % (event['k'], 1))", {"k": "x; import os; y"}),
    "compile": ("return eval(compile(event['e'], '<x>', 'eval'))", {"e": CODE}),
    "compile exec": ("exec(compile('y = 1\\n' + event['e'], '<x>', 'exec'))", {"e": "import os"}),
    "eval by another name": ("run = eval\nreturn run(event['e'])", {"e": CODE}),
    "eval in a map": ("return list(map(eval, event['es']))", {"es": [CODE]}),
    "builtins.eval": ("import builtins\nreturn builtins.eval(event['e'])", {"e": CODE}),
    "lambda": ("return eval('lambda x: ' + event['e'])(2)", {"e": "x.__class__.__mro__"}),
    "parsed and compiled": (
        "import ast\ntree = ast.parse(event['e'], mode='eval')\nreturn eval(compile(tree, '<x>', 'eval'))",
        {"e": CODE},
    ),
    "timeit": ("import timeit\nreturn timeit.timeit(event['e'], number=1)", {"e": CODE}),
    "timeit set-up": (
        "import timeit\nreturn timeit.Timer('pass', setup='x = ' + event['e']).timeit(1)",
        {"e": CODE},
    ),
    "interpreter": (
        "import code\nreturn code.InteractiveInterpreter().runsource(event['e'])",
        {"e": CODE},
    ),
    "__import__": ("return __import__(event['m']).getcwd()", {"m": "os"}),
    "import_module": (
        "import importlib\nreturn importlib.import_module(event['m']).getcwd()",
        {"m": "os"},
    ),
    "import_module by name": (
        "from importlib import import_module\nreturn import_module(event['m'])",
        {"m": "subprocess"},
    ),
    "import leaves the package": (
        "import importlib\nreturn importlib.import_module('json.' + event['m'])",
        {"m": "decoder.scanner"},
    ),
    "module and function": (
        "import importlib\nm, f = event['target'].rsplit('.', 1)\nreturn getattr(importlib.import_module(m), f)()",
        {"target": "os.getcwd"},
    ),
    "run_module": ("import runpy\nreturn runpy.run_module(event['m'])", {"m": "this"}),
    "getattr of os": ("import os\nreturn getattr(os, event['f'])()", {"f": "getcwd"}),
    "getattr of an imported module": (
        "import json\nreturn getattr(json, event['f'])",
        {"f": "codecs"},
    ),
    "getattr special": ("class A: pass\nreturn getattr(A(), event['f'])", {"f": "__class__"}),
    "getattr path": (
        "value = 'x'\nfor step in event['p'].split('.'):\n    value = getattr(value, step)\nreturn value",
        {"p": "__class__.__mro__"},
    ),
    "getattr of builtins": (
        "import builtins\nreturn getattr(builtins, event['f'])('1')",
        {"f": "eval"},
    ),
    "attrgetter": (
        "import operator\nreturn operator.attrgetter(event['p'])('x')",
        {"p": "__class__.__mro__"},
    ),
    "globals": ("import os\nreturn globals()[event['f']]", {"f": "os"}),
    "globals get": ("import os\nreturn globals().get(event['f'])", {"f": "handler"}),
    "format": (
        "class U:\n    pass\nreturn event['t'].format(user=U())",
        {"t": "{user.__class__.__init__.__globals__}"},
    ),
    "format of a place": ("return event['t'].format('x')", {"t": "{0.__class__}"}),
    "format index": (
        "config = {'secret': 1}\nreturn event['t'].format(config=config)",
        {"t": "{config[secret]}"},
    ),
    "format of an object": (
        "config = {'secret': 1}\nreturn event['t'].format(config=config)",
        {"t": "{config}"},
    ),
    "format of an attribute beside the code's fields": (
        f"{SHOP}return ('{{shop.name}}: ' + event['t']).format(shop=Shop())",
        {"t": "warm {shop.supplier}"},
    ),
    "format of what an attribute holds": (
        f"{SHOP}return (event['t'] + ' by {{shop}}').format(shop=Shop())",
        {"t": "{shop.owner[phone]}"},
    ),
    "format_map": ("return event['t'].format_map({'u': object()})", {"t": "{u.__class__}"}),
    "format of a joined template": (
        "return ('Dear ' + event['t'] + ': {u}').format(u=object())",
        {"t": "{u.__class__}"},
    ),
    "format of an f-string": (
        "return f'{event[\"t\"]} {{u}}'.format(u=object())",
        {"t": "{u.__doc__}"},
    ),
    "string.Formatter": (
        "import string\nreturn string.Formatter().format(event['t'], u=object())",
        {"t": "{u.__class__}"},
    ),
    "format width": ("return event['t'].format(1)", {"t": "{:>99999999}"}),
    "JSON in a string": (
        "import json\nreturn eval(json.loads(event['body'])['e'])",
        {"body": json.dumps({"e": CODE})},
    ),
    "base64": ("import base64\nreturn eval(base64.b64decode(event['e']))", {"e": _B64}),
    "base64 exec": ("import base64\nexec(base64.b64decode(event['e']).decode())", {"e": _B64}),
    "URL-encoded": (
        "from urllib.parse import unquote\nreturn eval(unquote(event['e']))",
        {"e": quote(CODE)},
    ),
    "hex": ("return eval(bytes.fromhex(event['e']).decode())", {"e": CODE.encode().hex()}),
    "parts": ("return eval(event['a'] + event['b'])", {"a": "__import__('os')", "b": ".getcwd()"}),
    "joined": ("return eval(''.join(event['parts']))", {"parts": ["__import__", "('os')"]}),
    "calculator": (
        """
        class Calculator:
            def __init__(self, names):
                self.names = names
            def compute(self, formula):
                return eval(formula, {"__builtins__": None}, self.names)
        def handler(event, context):
            return Calculator({"x": 1}).compute(event["formula"])
        """,
        {"formula": "x.__class__.__bases__"},
    ),
    "filter": (
        "rows = [{'a': 1}]\nreturn [r for r in rows if eval(event['f'], {'row': r})]",
        {"f": "row.clear() or True"},
    ),
    "marshal": (
        "import base64, marshal\nexec(marshal.loads(base64.b64decode(event['c'])))",
        {"c": base64.b64encode(__import__("marshal").dumps(compile("1", "x", "exec"))).decode()},
    ),
    "pandas.eval": ("import pandas\nreturn pandas.eval(event['e'])", {"e": "1 + @x.y"}),
    "DataFrame.query": (
        "import pandas\nreturn len(pandas.DataFrame({'a': [1]}).query('a > ' + event['q']))",
        {"q": "0 or @pd.io.common.os.getcwd()"},
    ),
    "more: exec template code": (
        "T='''\ndef f():\n    return {expr}\n'''\nns={}\nexec(T.format(expr=event['e']),ns)\nreturn ns['f']()",
        {"e": "__import__('os').getcwd()"},
    ),
    "more: eval comp": (
        "return [eval(x) for x in event['xs']]",
        {"xs": ["1", "__import__('os').getcwd()"]},
    ),
    "more: eval kw": ("return eval(event['rule'], {}, {'age': 3})", {"rule": "age.__class__"}),
    "more: eval from bytes": (
        "import base64\ncode=base64.b64decode(event['e'].encode('ascii')).decode('utf-8')\nreturn eval(code)",
        {"e": "X19pbXBvcnRfXygnb3MnKS5nZXRjd2QoKQ=="},
    ),
    "more: exec csv": (
        "import csv,io\nfor row in csv.reader(io.StringIO(event['c'])):\n    exec(row[1])",
        {"c": 'a,"import os"\n'},
    ),
    "more: getattr chain": (
        "import os\nobj=os\nfor p in event['p'].split('.'):\n    obj=getattr(obj,p)\nreturn obj('x')",
        {"p": "path.exists"},
    ),
    "more: importlib dotted": (
        "import importlib\nmod,_,fn=event['h'].rpartition('.')\nreturn getattr(importlib.import_module(mod),fn)('id')",
        {"h": "os.system"},
    ),
    "more: locals": ("x=1\nreturn locals()[event['n']]", {"n": "event"}),
    "more: vars module": ("import os\nreturn vars(os)[event['n']]('.')", {"n": "listdir"}),
    "more: dict module": ("import os\nreturn os.__dict__[event['n']]('.')", {"n": "listdir"}),
    "more: type exec": ("exec('class A:\\n  x = ' + event['v'])", {"v": "__import__('os')"}),
    "more: sqlite/func eval sorted": (
        "return sorted([1,2],key=eval('lambda r: '+event['k']))",
        {"k": "__import__('os').getpid()"},
    ),
    "more: format via str.format": (
        "return str.format(event['t'],object())",
        {"t": "{0.__class__}"},
    ),
    "more: logging format style": (
        "t='{user} ' + event['suffix']\nreturn t.format(user=object())",
        {"suffix": "{user.__class__}"},
    ),
    "more: eval mult": (
        "e=event['e'].replace('x','*')\nreturn eval(e)",
        {"e": "().__class__ if 3x3 else 0"},
    ),
    "more: eval percent": (
        "return eval('%s(%s)' % (event['fn'], event['arg']))",
        {"fn": "abs", "arg": "__import__('os').getpid()"},
    ),
    "more: eval fn name": ("return eval(event['fn'] + '(1)')", {"fn": "print"}),
    "more: exec import": ("exec(f'import {event[\"m\"]}')", {"m": "os"}),
    "more: exec from": ("exec(f'from {event[\"m\"]} import *')", {"m": "os"}),
    "more: setattr exec": (
        "ns={}\nfor k,v in event['vars'].items():\n    exec(f'{k} = {v}', ns)\nreturn 1",
        {"vars": {"a": "__import__('os').getcwd()"}},
    ),
    "more: dict lookup class": (
        "import sys\nreturn getattr(sys.modules[event['m']], event['f'])('.')",
        {"m": "os", "f": "listdir"},
    ),
}
SINKS = {"code", "deserialisation"}

BENIGN: Cases = {
    "literal_eval": ("import ast\nreturn ast.literal_eval(event['e'])", {"e": "[1, {'a': 2}]"}),
    "literal_eval of code": (
        "import ast\ntry:\n    return ast.literal_eval(event['e'])\nexcept ValueError:\n    return 'refused'",
        {"e": CODE},
    ),
    "json": ("import json\nreturn json.loads(event['e'])", {"e": '{"e": "__import__"}'}),
    "eval of a constant": ("return eval('1 + 1')", {"e": CODE}),
    "eval of a number": ("return eval(f'{event[\"a\"]} + 1')", {"a": 12345}),
    "eval of checked numbers": (
        'return eval(f\'{float(event["a"])} * {int(event["b"])}\')',
        {"a": "1.5", "b": "3"},
    ),
    "eval of what a pattern allows": (
        "import re\nif not re.fullmatch(r'[\\d+*/(). -]+', event['e']): raise ValueError\nreturn eval(event['e'])",
        {"e": "2 * (3 + 4)"},
    ),
    "eval of a foreseen text": (
        "RULES = {'double': 'x * 2'}\nreturn eval(RULES[event['r']], {'x': 2})",
        {"r": "double"},
    ),
    "value as a variable": ("return eval('len(value)', {'value': event['e']})", {"e": CODE}),
    "repr": ("return eval(repr({'a': 1}))", {"e": CODE}),
    "nodes are looked at": (
        """
        import ast, operator
        OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul}
        def value(node):
            if isinstance(node, ast.Constant):
                return node.value
            if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
                return OPERATORS[type(node.op)](value(node.left), value(node.right))
            raise ValueError("not allowed")
        def handler(event, context):
            return value(ast.parse(event["e"], mode="eval").body)
        """,
        {"e": "2 * (3 + 4)"},
    ),
    "nodes are checked, then compiled": (
        """
        import ast
        ALLOWED = (ast.Expression, ast.BinOp, ast.Constant, ast.Add, ast.Mult)
        def handler(event, context):
            tree = ast.parse(event["e"], mode="eval")
            for node in ast.walk(tree):
                if not isinstance(node, ALLOWED):
                    raise ValueError("not allowed")
            return eval(compile(tree, "<e>", "eval"), {"__builtins__": {}})
        """,
        {"e": "2 * (3 + 4)"},
    ),
    "nodes are checked by match, then compiled": (
        """
        import ast
        def check(node, names):
            match node:
                case ast.Expression(body=body):
                    check(body, names)
                case ast.Constant(value=int() | float()):
                    pass
                case ast.Name(id=name) if name in names:
                    pass
                case ast.BinOp(left=left, op=ast.Add() | ast.Div(), right=right):
                    check(left, names)
                    check(right, names)
                case _:
                    raise ValueError
        def handler(event, context):
            tree = ast.parse(event["e"].strip(), mode="eval")
            check(tree, {"chest": 1})
            return eval(compile(tree, "<e>", "eval"), {"__builtins__": {}, "chest": 102})
        """,
        {"e": " chest / 8 + 6.5"},
    ),
    "nodes are checked by isinstance, in a method": (
        """
        import ast
        class Formula:
            def fits(self, node):
                if isinstance(node, ast.Expression):
                    return self.fits(node.body)
                if isinstance(node, ast.BinOp):
                    return self.fits(node.left) and self.fits(node.right)
                if isinstance(node, ast.Constant):
                    return isinstance(node.value, int)
                return False
            def value(self, text):
                tree = ast.parse(text, mode="eval")
                if not self.fits(tree):
                    return None
                return eval(compile(tree, "<e>", "eval"), {"__builtins__": {}})
        def handler(event, context):
            return Formula().value(event["e"])
        """,
        {"e": "2 * (3 + 4)"},
    ),
    "nodes are checked by a list of kinds": (
        """
        import ast
        from ast import parse
        ALLOWED = {ast.Expression, ast.BinOp, ast.Constant, ast.Add}
        def require(node):
            if type(node) not in ALLOWED:
                raise ValueError
            for name in node._fields:
                part = getattr(node, name)
                if isinstance(part, ast.AST):
                    require(part)
        def handler(event, context):
            tree = parse(event["e"], mode="eval")
            require(tree)
            return eval(compile(tree, "<e>", "eval"))
        """,
        {"e": "2 + 4"},
    ),
    "dispatch by a dictionary": (
        "ACTIONS = {'a': len, 'b': sum}\nreturn ACTIONS[event['f']]([1])",
        {"f": "a"},
    ),
    "getattr of a checked name": (
        "import math\nif event['f'] not in {'sqrt', 'floor'}: raise ValueError\nreturn getattr(math, event['f'])(4)",
        {"f": "sqrt"},
    ),
    "getattr of math": ("import math\nreturn getattr(math, event['f'])(4)", {"f": "sqrt"}),
    "getattr with a prefix": (
        "class H:\n    def on_created(self):\n        return 1\nreturn getattr(H(), 'on_' + event['f'])()",
        {"f": "created"},
    ),
    "getattr of a field": (
        "from types import SimpleNamespace\nreturn getattr(SimpleNamespace(name=1), event['f'], None)",
        {"f": "name"},
    ),
    "setattr": (
        "from types import SimpleNamespace\nn = SimpleNamespace()\nfor k, v in event.items():\n    setattr(n, k, v)\nreturn n.name",
        {"name": "x"},
    ),
    "import checked": (
        "import importlib\nALLOWED = ['json', 'csv']\nif event['m'] not in ALLOWED: raise ValueError\nreturn importlib.import_module(event['m']).__name__",
        {"m": "json"},
    ),
    "import in a package": (
        "import importlib\nreturn importlib.import_module(f'json.{event[\"m\"]}').__name__",
        {"m": "decoder"},
    ),
    "import of constants": (
        "import importlib\nreturn importlib.import_module('json').__name__",
        {"m": "json"},
    ),
    "format of a constant": (
        "return 'Hello {name}'.format(name=event['n'])",
        {"n": "{0.__class__}"},
    ),
    "format of a constant template": (
        "T = 'Hello {name} {n}'\nreturn T.format(**event)",
        {"name": "{name.__class__}", "n": 1},
    ),
    "format of what the code shows as well": (
        f"{SHOP}return ('{{shop.name}}: ' + event['t']).format(shop=Shop())",
        {"t": "by {shop.name}"},
    ),
    "format of a template of the event's": (
        f"{SHOP}return event['t'].format(shop=Shop())",
        {"t": "{shop.name}: by {shop.supplier}"},
    ),
    "format of plain values": (
        "return event['t'].format(name='Ada', count=2)",
        {"t": "Hello {name}, {count} new"},
    ),
    "string.Template": (
        "import string\nreturn string.Template(event['t']).safe_substitute(name='Ada')",
        {"t": "Hello $name {0.__class__}"},
    ),
    "percent": ("return event['t'] % {'name': 'Ada'}", {"t": "Hello %(name)s"}),
    "format without fields": ("return event['t'].format(1)", {"t": "just a text"}),
    "namedtuple": (
        "from collections import namedtuple\nR = namedtuple('R', event['f'])\nreturn R(1, 2)",
        {"f": ["alpha", "beta"]},
    ),
    "dataclass": (
        "from dataclasses import make_dataclass\nreturn make_dataclass('R', event['f'])(1, 2)",
        {"f": ["alpha", "beta"]},
    ),
    "regular expression": (
        "import re\nreturn re.findall(re.escape(event['e']), 'abc')",
        {"e": CODE},
    ),
    "globals of constants": ("return globals()['handler'].__name__", {"f": "handler"}),
    "logging": (
        "import logging\nlogging.getLogger().warning('%s', event['e'])\nreturn 1",
        {"e": CODE},
    ),
    "data in a literal": ("return eval(f\"len('{event['e']}')\")", {"e": "plain text"}),
    "repr into code": ("return eval(f'len({event[\"e\"]!r})')", {"e": "') or " + CODE}),
    "DataFrame.query with a parameter": (
        "import pandas\nv = event['v']\nreturn len(pandas.DataFrame({'a': ['x']}).query('a == @v'))",
        {"v": CODE},
    ),
    "DataFrame of the event": (
        "import pandas\nd = pandas.DataFrame(event['rows'])\nreturn d.groupby('name').value.sum().to_dict()",
        {"rows": [{"name": "alpha", "value": 1}, {"name": "beta", "value": 2}]},
    ),
    "more: uname": ("import platform\nreturn platform.platform()", {"a": "uname"}),
    "more: pandas tmp": (
        "import pandas,os\np='/tmp/guard-_'+event['n']+'.csv'\npandas.DataFrame({'a':[1]}).to_csv(p)\nreturn len(pandas.read_csv(p))",
        {"n": "report"},
    ),
    "more: import lib with name": (
        "import decimal, fractions, statistics\nreturn str(statistics.mean([1,2]))",
        {"a": "statistics.py", "b": "/usr/lib"},
    ),
    "more: json rules": (
        "import operator\nOPS={'gt':operator.gt,'lt':operator.lt}\nreturn OPS[event['op']](event['a'],event['b'])",
        {"op": "gt", "a": 1, "b": 2},
    ),
    "more: getattr method allowed": (
        "class C:\n    ALLOWED={'start','stop'}\n    def start(self): return 1\n    def run(self,n):\n        if n not in self.ALLOWED: raise ValueError\n        return getattr(self,n)()\nreturn C().run(event['a'])",
        {"a": "start"},
    ),
    "more: getattr method plain": (
        "class C:\n    def start(self): return 1\nreturn getattr(C(),event['a'])()",
        {"a": "start"},
    ),
    "more: hasattr logging level": (
        "import logging\nreturn getattr(logging,event['l'].upper())",
        {"l": "info"},
    ),
    "more: hashlib new": (
        "import hashlib\nreturn getattr(hashlib,event['a'])(b'x').hexdigest()",
        {"a": "sha256"},
    ),
    "more: str methods": ("return getattr(str,event['m'])('Ab')", {"m": "upper"}),
    "more: simple tokens eval-free": (
        "def calc(e):\n    a,op,b=e.split()\n    return {'+':float(a)+float(b)}[op]\nreturn calc(event['e'])",
        {"e": "1 + 2"},
    ),
    "more: re.compile": (
        "import re\nreturn bool(re.compile(event['r']).search('abc'))",
        {"r": "a.c"},
    ),
    "more: enum functional": (
        "import enum\nreturn enum.Enum('E',event['n']).__members__.keys().__len__()",
        {"n": ["alpha", "beta"]},
    ),
    "more: typing namedtuple": (
        "import collections\nC=collections.namedtuple('C',event.keys())\nreturn C(**event)",
        {"alpha": 1, "beta": 2},
    ),
    "more: f-string with format spec": (
        'return f\'{event["v"]:>10} {event["w"]:.2f}\'',
        {"v": "{0.__class__}", "w": 1.5},
    ),
    "more: format padded const": (
        "return '{:>10}|{}'.format(event['v'],event['w'])",
        {"v": "{0.__class__}", "w": 1.5},
    ),
    "more: ast calc lib": (
        "import ast,operator as op\nO={ast.Add:op.add,ast.Sub:op.sub,ast.Mult:op.mul,ast.USub:op.neg}\ndef ev(n):\n    match n:\n        case ast.Expression(body=b): return ev(b)\n        case ast.Constant(value=v): return v\n        case ast.BinOp(left=l,op=o,right=r): return O[type(o)](ev(l),ev(r))\n        case ast.UnaryOp(op=o,operand=x): return O[type(o)](ev(x))\n        case _: raise ValueError\nreturn ev(ast.parse(event['e'],mode='eval'))",
        {"e": "1+2*-3"},
    ),
    "more: plugin registry": (
        "import importlib\nR={'json':'json','csv':'csv'}\nreturn importlib.import_module(R[event['f']]).__name__",
        {"f": "csv"},
    ),
    "more: entry split check": (
        "import importlib\nA={'json.dumps','math.sqrt'}\nif event['h'] not in A: raise ValueError\nm,f=event['h'].split('.')\nreturn getattr(importlib.import_module(m),f)(4)",
        {"h": "math.sqrt"},
    ),
    "more: getattr request field": (
        "import types\no=types.SimpleNamespace(**event)\nreturn [getattr(o,f) for f in ('a','b')]",
        {"a": 1, "b": 2},
    ),
    "more: strptime fmt": (
        "import datetime\nreturn datetime.datetime(2020,1,2).strftime(event['f'])",
        {"f": "%Y-%m"},
    ),
    "more: fmt map safe": (
        "class D(dict):\n    def __missing__(self,k): return '{'+k+'}'\nreturn 'Hi {name} {x}'.format_map(D(event))",
        {"name": "{0.__class__}"},
    ),
    "more: jsonschema-ish": (
        "import json\ns=json.loads(event['body'])\nreturn {k:v for k,v in s.items() if k in ('a',)}",
        {"body": '{"a":"{{7*7}}","__class__":1}'},
    ),
    "more: uuid eval-free exec none": (
        "import timeit\nreturn timeit.timeit('1+1',number=1) >= 0",
        {"e": "1+1"},
    ),
    "more: pandas query local": (
        "import pandas\ndf=pandas.DataFrame(event['rows'])\nm=event['min']\nreturn len(df.query('age >= @m and city == \"Oslo\"'))",
        {"rows": [{"age": 3, "city": "Oslo"}], "min": 2},
    ),
    "more: pandas eval const": (
        "import pandas\ndf=pandas.DataFrame(event['rows'])\nreturn df.eval('total = price * amount').total.sum()",
        {"rows": [{"price": 2, "amount": 3}]},
    ),
    "more: dataclass late": (
        "import dataclasses\nreturn dataclasses.make_dataclass('P',[(k,str) for k in event])(**event)",
        {"alpha": "x", "beta": "y"},
    ),
}


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def test_data_that_becomes_code_is_stopped(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(VULNERABLE, tmp_path))
    missed = {n: a.result + a.trace for n, a in answers.items() if a.outcome != "blocked"}
    assert not missed
    for name, answer in answers.items():
        assert answer.records[0]["sink"] in SINKS, f"{name}: {answer}"
        assert answer.records[0]["fix"], name
        assert "could not be checked" not in str(answer.records), name


def test_data_that_stays_data_passes(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(BENIGN, tmp_path))
    wrong = {
        n: (a.result, a.records, a.trace)
        for n, a in answers.items()
        if a.outcome != "ok" or a.records
    }
    assert not wrong


def test_a_local_variable_of_the_caller_is_still_seen(tmp_path: Path) -> None:
    code = "x = 41\nexec('y = x + 1')\nreturn eval('x + 1'), sorted(k for k in vars() if k == 'x')"
    assert run(tmp_path, {"case": (code, {})})["case"].result == "(42, ['x'])"
