"""What a middleware sets on a request comes to the routes after it, with what was checked before."""

from __future__ import annotations

import pytest

from casemate.audit.flow import analyse, discover

_FASTAPI = """import os
from fastapi import FastAPI, Request
app = FastAPI()
@app.middleware("http")
async def before(request: Request, call_next):
    t = request.headers["x-t"]
    SET
    return await call_next(request)
@app.get("/a")
def a(request: Request):
    os.system(f"ls {WHAT}")
"""
_STARLETTE = """import os
from fastapi import FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware
class Before(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        t = request.headers["x-t"]
        SET
        return await call_next(request)
app = FastAPI()
app.add_middleware(Before)
@app.get("/a")
def a(request: Request):
    os.system(f"ls {WHAT}")
"""
_DJANGO = """class Before:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        t = request.headers["x-t"]
        SET
        return self.get_response(request)
"""
_OLD = """from django.utils.deprecation import MiddlewareMixin
class Before(MiddlewareMixin):
    def process_request(self, request):
        t = request.headers["x-t"]
        SET
"""
_VIEW = "import os\ndef show(request):\n    os.system(f'ls {WHAT}')\n"


@pytest.mark.parametrize(
    ("put", "what", "found"),
    [
        ("request.state.tenant = t", "request.state.tenant", 1),
        ("request.state.tenant = int(t)", "request.state.tenant", 0),
        ("request.state.tenant = 'x'", "request.state.tenant", 0),
        ("request.state.tenant = t if t in ('a', 'b') else 'a'", "request.state.tenant", 0),
        ("request.state.tenant = t", "request.state.other", 0),
        ("request.state.user = find(t)", "request.state.user.name", 0),
    ],
)
@pytest.mark.parametrize("code", [_FASTAPI, _STARLETTE])
def test_what_a_middleware_sets(code: str, put: str, what: str, found: int) -> None:
    files = {"app.py": code.replace("SET", put).replace("WHAT", what)}
    assert [e.weakness for e in analyse(files, discover(files)).flows] == ["command"] * found


@pytest.mark.parametrize(
    ("put", "what", "found"),
    [
        ("request.tenant = t", "request.tenant", 1),
        ("request.tenant = 'x'", "request.tenant", 0),
        ("request.tenant = t", "request.other", 0),
    ],
)
@pytest.mark.parametrize("code", [_DJANGO, _OLD])
def test_what_a_middleware_of_another_file_sets(code, put, what, found) -> None:
    files = {
        "a/views.py": _VIEW.replace("WHAT", what),
        "core/middleware.py": code.replace("SET", put),
    }
    assert [e.weakness for e in analyse(files, discover(files)).flows] == ["command"] * found


_AIOHTTP = """import os
from aiohttp import web
routes = web.RouteTableDef()
@web.middleware
async def before(request, handler):
    t = request.headers["x-t"]
    SET
    return await handler(request)
@routes.get("/a")
async def a(request):
    await request.app["pool"].fetch(f"SELECT {WHAT}")
app = web.Application(middlewares=[before])
app.add_routes(routes)
"""


@pytest.mark.parametrize(
    ("put", "what", "found"),
    [
        ("request['tenant'] = t", "request['tenant']", 1),
        ("request['tenant'] = int(t)", "request['tenant']", 0),
        ("request['tenant'] = 'x'", "request['tenant']", 0),
        ("request['tenant'] = t", "request.get('tenant')", 1),
        ("request['tenant'] = t", "request['other']", 0),
        ("request.app['tenant'] = t", "request['tenant']", 0),
        ("pass", "request.query['a']", 1),
    ],
)
def test_what_a_middleware_of_aiohttp_sets_by_a_name(put: str, what: str, found: int) -> None:
    code = _AIOHTTP.replace("SET", put).replace("WHAT", what)
    flows = analyse({"app.py": code}, discover({"app.py": code})).flows
    assert [each.weakness for each in flows] == ["sql"] * found


def test_what_only_fetches_is_no_statement() -> None:
    code = _AIOHTTP.replace("SET", "pass").replace("SELECT {WHAT}", "/a/{request.query['a']}")
    assert analyse({"app.py": code}, discover({"app.py": code})).flows == ()


_POWERTOOLS = """import os
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
app = APIGatewayRestResolver()
@app.get("/a")
def a():
    os.system(f"ls {WHAT}")
def handler(event, context):
    w = event["queryStringParameters"]["w"]
    app.append_context(SET)
    return app.resolve(event, context)
"""


@pytest.mark.parametrize(
    ("put", "what", "found"),
    [
        ("word=w", "app.context['word']", 1),
        ("word=w", "app.context.get('word')", 1),
        ("word=w", "app.context['other']", 0),
        ("word=int(w)", "app.context['word']", 0),
        ("word='x'", "app.context['word']", 0),
        ("", "app.context['word']", 0),
    ],
)
def test_what_a_handler_of_powertools_tells_its_routes(put: str, what: str, found: int) -> None:
    code = _POWERTOOLS.replace("SET", put).replace("WHAT", what)
    flows = analyse({"app.py": code}, discover({"app.py": code})).flows
    assert [each.weakness for each in flows] == ["command"] * found
