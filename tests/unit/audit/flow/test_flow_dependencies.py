"""What frameworks make before a route: its checks hold in the route, and its data comes there."""

from __future__ import annotations

import pytest

from casemate.audit.flow import analyse, discover

_HEAD = (
    "import os, re\nfrom enum import Enum\nfrom typing import Annotated\n"
    "from fastapi import Depends, FastAPI, HTTPException, Path, Query\napp = FastAPI()\n"
    "KNOWN = {'a', 'b'}\n"
    "class Kind(str, Enum):\n    A = 'a'\n"
    "def checked(name: str):\n    if name not in KNOWN:\n        raise HTTPException(404)\n"
    "    return name\n"
    "def passed(name: str):\n    return name.strip()\n"
    "def nested(name: str = Depends(checked)):\n    return '/d/' + name\n"
    "def made():\n    yield 'x'\n"
    "def looped(name=Depends(looped)):\n    return name\n"
    "class Page:\n    def __init__(self, order: str):\n        self.order = order\n"
    "class Safe:\n    def __init__(self, order: str):\n"
    "        if not re.fullmatch('[a-z]+', order):\n            raise HTTPException(400)\n"
    "        self.order = order\n"
    "Known = Annotated[str, Depends(checked)]\nGiven = Annotated[str, Depends(passed)]\n"
)


def found(code: str) -> list[str]:
    files = {"app.py": code}
    return [flow.weakness for flow in analyse(files, discover(files)).flows]


@pytest.mark.parametrize(
    ("parameters", "body", "weak"),
    [
        ("name: str = Depends(checked)", "os.system('ls ' + name)", False),
        ("name: str = Depends(passed)", "os.system('ls ' + name)", True),
        ("name: Annotated[str, Depends(checked)]", "os.system('ls ' + name)", False),
        ("name: Annotated[str, Depends(passed)]", "os.system('ls ' + name)", True),
        ("name: str = Depends(nested)", "os.system('ls ' + name)", False),
        ("name=Depends(made)", "os.system('ls ' + name)", False),
        ("name=Depends(looped)", "os.system('ls ' + name)", False),
        ("page: Page = Depends()", "os.system('ls ' + page.order)", True),
        ("page: Page = Depends(Page)", "os.system('ls ' + page.order)", True),
        ("page: Safe = Depends()", "os.system('ls ' + page.order)", False),
        ("page: Annotated[Page, Depends()]", "os.system('ls ' + page.order)", True),
        ("name: Known", "os.system('ls ' + name)", False),
        ("name: Given", "os.system('ls ' + name)", True),
        ("kind: Kind", "os.system('ls ' + kind.value)", False),
        ("name: str = Query(pattern='^[a-z]+$')", "os.system('ls ' + name)", False),
        ("name: str = Query(pattern='[a-z]+')", "os.system('ls ' + name)", True),
        ("name: Annotated[str, Path(pattern='^[a-z]+$')]", "os.system('ls ' + name)", False),
    ],
)
def test_dependencies_of_fastapi(parameters: str, body: str, weak: bool) -> None:
    code = f"{_HEAD}@app.get('/x')\ndef route({parameters}):\n    {body}\n"
    assert found(code) == (["command"] if weak else [])


@pytest.mark.parametrize(("function", "weak"), [("checked", False), ("passed", True)])
def test_dependencies_beside_the_parameters(function: str, weak: bool) -> None:
    route = f"@app.get('/x/{{name}}', dependencies=[Depends({function})])\ndef route(name: str):\n"
    assert found(f"{_HEAD}{route}    os.system('ls ' + name)\n") == (["command"] if weak else [])


_FLASK = (
    "import os\nfrom flask import Flask, abort, request\napp = Flask('a')\nother = Flask('b')\n"
)


@pytest.mark.parametrize(
    ("decorator", "check", "weak"),
    [
        ("app.before_request", "if not name.isdigit():\n        abort(400)", False),
        ("app.before_request", "if not name.isdigit():\n        return 'no', 400", False),
        ("app.before_request", "if not name.isdigit():\n        print('no')", True),
        ("other.before_request", "if not name.isdigit():\n        abort(400)", True),
        ("app.after_request", "if not name.isdigit():\n        abort(400)", True),
    ],
)
def test_what_runs_before_each_route(decorator: str, check: str, weak: bool) -> None:
    guard = f"@{decorator}\ndef guard():\n    name = request.args['name']\n    {check}\n"
    route = (
        "@app.get('/x')\ndef route():\n    os.system('ls ' + request.args['name'])\n    return ''\n"
    )
    assert found(_FLASK + guard + route) == (["command"] if weak else [])


@pytest.mark.parametrize(
    ("paths", "weak"),
    [
        (["<int:name>/"], False),
        (["<slug:name>/"], False),
        (["<str:name>/"], True),
        (["<int:name>/", "all/<path:name>/"], True),
        ([], True),
    ],
)
def test_converters_of_django(paths: list[str], weak: bool) -> None:
    urls = "from django.urls import path\nfrom views import show\nurlpatterns = ["
    urls += ", ".join(f"path('x/{each}', show)" for each in paths) + "]\n"
    view = "import os\ndef show(request, name):\n    os.system('ls ' + str(name))\n"
    files = {"urls.py": urls, "views.py": view}
    flows = analyse(files, discover(files)).flows
    assert bool(flows) is weak


def test_a_type_with_a_name_is_read_where_it_is() -> None:
    guards = "from typing import Annotated\nfrom fastapi import Depends\n"
    guards += (
        "def take(name: str):\n    return name.strip()\nGiven = Annotated[str, Depends(take)]\n"
    )
    main = "import os\nfrom fastapi import FastAPI\nfrom guards import Given\napp = FastAPI()\n"
    main += "@app.get('/x')\ndef route(where: Given):\n    os.system('ls ' + where)\n"
    files = {"guards.py": guards, "main.py": main}
    [flow] = analyse(files, discover(files)).flows
    assert flow.weakness == "command"
