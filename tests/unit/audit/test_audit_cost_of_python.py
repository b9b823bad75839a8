"""What one file of Python, or many that name one another, cost the rules that look at them."""

from __future__ import annotations

import time

import pytest

from casemate.audit.code.reading import Code, python_files
from casemate.audit.importers.source_code import read_code
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.workspace import Workspace

_DJANGO = "INSTALLED_APPS = 1\nSECRET_KEY = 'abcdefgh'\n"
_EXEMPT = "from django.views.decorators.csrf import csrf_exempt\n"
_MADE = "import random\n"
_WIDE = "[" + "1," * 60_000 + "]"
_DEEP = 80


def deep(line: str) -> str:
    return "".join(f"{' ' * at}{line.format(at)}\n" for at in range(_DEEP)) + " " * _DEEP


HOSTILE = {
    "PY-024": {
        "a file that builds upon many": {
            "s/settings.py": _DJANGO,
            "s/production.py": "".join(f"from .base{at} import *\n" for at in range(6_000))
            + "".join(f"A_{at} = 1\n" for at in range(6_000)),
        },
        "many settings on lines of their own": {
            "s/settings.py": _DJANGO + "SECRET_KEY = 'abcdefgh'\n" * 16_000,
            "s/production.py": "from .settings import *\nX_Y = 1\n",
        },
        "conditions in conditions": {
            "s/settings.py": f"{_DJANGO}x = {'(1 if ' * _DEEP}f({_WIDE}){' else 2)' * _DEEP}\n",
        },
    },
    "PY-016": {
        "many files that make numbers": {
            f"m{at}.py": f"{_MADE}def make_x(): return random.random()\ntoken = f(1)\n"
            for at in range(3_000)
        },
        "many functions that make numbers": {
            "m.py": _MADE
            + "".join(f"def gen{at}(): return random.random()\n" for at in range(9_000)),
            **{f"b{at}.py": f"from .m import x\n# {'x ' * 50_000}\n" for at in range(9)},
        },
        "functions in functions": {"m.py": f"{_MADE}{deep('def token{}():')}return {_WIDE}\n"},
        "values in values": {
            "m.py": _MADE + "x = " + "{'token': [" * _DEEP + _WIDE + "]}" * _DEEP + "\n"
        },
    },
    "PY-032": {
        "many views that call one long function": {
            "v.py": f"{_EXEMPT}def long(x):\n    y = '{'abc ' * 40_000}'\n"
            + "".join(f"@csrf_exempt\ndef v{at}(r):\n    long(1)\n" for at in range(2_000)),
        },
        "views in views": {
            "v.py": _EXEMPT
            + "".join(f"{' ' * at}@csrf_exempt\n{' ' * at}def v{at}(r):\n" for at in range(_DEEP))
            + f"{' ' * _DEEP}f(r)\n" * 2_000,
        },
    },
}
_SECONDS = 1.0
"""Several times what each takes; what grew with a square took more, one of them 80 s."""


@pytest.mark.parametrize(
    ("rule", "shape"), [(rule, shape) for rule, shapes in HOSTILE.items() for shape in shapes]
)
def test_a_rule_takes_time_that_grows_with_the_code(rule: str, shape: str) -> None:
    workspace = Workspace.of(HOSTILE[rule][shape])
    application, code = next(read_code(workspace, alone=True)), Code(workspace)
    assert len(list(python_files(code, application))) == len(HOSTILE[rule][shape])
    (found,) = (each for each in RULES if each.id == rule)
    started = time.process_time()
    list(found.check(Subject(application, workspace, code)))
    assert time.process_time() - started < _SECONDS
