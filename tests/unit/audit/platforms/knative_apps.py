"""Applications of Knative as people write them; `@CWE` ends a line where something is wrong."""

from __future__ import annotations

APPS: dict[str, dict[str, str]] = {}
APPS["k1-flask"] = {
    "service.yaml": """apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: shop
  namespace: default
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/minScale: "1"
    spec:
      containers:
        - image: docker.io/acme/shop  #@250
          ports:
            - containerPort: 8080
          env:
            - name: DB_PASSWORD  #@798
              value: "hunter2-prod-9981"
            - name: DB_NAME
              value: shop
          securityContext:
            privileged: true
""",
    "Dockerfile": """FROM python:3.12-slim
WORKDIR /app
COPY . ./
RUN pip install -r requirements.txt
CMD exec gunicorn --bind :$PORT app:app
""",
    "app.py": """import os
import sqlite3

from flask import Flask, jsonify, request

app = Flask(__name__)
DB = sqlite3.connect("/data/shop.db", check_same_thread=False)


@app.route("/orders/<owner>")
def orders(owner):
    sort = request.args.get("sort", "id")
    rows = DB.execute("SELECT * FROM orders WHERE owner = ? ORDER BY " + sort, (owner,))  #@89
    return jsonify(rows.fetchall())


@app.get("/order/<int:number>")
def order(number):
    return jsonify(DB.execute(f"SELECT * FROM orders WHERE id = {number}").fetchone())


@app.route("/file")
def file():
    with open("/data/" + request.args["name"]) as f:  #@22
        return f.read()


if __name__ == "__main__":
    app.run(debug=True, host="0.0.0.0", port=int(os.environ.get("PORT", 8080)))  #@489
""",
    "requirements.txt": "flask==3.0.3\ngunicorn==23.0.0\n",
}
APPS["k2-events"] = {
    "config/service.yaml": """apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: worker
spec:
  template:
    spec:
      containerConcurrency: 10
      timeoutSeconds: 30
      containers:
        - image: acme/worker@sha256:4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b
          resources:
            limits: {cpu: 500m, memory: 256Mi}
          securityContext:
            runAsNonRoot: true
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
""",
    "config/trigger.yaml": """apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: jobs
spec:
  broker: default
  filter:
    attributes:
      type: com.acme.job
  subscriber:
    ref:
      apiVersion: serving.knative.dev/v1
      kind: Service
      name: worker
""",
    "worker/main.py": """import os
import subprocess

from cloudevents.http import from_http
from flask import Flask, request

app = Flask(__name__)


@app.route("/", methods=["POST"])
def receive():
    event = from_http(request.headers, request.get_data())
    job = event.data
    os.system("tar xf /jobs/" + job["archive"])  #@78
    subprocess.run(["tar", "tf", "--", "/jobs/a.tar"], check=True)
    print(f"ran {event['id']}")
    return "", 204
""",
    "worker/requirements.txt": "cloudevents==1.11.0\nflask==3.0.3\n",
}
APPS["k3-func-python"] = {
    "func.yaml": """specVersion: 0.36.0
name: totals
runtime: python
registry: docker.io/acme
created: 2024-09-01T10:00:00Z
run:
  envs:
    - name: API_PASSWORD  #@798
      value: Kq7-vx2Lm9pWz4
deploy:
  namespace: default
""",
    "func.py": """from parliament import Context
from flask import Request
import json
import pickle
import requests


def payload(req: Request):
    if req.method == "POST":
        return req.json
    return req.args


def main(context: Context):
    if "request" not in context.keys():
        return "{}", 200
    asked = payload(context.request)
    found = requests.get(asked["source"], timeout=5)  #@918
    state = pickle.loads(context.request.data)  #@502
    eval(asked.get("formula", "0"))  #@95
    return json.dumps({"n": len(found.content), "s": state, "n": int(asked["n"])}), 200
""",
    "requirements.txt": "parliament-functions==0.1.0\nrequests==2.32.3\n",
}
APPS["k4-func-node"] = {
    "func.yaml": """specVersion: 0.36.0
name: thumbs
runtime: node
created: 2024-09-01T10:00:00Z
""",
    "index.js": """const { execSync, execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');

/**
 * @param {Context} context
 * @param {object} body
 */
const handle = async (context, body) => {
  if (context.method === 'POST') {
    execSync(`convert /in/${body.name} -resize 100x100 /out/a.png`);  //@78
    execFileSync('convert', ['/in/a.png', '/out/a.png']);
    return { statusCode: 200, body: 'ok' };
  }
  const name = context.query.name;
  if (name.length > 3) {
    return fs.readFileSync(path.join('/out', name));  //@22
  }
  return fs.readFileSync(path.join('/out', path.basename(name)));
};

module.exports = { handle };
""",
    "package.json": '{"name":"thumbs","main":"index.js","dependencies":{"faas-js-runtime":"2.4.0"}}',
}
APPS["k5-fastapi"] = {
    "deploy/knative.yaml": """apiVersion: v1
kind: Namespace
metadata: {name: proxy}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: proxy
  namespace: proxy
  labels:
    networking.knative.dev/visibility: cluster-local
spec:
  template:
    spec:
      serviceAccountName: proxy
      containers:
        - name: user-container
          image: acme/proxy:latest
          env:
            - name: TOKEN
              valueFrom: {secretKeyRef: {name: proxy, key: token}}
          volumeMounts:
            - {name: host, mountPath: /host}
      volumes:
        - name: host  #@250
          hostPath: {path: /}
""",
    "src/main.py": """import logging
import os
import traceback

import httpx
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from .search import search

app = FastAPI(debug=True)
UPSTREAM = {"a": "https://a.example", "b": "https://b.example"}


class Job(BaseModel):
    url: str
    count: int


@app.post("/fetch")
async def fetch(job: Job):
    async with httpx.AsyncClient() as client:
        return (await client.get(job.url)).text  #@918


@app.get("/proxy/{name}")
async def proxy(name: str):
    async with httpx.AsyncClient() as client:
        return (await client.get(UPSTREAM[name])).text


@app.get("/search", response_class=HTMLResponse)
def find(q: str, limit: int = 10):  #@79
    return f"<p>Results for {q}</p>" + "".join(search(q, limit))


@app.exception_handler(Exception)
async def failed(request: Request, error: Exception):
    return HTMLResponse(traceback.format_exc(), status_code=500)  #@209
""",
    "src/search.py": """import sqlalchemy
from sqlalchemy import create_engine, text

engine = create_engine("postgresql://search@db/search")


def search(q, limit):
    with engine.connect() as c:
        rows = c.execute(text(f"SELECT title FROM pages WHERE body LIKE '%{q}%' LIMIT {limit}"))  #@89
        safe = c.execute(text("SELECT title FROM pages WHERE body LIKE :q"), {"q": q})
        return [r[0] for r in rows] + [r[0] for r in safe]
""",
    "src/__init__.py": "",
    "requirements.txt": "fastapi==0.115.0\nhttpx==0.27.2\nsqlalchemy==2.0.36\n",
}
APPS["k6-express"] = {
    "service.yaml": """apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: mailer
spec:
  template:
    spec:
      containers:
        - image: ko://github.com/acme/mailer  #@250
          env:
            - name: MAIL_PASSWORD  #@798
              value: Kq7-vx2Lm9pWz4
          securityContext:
            runAsUser: 0
""",
    "index.js": """const express = require('express');
const { HTTP } = require('cloudevents');
const ejs = require('ejs');
const mysql = require('mysql2/promise');

const app = express();
app.use(express.json());
const pool = mysql.createPool({ host: 'db' });

app.post('/', async (req, res) => {
  const event = HTTP.toEvent({ headers: req.headers, body: req.body });
  await pool.query('INSERT INTO mails VALUES (?)', [event.data.to]);
  await pool.query(`DELETE FROM mails WHERE owner = '${event.data.owner}'`);  //@89
  res.send(ejs.render(event.data.template, { name: 'x' }));  //@1336
});

app.get('/go', (req, res) => {
  console.log(req.headers);
  res.redirect(req.query.to);  //@601
});

app.use((err, req, res, next) => {
  res.status(500).send(err.stack);  //@209
});

app.listen(process.env.PORT || 8080);
""",
    "package.json": '{"name":"mailer","main":"index.js","dependencies":{"express":"4.21.1","cloudevents":"8.0.2","ejs":"3.1.10","mysql2":"3.11.3"}}',
}
