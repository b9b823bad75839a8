"""Applications of Google Cloud as people write them; `@CWE` ends a line where something is wrong."""

from __future__ import annotations

APPS: dict[str, dict[str, str]] = {}
APPS["g1-http-sql"] = {
    "main.py": """import os

import functions_framework
import sqlalchemy
from google.cloud.sql.connector import Connector

DB_PASS = "correct-horse-battery-7741"  #@798
connector = Connector()
pool = sqlalchemy.create_engine(
    "postgresql+pg8000://",
    creator=lambda: connector.connect("p:r:i", "pg8000", user="app", password=DB_PASS, db="shop"),
)


@functions_framework.http
def orders(request):
    request_json = request.get_json(silent=True)
    request_args = request.args
    if request_json and "customer" in request_json:
        customer = request_json["customer"]
    elif request_args and "customer" in request_args:
        customer = request_args["customer"]
    else:
        customer = "nobody"
    with pool.connect() as db:
        rows = db.execute(sqlalchemy.text("SELECT * FROM orders WHERE customer = '%s'" % customer))  #@89
        more = db.execute(sqlalchemy.text("SELECT 1 FROM orders WHERE customer = :c"), {"c": customer})
        return {"rows": [list(r) for r in rows], "more": len(list(more))}
""",
    "requirements.txt": "functions-framework==3.8.1\nsqlalchemy==2.0.36\npg8000==1.31.2\n",
}
APPS["g2-plain-gen1"] = {
    "main.py": """import os
import subprocess
from flask import escape


def hello_http(request):
    name = request.args.get("name", "World")
    host = request.form.get("host")
    out = subprocess.check_output("ping -c1 " + host, shell=True)  #@78
    return "Hello {}! {}".format(escape(name), len(out))


def hello_gcs(event, context):
    path = "/tmp/" + event["name"]
    os.system("unzip %s -d /tmp/x" % path)  #@78
    print("Processing file: " + event["name"])


def page(request):  #@79
    return f"<h1>{request.args['title']}</h1>"
""",
    "requirements.txt": "flask==3.0.3\ngoogle-cloud-storage==2.18.2\n",
    "deploy.sh": """gcloud functions deploy hello_http --runtime python312 --trigger-http --allow-unauthenticated
gcloud functions deploy hello_gcs --runtime python312 --trigger-bucket uploads
""",
}
APPS["g3-pubsub"] = {
    "main.py": """import base64
import json
import pickle

import functions_framework
from google.cloud import bigquery

client = bigquery.Client()


@functions_framework.cloud_event
def subscribe(cloud_event):
    data = base64.b64decode(cloud_event.data["message"]["data"])
    if cloud_event.data["message"].get("attributes", {}).get("format") == "pickle":
        job = pickle.loads(data)  #@502
    else:
        job = json.loads(data.decode("utf-8"))
    run(job)


def run(job):
    query = "SELECT * FROM `shop.events` WHERE user = '" + job["user"] + "'"
    client.query(query).result()  #@89
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ScalarQueryParameter("user", "STRING", job["user"])]
    )
    client.query("SELECT * FROM `shop.events` WHERE user = @user", job_config=config).result()
""",
    "requirements.txt": "functions-framework==3.8.1\ngoogle-cloud-bigquery==3.26.0\n",
}
APPS["g4-firebase"] = {
    "firebase.json": '{"functions":[{"source":"functions","codebase":"default","runtime":"python312"}]}',
    "functions/main.py": """import requests
from firebase_admin import firestore, initialize_app
from firebase_functions import firestore_fn, https_fn, options, pubsub_fn, scheduler_fn, storage_fn
from jinja2 import Template

app = initialize_app()


@https_fn.on_request(cors=options.CorsOptions(cors_origins="*", cors_methods=["get", "post"]))
def render(req: https_fn.Request) -> https_fn.Response:
    template = req.args.get("template")
    return https_fn.Response(Template(template).render(name="x"))  #@1336


@https_fn.on_call()
def preview(req: https_fn.CallableRequest):
    if req.auth is None:
        raise https_fn.HttpsError(code="unauthenticated", message="sign in")
    return {"n": len(requests.get(req.data["url"], timeout=5).text)}  #@918


@firestore_fn.on_document_created(document="jobs/{job}")
def job(event: firestore_fn.Event[firestore_fn.DocumentSnapshot | None]) -> None:
    if event.data is None:
        return
    work = event.data.to_dict()
    exec(work["code"])  #@95


@storage_fn.on_object_finalized()
def uploaded(event: storage_fn.CloudEvent[storage_fn.StorageObjectData]):
    name = event.data.name
    with open("/tmp/" + name, "w") as f:  #@22
        f.write("x")


@scheduler_fn.on_schedule(schedule="every day 00:00")
def daily(event: scheduler_fn.ScheduledEvent) -> None:
    requests.get("https://example.com/ping", timeout=5)
""",
    "functions/requirements.txt": "firebase-functions==0.4.2\nrequests==2.32.3\njinja2==3.1.4\n",
}
APPS["g5-storage"] = {
    "main.py": """import logging
import os
import tempfile
import traceback
from urllib.parse import urlparse

import functions_framework
from cloudevents.http import CloudEvent
from google.cloud import storage
from markupsafe import escape

storage_client = storage.Client()


@functions_framework.cloud_event
def blur(cloud_event: CloudEvent) -> None:
    data = cloud_event.data
    name = data["name"]
    blob = storage_client.bucket(data["bucket"]).blob(name)
    _, temp = tempfile.mkstemp()
    blob.download_to_filename(temp)
    os.system(f"convert {temp} -blur 0x16 /tmp/{name}")  #@78
    os.remove(temp)


@functions_framework.http
def show(request):
    try:
        logging.info("asked by %s with %s", request.remote_addr, request.headers.get("Authorization"))  #@532
        name = request.args["name"]
        with open(os.path.join("/srv/pages", name)) as page:  #@22
            return page.read()
    except Exception as error:
        return {"error": str(error), "trace": traceback.format_exc()}, 500  #@209


@functions_framework.http
def hello(request):
    return f"Hello {escape(request.args.get('name', ''))}!"
""",
    "requirements.txt": "functions-framework==3.8.1\ngoogle-cloud-storage==2.18.2\n",
}
APPS["g6-node"] = {
    "index.js": """const functions = require('@google-cloud/functions-framework');
const { exec } = require('child_process');
const { BigQuery } = require('@google-cloud/bigquery');
const escapeHtml = require('escape-html');
const bigquery = new BigQuery();

functions.http('run', (req, res) => {
  exec('nslookup ' + req.query.host, (err, stdout) => {  //@78
    res.send(escapeHtml(stdout));
  });
});

functions.http('hello', (req, res) => {
  res.send(`Hello ${escapeHtml(req.query.name || 'World')}!`);
});

functions.http('page', (req, res) => {
  res.send(`<h1>${req.body.title}</h1>`);  //@79
});

functions.cloudEvent('job', async cloudEvent => {
  const text = Buffer.from(cloudEvent.data.message.data, 'base64').toString();
  await bigquery.query(`SELECT * FROM t WHERE a = '${text}'`);  //@89
  await bigquery.query({ query: 'SELECT * FROM t WHERE a = @a', params: { a: text } });
});

exports.legacy = (req, res) => {
  res.status(200).send(eval(req.query.sum));  //@95
};
""",
    "package.json": '{"name":"jobs","main":"index.js","dependencies":{"@google-cloud/functions-framework":"3.4.2","@google-cloud/bigquery":"7.9.1","escape-html":"1.0.3"}}',
}
APPS["g7-firebase-node"] = {
    "firebase.json": '{"functions":{"source":"functions"}}',
    "functions/index.js": """const { onRequest, onCall, HttpsError } = require('firebase-functions/v2/https');
const { onDocumentCreated } = require('firebase-functions/v2/firestore');
const functions = require('firebase-functions');
const admin = require('firebase-admin');
const vm = require('vm');
admin.initializeApp();

exports.fetchIt = onRequest({ cors: true }, async (req, res) => {
  const answer = await fetch(req.query.url);  //@918
  res.json({ n: (await answer.text()).length });
});

exports.formula = onCall(async (request) => {
  if (!request.auth) throw new HttpsError('unauthenticated', 'no');
  return vm.runInNewContext(request.data.formula);  //@94
});

exports.created = onDocumentCreated('jobs/{id}', async (event) => {
  const job = event.data.data();
  require('child_process').execSync('touch ' + job.name);  //@78
});

exports.old = functions.https.onRequest((req, res) => {
  res.redirect(req.query.next);  //@601
});
""",
    "functions/package.json": '{"name":"functions","main":"index.js","engines":{"node":"20"},"dependencies":{"firebase-functions":"5.1.1","firebase-admin":"12.6.0"}}',
}
