"""More applications of other platforms; `@CWE` ends a line where something is wrong."""

from __future__ import annotations

APPS: dict[str, dict[str, str]] = {}
APPS["s1-of-flask-modules"] = {
    "stack.yml": """provider:
  name: openfaas
functions:
  tickets:
    lang: python3-flask
    handler: ./tickets
    image: acme/tickets:2.1
    secrets: [db-url]
""",
    "tickets/handler.py": """import json
from flask import request, jsonify
from function.repository import Tickets
from function.export import to_file

tickets = Tickets()


def handle(req):
    action = request.args.get("action")
    if action == "search":
        return jsonify(tickets.search(request.args.get("q"), request.args.get("order", "id")))
    if action == "export":
        body = json.loads(req)
        return to_file(body["name"], tickets.all())
    if action == "import":
        return str(tickets.load(request.get_data()))
    return "", 404
""",
    "tickets/repository.py": """import marshal
import psycopg2


class Tickets:
    ORDERS = {"id": "id", "date": "created"}

    def __init__(self):
        self.db = None

    def connection(self):
        if self.db is None:
            with open("/var/openfaas/secrets/db-url") as f:
                self.db = psycopg2.connect(f.read().strip())
        return self.db

    def search(self, q, order):
        cursor = self.connection().cursor()
        column = self.ORDERS.get(order, "id")
        cursor.execute("SELECT id FROM tickets WHERE title LIKE %s ORDER BY " + column, (q,))
        found = cursor.fetchall()
        cursor.execute("SELECT id FROM notes WHERE text LIKE '%{}%'".format(q))  #@89
        return found + cursor.fetchall()

    def all(self):
        cursor = self.connection().cursor()
        cursor.execute("SELECT * FROM tickets")
        return cursor.fetchall()

    def load(self, data):
        return len(marshal.loads(data))  #@502
""",
    "tickets/export.py": """import csv
import os

BASE = "/data/exports"


def to_file(name, rows):
    path = os.path.join(BASE, name + ".csv")
    with open(path, "w") as f:  #@22
        csv.writer(f).writerows(rows)
    return path
""",
    "tickets/__init__.py": "",
}
APPS["s2-of-node-express-middleware"] = {
    "stack.yml": """provider:
  name: openfaas
functions:
  site:
    lang: node20
    handler: ./site
    image: acme/site:2.1
""",
    "site/handler.js": """'use strict'
const { render } = require('./views')
const store = require('./store')

class Handler {
  async handle (event, context) {
    const { query, body, method } = event
    if (method === 'POST') {
      await store.save(body)
      return context.status(201).succeed({ ok: true })
    }
    const items = await store.find(query.owner)
    return context  //@79
      .headers({ 'Content-Type': 'text/html; charset=utf-8' })
      .succeed(render(query.title, items))
  }
}

module.exports = async (event, context) => new Handler().handle(event, context)
""",
    "site/views.js": """exports.render = (title, items) => `<html><h1>${title}</h1>${items.length}</html>`
exports.safe = (title) => '<h1>' + title.replace(/[<>&"']/g, '') + '</h1>'
""",
    "site/store.js": """const { MongoClient } = require('mongodb')
const _ = require('lodash')
const client = new MongoClient('mongodb://mongo:27017')
const settings = {}

exports.save = async (body) => {
  _.merge(settings, body.settings)  //@915
  await client.db('shop').collection('items').insertOne({ name: String(body.name) })
}

exports.find = async (owner) => {
  return client.db('shop').collection('items').find({ $where: `this.owner == '${owner}'` }).toArray()  //@943
}
""",
    "site/package.json": '{"name":"site","main":"handler.js","dependencies":{"mongodb":"6.9.0","lodash":"4.17.21"}}',
}
APPS["s3-of-docker-node"] = {
    "stack.yml": """provider:
  name: openfaas
functions:
  hook:
    lang: dockerfile
    handler: ./hook
    image: acme/hook:2.1
""",
    "hook/Dockerfile": 'FROM node:20-alpine\nCOPY . .\nCMD ["node", "server.js"]\n',
    "hook/server.js": """const express = require('express')
const { spawn } = require('child_process')
const app = express()
app.use(express.json())

const run = (cmd, args, shell) => spawn(cmd, args, { shell })

app.post('/deploy', (req, res) => {
  const { branch } = req.body
  run('git', ['status', '--'], false)
  spawn(`git checkout ${branch}`, { shell: true })  //@78
  res.json({ ok: true })
})

app.listen(8080)
""",
    "hook/package.json": '{"name":"hook","dependencies":{"express":"4.21.1"}}',
}
APPS["s4-kn-quart"] = {
    "k8s/ksvc.yml": """apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: reports
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/max-scale: "5"
    spec:
      serviceAccountName: reports
      containers:
        - image: registry.example/reports@sha256:%s
          resources: {limits: {cpu: 200m, memory: 128Mi}}
          securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}
"""
    % ("4c" * 32),
    "app/__init__.py": "",
    "app/main.py": """import asyncio

from quart import Quart, request
from .pdf import make

app = Quart(__name__)


@app.route("/report", methods=["POST"])
async def report():
    data = await request.get_json()
    return await make(data["title"], data["engine"])


@app.get("/health")
async def health():
    return "ok"
""",
    "app/pdf.py": """import asyncio
import os

ENGINES = {"a": "/usr/bin/wk", "b": "/usr/bin/prince"}


async def make(title, engine):
    program = ENGINES.get(engine)
    if program is None:
        return "no engine", 400
    process = await asyncio.create_subprocess_shell(f"{program} --title '{title}' - -")  #@78
    await process.wait()
    other = await asyncio.create_subprocess_exec(program, "--version")
    await other.wait()
    return "done"
""",
}
APPS["s5-kn-func-events"] = {
    "func.yaml": "specVersion: 0.36.0\nname: ingest\nruntime: python\n",
    "func.py": """from parliament import Context
import sqlite3
import yaml


def main(context: Context):
    event = context.cloud_event
    attributes = event.get_attributes() if hasattr(event, "get_attributes") else {}
    data = event.data
    config = yaml.load(data["config"], Loader=yaml.UnsafeLoader)  #@502
    db = sqlite3.connect("/tmp/x.db")
    db.executescript("INSERT INTO log VALUES ('" + data["message"] + "')")  #@89
    db.execute("INSERT INTO log VALUES (?)", (data["message"],))
    return {"n": len(config)}, 200
""",
}
APPS["s6-kn-func-ts"] = {
    "func.yaml": "specVersion: 0.36.0\nname: proxy\nruntime: typescript\n",
    "src/index.ts": """import { Context, StructuredReturn } from 'faas-js-runtime';
import axios from 'axios';
import { readFile } from 'fs/promises';

const HOSTS: Record<string, string> = { a: 'https://a.example', b: 'https://b.example' };

const handle = async (context: Context, body: Record<string, string>): Promise<StructuredReturn> => {
  const target = HOSTS[context.query!.site];
  const page = await axios.get(target);
  const other = await axios.post(body.callback, { n: page.data.length });  //@918
  const text = await readFile(`/data/${body.file}`, 'utf8');  //@22
  return { body: { n: other.status, m: text.length }, statusCode: 200 };
};

export { handle };
""",
    "package.json": '{"name":"proxy","main":"build/index.js","dependencies":{"faas-js-runtime":"2.4.0","axios":"1.7.7"}}',
}
APPS["s7-gcf-class-helpers"] = {
    "main.py": """import json
import logging

import functions_framework
from flask import Request, abort
from google.cloud import firestore, pubsub_v1, storage

from services.images import Images

images = Images(storage.Client())
db = firestore.Client()


@functions_framework.http
def resize(request: Request):
    if request.method == "OPTIONS":
        return ("", 204, {"Access-Control-Allow-Origin": "*"})
    body = request.get_json(force=True)
    size = int(body["size"])
    return images.resize(body["name"], size, body.get("options", ""))


@functions_framework.cloud_event
def on_change(event):
    record = event.data["value"]["fields"]
    images.note(record["title"]["stringValue"])
""",
    "services/__init__.py": "",
    "services/images.py": """import os
import shlex
import subprocess


class Images:
    def __init__(self, client):
        self.client = client

    def resize(self, name, size, options):
        safe = shlex.quote(name)
        subprocess.run(f"convert {safe} -resize {size} /tmp/out.png", shell=True, check=True)
        subprocess.run(f"convert {safe} {options} /tmp/out2.png", shell=True, check=True)  #@78
        return "ok"

    def note(self, title):
        with os.popen("logger " + title) as p:  #@78
            p.read()
""",
    "requirements.txt": "functions-framework==3.8.1\ngoogle-cloud-firestore==2.18.0\n",
}
APPS["s8-gcf-ts"] = {
    "package.json": '{"name":"fn","main":"build/index.js","dependencies":{"@google-cloud/functions-framework":"3.4.2","pg":"8.13.0"}}',
    "src/index.ts": """import { HttpFunction, http, cloudEvent, CloudEvent } from '@google-cloud/functions-framework';
import { Pool } from 'pg';

const pool = new Pool();

const search: HttpFunction = async (req, res) => {
  const rows = await pool.query(`SELECT * FROM t WHERE a = '${req.query.a}'`);  //@89
  const more = await pool.query('SELECT * FROM t WHERE a = $1', [req.query.a]);
  res.json({ rows: rows.rows, more: more.rows });
};

http('search', search);

cloudEvent('audit', async (event: CloudEvent<{ message: { data: string } }>) => {
  const text = Buffer.from(event.data!.message.data, 'base64').toString();
  const job = JSON.parse(text);
  await new Function('db', job.code)(pool);  //@94
});
""",
}
APPS["s9-firebase-v1"] = {
    "functions/index.js": """const functions = require('firebase-functions');
const admin = require('firebase-admin');
const axios = require('axios');
const { exec } = require('child_process');
admin.initializeApp();

exports.notify = functions.firestore.document('jobs/{id}').onCreate(async (snap, context) => {
  const job = snap.data();
  await axios.post(job.webhook, { id: context.params.id });  //@918
});

exports.thumb = functions.storage.object().onFinalize(async (object) => {
  exec(`convert /tmp/${object.name} /tmp/t.png`);  //@78
});

exports.sum = functions.https.onCall((data, context) => {
  if (!context.auth) throw new functions.https.HttpsError('unauthenticated', 'no');
  return eval(data.formula);  //@95
});

exports.api = functions.region('europe-west1').https.onRequest(async (req, res) => {
  res.set('Content-Type', 'text/html');
  res.send('<b>' + req.query.name + '</b>');  //@79
});
""",
    "functions/package.json": '{"name":"functions","main":"index.js","dependencies":{"firebase-functions":"4.9.0","firebase-admin":"12.6.0","axios":"1.7.7"}}',
}
