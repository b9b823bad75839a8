"""Classes, functions and formulas that texts name: what the event may not choose."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("django", "sympy", "sympy.parsing.sympy_parser")

VULNERABLE: Cases = {
    "a function of os": (
        "from django.utils.module_loading import import_string\nreturn import_string('os.'+event['f'])",
        {"f": "system"},
    ),
    "a class of subprocess": (
        "import pydoc\nreturn pydoc.locate('subprocess.'+event['c'])",
        {"c": "Popen"},
    ),
    "sympify": (
        "import sympy\nreturn sympy.sympify(event['e'])",
        {"e": "__import__('os').getpid()"},
    ),
    "sympify2": (
        "import sympy\nreturn sympy.sympify(event['e'])",
        {"e": "open('/etc/passwd').read()"},
    ),
    "sympify3": ("import sympy\nreturn sympy.sympify(event['e'])", {"e": "eval(1)"}),
    "sympify S": ("import sympy\nreturn sympy.S(event['e'])", {"e": "().__class__.__base__"}),
    "sympify part": (
        "from sympy import sympify\nreturn sympify('x + ' + event['e'])",
        {"e": "x.func.__class__"},
    ),
    "parse_expr": (
        "from sympy.parsing.sympy_parser import parse_expr\nreturn parse_expr(event['e'])",
        {"e": "exec('import os')"},
    ),
    "lambdify": (
        "import sympy\nx=sympy.Symbol('x')\nreturn sympy.lambdify(x, event['e'])(2)",
        {"e": "exec('import os')"},
    ),
    "simplify": ("import sympy\nreturn sympy.simplify(event['e'])", {"e": "open('/etc/passwd')"}),
    "expand": ("import sympy\nreturn sympy.expand(event['e'])", {"e": "(lambda: 1)()"}),
    "solve": ("import sympy\nreturn sympy.solve(event['e'])", {"e": "open('/etc/passwd').read()"}),
    "locate": ("import pydoc\nreturn pydoc.locate(event['c'])", {"c": "os.system"}),
    "django": (
        "from django.utils.module_loading import import_string\nreturn import_string(event['c'])",
        {"c": "os.system"},
    ),
    "EntryPoint": (
        "import importlib, importlib.metadata as m\nreturn m.EntryPoint(name='x', group='g', value=event['c']).load()",
        {"c": "os:system"},
    ),
    "EntryPoint2": (
        "import importlib, importlib.metadata as m\nreturn m.EntryPoint('x', event['m']+':system', 'g').load()",
        {"m": "os"},
    ),
    "pkgutil": ("import pkgutil\nreturn pkgutil.resolve_name(event['c'])", {"c": "os:system"}),
    "logging config": (
        "import logging.config\nlogging.config.dictConfig(event['c'])",
        {"c": {"version": 1, "formatters": {"f": {"()": "os.getpid"}}}},
    ),
    "logging ext": (
        "import logging.config\nlogging.config.dictConfig(event['c'])",
        {"c": {"version": 1, "handlers": {"f": {"class": "shutil.rmtree"}}}},
    ),
    "dict update": (
        "class U: pass\nu=U()\nu.__dict__.update(event['u'])\nreturn u.__dict__",
        {"u": {"__class__": 1, "_admin": True}},
    ),
    "vars update": (
        "class U: pass\nu=U()\nvars(u).update(event['u'])\nreturn u.__dict__",
        {"u": {"_admin": True}},
    ),
}

SAFE: Cases = {
    "sympify": (
        "import sympy\nreturn str(sympy.sympify(event['e']))",
        {"e": "x**2 + sin(y)*3.5 - sqrt(2)/log(z, 10)"},
    ),
    "parse_expr": (
        "from sympy.parsing.sympy_parser import parse_expr\nreturn str(parse_expr(event['e']))",
        {"e": "(x + 1)*(x - .5) > 3"},
    ),
    "solve": ("import sympy\nreturn str(sympy.solve(event['e']))", {"e": "x**2 - 4"}),
    "sympify max": ("import sympy\nreturn str(sympy.sympify(event['e']))", {"e": "Max(a, 2)"}),
    "locate const": (
        "import pydoc\nN={'a':'json.loads'}\nreturn pydoc.locate(N[event['c']])",
        {"c": "a"},
    ),
    "import_module": ("import importlib\nreturn importlib.import_module('json')", {"c": "json"}),
    "entry checked": (
        "import importlib, importlib.metadata as m\nif event['c'] not in {'json:loads'}: raise ValueError\nreturn m.EntryPoint('x', event['c'], 'g').load()",
        {"c": "json:loads"},
    ),
    "entry points": (
        "import importlib, importlib.metadata as m\nreturn len(list(m.entry_points()))",
        {"c": "json:loads"},
    ),
    "dict update": (
        "class U: pass\nu=U()\nu.__dict__.update(event['u'])\nreturn u.__dict__",
        {"u": {"name": 1, "city": True}},
    ),
    "plain update": ("d={}\nd.update(event['u'])\nreturn d", {"u": {"_id": 1, "__class__": True}}),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"attributes", "code"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)
