"""Prints what is recognised of the debug pages that frameworks really make, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys

import django
from aiohttp import web
from django.conf import settings
from django.views.debug import ExceptionReporter
from starlette.middleware.errors import ServerErrorMiddleware
from werkzeug.debug import DebuggedApplication
from werkzeug.test import Client

from casemate.guard.leaks.shapes import page_in, trace_in

names: dict = {}
exec(compile("def boom(*_):\n    raise ValueError('x')\n", "/function/code/app.py", "exec"), names)
boom = names["boom"]
pages = {}
pages["werkzeug"] = Client(DebuggedApplication(boom, evalex=True, pin_security=False)).get("/").data
settings.configure(DEBUG=True, TEMPLATES=[], SECRET_KEY="of a test")
django.setup()
try:
    boom()
except ValueError as error:
    django_report = ExceptionReporter(None, *sys.exc_info())
    pages["django"] = django_report.get_traceback_html().encode()
    pages["django text"] = django_report.get_traceback_text().encode()
    middleware = ServerErrorMiddleware(None, debug=True)
    pages["starlette"] = middleware.generate_html(error).encode()
    pages["starlette text"] = middleware.generate_plain_text(error).encode()


async def from_aiohttp() -> bytes:
    from aiohttp.test_utils import TestClient, TestServer

    async def view(request: web.Request) -> web.Response:
        return boom()

    application = web.Application(debug=True)
    application.router.add_get("/", view)
    server = TestServer(application)
    await server.start_server(debug=True)
    async with TestClient(server) as client:
        return await (await client.get("/", headers={"accept": "text/html"})).read()


loop = asyncio.new_event_loop()
loop.set_debug(True)
pages["aiohttp"] = loop.run_until_complete(from_aiohttp())
found = {}
for name, page in pages.items():
    by_page, by_trace = page_in(page), trace_in(page)
    found[name] = [by_page.kind if by_page else None, by_trace.kind if by_trace else None]
print(json.dumps(found))
