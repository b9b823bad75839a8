"""Which functions are called from outside, and what of their arguments somebody outside chooses."""

from __future__ import annotations

import pytest

from casemate.audit.flow import Entry, analyse, discover

ROUTES = {
    "flask": """
from flask import Flask, request
app = Flask(__name__)
@app.route("/a")
def a():
    os.system(request.args["x"])
""",
    "flask_part_of_path": """
from flask import Flask
app = Flask(__name__)
@app.get("/a/<name>")
def a(name):
    os.system(name)
""",
    "flask_in_function": """
import flask
def init(app):
    @app.route("/a", methods=["POST"])
    def a():
        os.system(flask.request.form.get("x", ""))
""",
    "flask_rule": """
import flask
app = flask.Flask(__name__)
def a():
    os.system(flask.request.headers["x"])
app.add_url_rule("/a", view_func=a)
""",
    "flask_class": """
import flask.views
class A(flask.views.MethodView):
    def post(self):
        os.system(flask.request.get_json()["x"])
""",
    "flask_error": """
import flask
app = flask.Flask(__name__)
@app.errorhandler(404)
def missing(e):
    os.system(flask.request.url)
""",
    "fastapi": """
from fastapi import FastAPI
app = FastAPI()
@app.get("/a/{name}")
async def a(name: str, limit: int = 1):
    os.system(name)
""",
    "fastapi_body": """
from fastapi import FastAPI
from pydantic import BaseModel
class Item(BaseModel):
    name: str
app = FastAPI()
@app.post("/a")
def a(item: Item):
    os.system(item.name)
""",
    "fastapi_request": """
from fastapi import APIRouter, Request
router = APIRouter()
@router.post("/a")
async def a(request: Request):
    data = await request.json()
    os.system(data["x"])
""",
    "chalice": """
from chalice import Chalice
app = Chalice(app_name="a")
@app.route("/a")
def a():
    os.system(app.current_request.query_params["x"])
""",
    "chalice_queue": """
from chalice import Chalice
app = Chalice(app_name="a")
@app.on_sqs_message(queue="q")
def a(event):
    for record in event:
        os.system(record.body)
""",
    "powertools": """
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
app = APIGatewayRestResolver()
@app.post("/a")
def a():
    os.system(app.current_event.json_body["x"])
""",
    "functions_framework": """
import functions_framework
@functions_framework.http
def a(request):
    os.system(request.args.get("x"))
""",
    "cloud_event": """
import functions_framework
@functions_framework.cloud_event
def a(cloud_event):
    os.system(cloud_event.data["name"])
""",
    "tornado": """
import tornado.web
class A(tornado.web.RequestHandler):
    def get(self):
        os.system(self.get_argument("x"))
""",
    "starlette": """
from starlette.routing import Route
async def a(request):
    os.system(request.query_params["x"])
routes = [Route("/a", a)]
""",
    "aiohttp": """
from aiohttp import web
routes = web.RouteTableDef()
@routes.get("/a")
async def a(request):
    os.system((await request.post())["x"])
""",
    "standard_server": """
from http.server import BaseHTTPRequestHandler
class A(BaseHTTPRequestHandler):
    def do_GET(self):
        os.system(self.path)
""",
}


@pytest.mark.parametrize("code", ROUTES.values(), ids=ROUTES.keys())
def test_routes_are_found_and_followed(code: str) -> None:
    files = {"app.py": f"import os\n{code}"}
    entries = discover(files)
    assert entries
    analysis = analyse(files, entries)
    assert {flow.weakness for flow in analysis.flows} == {"command"}
    assert not analysis.unresolved


HARMLESS = {
    "converted": """
from flask import Flask
app = Flask(__name__)
@app.get("/a/<int:number>")
def a(number):
    os.system(f"ls {number}")
""",
    "typed": """
from fastapi import FastAPI, Depends
app = FastAPI()
@app.get("/a/{number}")
def a(number: int, db=Depends(object)):
    os.system(f"ls {number} {db}")
""",
    "one_path_only": """
from flask import Flask, request
app = Flask(__name__)
@app.get("/a/b")
def a():
    os.system(request.path.split("/")[1])
""",
    "what_the_server_says": """
from flask import Flask, request
app = Flask(__name__)
@app.get("/a")
def a():
    os.system(f"ls {request.method} {request.remote_addr}")
""",
    "not_called": """
def a(request):
    os.system(request.args["x"])
""",
}


@pytest.mark.parametrize("code", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_nobody_outside_chooses_is_not_told(code: str) -> None:
    files = {"app.py": f"import os\n{code}"}
    assert not analyse(files, discover(files)).flows


def test_views_of_django_are_found_by_their_urls() -> None:
    files = {
        "site/urls.py": "from django.urls import path\nfrom . import views\n"
        "urlpatterns = [path('a/<str:name>/', views.a)]\n",
        "site/views.py": "import os\nfrom django.http import HttpResponse\n"
        "def a(request, name):\n    os.system(request.GET['x'])\n    return HttpResponse(name)\n",
    }
    found = {flow.weakness for flow in analyse(files, discover(files)).flows}
    assert found == {"command", "markup"}


EVENTS = {
    "s3": ("storage", "event['Records'][0]['s3']['object']['key']", True),
    "s3_bucket": ("storage", "event['Records'][0]['s3']['bucket']['name']", False),
    "sqs": ("queue", "json.loads(event['Records'][0]['body'])['a']", True),
    "sqs_id": ("queue", "event['Records'][0]['messageId']", False),
    "sns": ("topic", "event['Records'][0]['Sns']['Message']", True),
    "table": ("table", "event['Records'][0]['dynamodb']['NewImage']['a']['S']", True),
    "loop": ("queue", "[r for r in event['Records']][0]['body']", True),
    "header": ("http", "event['headers'].get('a')", True),
    "cookie": ("http", "event['cookies'][0]", True),
    "method": ("http", "event['httpMethod']", False),
    "schedule": ("schedule", "event['detail']", False),
    "context": ("http", "context.function_name", False),
}


@pytest.mark.parametrize(("event", "read", "told"), EVENTS.values(), ids=EVENTS.keys())
def test_parts_of_events_are_outside_data_or_the_platforms(
    event: str, read: str, told: bool
) -> None:
    code = f"import json, os\ndef handler(event, context):\n    os.system('ls ' + {read})\n"
    found = analyse({"a.py": code}, [Entry(path="a.py", name="handler", event=event)]).flows
    assert bool(found) is told
    assert all(flow.source.kind == event for flow in found)


def test_a_handler_of_casemate_is_followed() -> None:
    code = (
        "import os\nfrom casemate import Context, Event\n"
        "def handler(event: Event, context: Context):\n"
        "    for record in event.records:\n        os.system(record.data['a'])\n"
        "    os.system(event.detail['key'])\n"
    )
    entry = Entry(path="app.py", name="handler", event="queue", shape="casemate")
    assert len(analyse({"app.py": code}, [entry]).flows) == 2


def test_a_method_can_be_an_entry() -> None:
    code = "import os\nclass A:\n    def on(self, event, context):\n        os.system(event['a'])\n"
    found = analyse({"app.py": code}, [Entry(path="app.py", name="A.on")]).flows
    assert [flow.weakness for flow in found] == ["command"]
