"""Applications of OpenFaaS as people write them; `@CWE` ends a line where something is wrong."""

from __future__ import annotations

APPS: dict[str, dict[str, str]] = {}
APPS["o1-pdf-tools"] = {
    "stack.yml": """version: 1.0
provider:
  name: openfaas
  gateway: http://127.0.0.1:8080
functions:
  pdf-convert:
    lang: python3
    handler: ./pdf-convert
    image: acme/pdf-convert:latest
  pdf-pages:
    lang: python3-debian
    handler: ./pdf-pages
    image: acme/pdf-pages:0.3.1
""",
    "pdf-convert/handler.py": """import json
import os
import subprocess


def _convert(source, target):
    cmd = "pdftotext " + source + " " + target
    subprocess.check_output(cmd, shell=True)  #@78
    with open(target) as f:
        return f.read()


def handle(req):
    doc = json.loads(req)
    return _convert(doc["file"], "/tmp/out.txt")
""",
    "pdf-convert/__init__.py": "",
    "pdf-convert/requirements.txt": "",
    "pdf-pages/handler.py": """import json
import re
import subprocess

NAME = re.compile(r"[a-z0-9]{1,40}")


def handle(req):
    doc = json.loads(req)
    name = doc["file"]
    if not NAME.fullmatch(name):
        return json.dumps({"error": "bad name"})
    out = subprocess.run(["pdfinfo", "--", "/data/" + name + ".pdf"], capture_output=True, timeout=10)
    for line in out.stdout.decode().splitlines():
        if line.startswith("Pages:"):
            return json.dumps({"pages": int(line.split()[1])})
    return json.dumps({"pages": None})
""",
    "pdf-pages/requirements.txt": "",
}
APPS["o2-users"] = {
    "stack.yaml": """provider:
  name: openfaas
  gateway: ${OPENFAAS_URL:-http://127.0.0.1:8080}
functions:
  user-get:
    lang: python3-http
    handler: ./user-get
    image: ${REGISTRY:-registry.local}/user-get:${TAG:-1.2}
    environment:
      db_host: postgres.default
      db_user: app
      db_password: Tr0ub4dor-and-3-horses  #@798
    environment_file:
      - env.yml
    secrets:
      - api-key
  user-put:
    lang: python3-http
    handler: ./user-put
    image: ${REGISTRY:-registry.local}/user-put:${TAG:-1.2}
    secrets:
      - db-password
    environment:
      db_host: postgres.default
""",
    "env.yml": """environment:
  mail_password: Kq7-vx2Lm9pWz4  #@798
""",
    "user-get/handler.py": """import json
import os

import psycopg2

conn = None


def connection():
    global conn
    if conn is None:
        conn = psycopg2.connect(host=os.environ["db_host"], user=os.environ["db_user"],
                                password=os.environ["db_password"])
    return conn


class Users:
    def __init__(self, connection):
        self.connection = connection

    def by_name(self, name):
        cur = self.connection.cursor()
        cur.execute(f"SELECT id, mail FROM users WHERE name = '{name}'")  #@89
        return cur.fetchall()

    def by_id(self, ident):
        cur = self.connection.cursor()
        cur.execute("SELECT id, mail FROM users WHERE id = %s", (ident,))
        return cur.fetchall()


def handle(event, context):
    users = Users(connection())
    if event.method != "GET":
        return {"statusCode": 405}
    if "id" in event.query:
        return {"statusCode": 200, "body": json.dumps(users.by_id(event.query["id"]))}
    return {"statusCode": 200, "body": json.dumps(users.by_name(event.query.get("name", "")))}
""",
    "user-get/requirements.txt": "psycopg2-binary==2.9.9\n",
    "user-put/handler.py": """import json
import traceback

import psycopg2
from .store import connect


def handle(event, context):
    try:
        body = json.loads(event.body)
        with connect() as c, c.cursor() as cur:
            cur.execute("UPDATE users SET mail = %s WHERE id = %s", (body["mail"], body["id"]))
            cur.execute("UPDATE stats SET n = n + 1 ORDER BY " + event.headers["X-Order"])  #@89
        return {"statusCode": 200, "body": "ok"}
    except Exception:
        return {"statusCode": 500, "body": traceback.format_exc()}  #@209
""",
    "user-put/store.py": """import os
import psycopg2


def connect():
    with open("/var/openfaas/secrets/db-password") as f:
        password = f.read().strip()
    return psycopg2.connect(host=os.environ["db_host"], password=password)
""",
    "user-put/__init__.py": "",
    "user-put/requirements.txt": "psycopg2-binary==2.9.9\n",
}
APPS["o3-fetch-node"] = {
    "stack.yml": """version: 1.0
provider:
  name: openfaas
  gateway: http://127.0.0.1:8080
functions:
  preview:
    lang: node18
    handler: ./preview
    image: acme/preview:1.0.0
  dig:
    lang: node20
    handler: ./dig
    image: acme/dig:1.0.0
  calc:
    lang: node17
    handler: ./calc
    image: acme/calc:1.0.0
""",
    "preview/handler.js": """'use strict'
const axios = require('axios')
const ALLOWED = new Set(['example.com', 'www.example.com'])

module.exports = async (event, context) => {
  const url = event.body.url
  const page = await axios.get(url)  //@918
  const safe = event.query.host
  if (ALLOWED.has(safe)) {
    await axios.get('https://' + safe + '/favicon.ico')
  }
  return context  //@79
    .status(200)
    .headers({ 'Content-Type': 'text/html' })
    .succeed('<h1>' + event.query.title + '</h1>' + page.data.length)
}
""",
    "preview/package.json": '{"name":"preview","main":"handler.js","dependencies":{"axios":"1.7.7"}}',
    "dig/handler.js": """'use strict'
const { exec, execFile } = require('child_process')
const { promisify } = require('util')
const run = promisify(exec)
const runFile = promisify(execFile)

async function lookup(name) {
  const { stdout } = await run(`dig +short ${name}`)  //@78
  return stdout
}

module.exports = async (event, context) => {
  const { name, kind } = event.body
  if (!/^[a-z0-9.-]{1,200}$/.test(kind)) {
    return context.status(400).fail('bad kind')
  }
  const other = await runFile('dig', ['+short', '-t', kind])  //@88
  return context.status(200).succeed({ answer: await lookup(name), other: other.stdout })
}
""",
    "dig/package.json": '{"name":"dig","main":"handler.js"}',
    "calc/handler.js": """'use strict'
module.exports = (event, context, callback) => {
  try {
    const result = eval(event.body.expression)  //@95
    callback(null, { result })
  } catch (err) {
    return context.status(500).succeed({ error: err.message, stack: err.stack })  //@209
  }
}
""",
    "calc/package.json": '{"name":"calc","main":"handler.js"}',
}
APPS["o4-docker"] = {
    "stack.yml": """version: 1.0
provider:
  name: openfaas
functions:
  restore:
    lang: dockerfile
    handler: ./restore
    image: acme/restore:0.1
    environment:
      fprocess: python index.py
      write_debug: true
      combine_output: true
""",
    "restore/Dockerfile": """FROM ghcr.io/openfaas/classic-watchdog:0.2.1 as watchdog
CMD ["fwatchdog"]
""",
    "restore/index.py": """import base64
import pickle
import sys
import yaml


def main():
    text = sys.stdin.read()
    kind, _, data = text.partition(":")
    if kind == "pickle":
        state = pickle.loads(base64.b64decode(data))  #@502
    elif kind == "yaml":
        state = yaml.load(data, Loader=yaml.Loader)  #@502
    else:
        state = yaml.safe_load(data)
    print(len(state))


if __name__ == "__main__":
    main()
""",
}
APPS["o5-render-flask"] = {
    "stack.yml": """version: 1.0
provider:
  name: openfaas
functions:
  render:
    lang: python3-flask
    handler: ./render
    image: acme/render:0.1
  files:
    lang: python3-flask-debian
    handler: ./files
    image: acme/files:0.1
""",
    "render/handler.py": """from flask import make_response, redirect, render_template_string, request

SECRET = "/var/openfaas/secrets/render-key"


def handle(req):
    name = request.args.get("name", "world")
    if request.args.get("next"):
        return redirect(request.args["next"])  #@601
    page = render_template_string("<h1>Hello " + name + "</h1>")  #@1336
    other = render_template_string("<h1>Hello {{ name }}</h1>", name=name)
    return page + other, 200, {"Content-Type": "text/html"}
""",
    "render/requirements.txt": "flask==3.0.3\n",
    "files/handler.py": """import os
from pathlib import Path

from flask import request

ROOT = Path("/data")


def handle(req):
    name = request.args["name"]
    if request.method == "DELETE":
        os.remove(os.path.join("/data", name))  #@22
        return "gone"
    found = (ROOT / name).resolve()
    if not found.is_relative_to(ROOT):
        return "no", 404
    return found.read_text()
""",
    "files/requirements.txt": "flask==3.0.3\n",
}
APPS["o6-pipeline"] = {
    "stack.yml": """version: 1.0
provider:
  name: openfaas
functions:
  ingest:
    lang: python3-http
    handler: ./ingest
    image: acme/ingest:0.1
    readonly_root_filesystem: true
    annotations:
      topic: "orders"
  notify:
    lang: python3-http-debian
    handler: ./notify
    image: acme/notify:0.1
    environment:
      redis: redis.default
  report:
    lang: python311-http
    handler: ./report
    image: acme/report:0.1
""",
    "ingest/handler.py": """import json
import logging
from xml.etree import ElementTree

from lxml import etree
import defusedxml.ElementTree

from . import rules


def handle(event, context):
    kind = event.headers.get("Content-Type")
    if kind == "application/xml":
        parser = etree.XMLParser(resolve_entities=True, no_network=False)  #@611
        tree = etree.fromstring(event.body, parser)  #@611
        return {"statusCode": 200, "body": tree.tag}
    if kind == "text/xml":
        return {"statusCode": 200, "body": defusedxml.ElementTree.fromstring(event.body).tag}
    order = json.loads(event.body)
    logging.info("order %s", order["id"])
    return {"statusCode": 200, "body": json.dumps({"ok": rules.applies(order["rule"], order)})}
""",
    "ingest/rules.py": """def applies(rule, order):
    return bool(eval(rule, {"order": order}))  #@95
""",
    "ingest/__init__.py": "",
    "ingest/requirements.txt": "lxml==5.3.0\ndefusedxml==0.7.1\n",
    "notify/handler.py": """import json
import os
import urllib.request

import redis
import requests

HOOKS = {"slack": "https://hooks.slack.com/x", "teams": "https://teams.example/x"}
HOOK_PASSWORD = "Kq7-vx2Lm9pWz4"  #@798


def handle(event, context):
    message = json.loads(event.body)
    requests.post(HOOKS[message["to"]], json={"text": message["text"]}, timeout=5)
    if "callback" in message:
        urllib.request.urlopen(message["callback"])  #@918
    store = redis.Redis(host=os.environ["redis"])
    store.eval("return redis.call('set', '" + message["key"] + "', 1)", 0)  #@943
    store.eval("return redis.call('set', KEYS[1], 1)", 1, message["key"])
    return {"statusCode": 202, "body": ""}
""",
    "notify/requirements.txt": "redis==5.1.1\nrequests==2.32.3\n",
    "report/handler.py": """import json

import pymongo

client = pymongo.MongoClient("mongodb://mongo:27017")


def handle(event, context):
    asked = json.loads(event.body)
    rows = client.shop.orders.find({"owner": asked["owner"]})  #@943
    total = client.shop.orders.count_documents({"owner": str(asked["owner"])})
    return {"statusCode": 200, "body": json.dumps([total, [r["n"] for r in rows]])}
""",
    "report/requirements.txt": "pymongo==4.10.1\n",
}
