"""Handlers that let data choose files."""

from support.guard_corpus import Program, b64, body, query, s3, sqs, tar, zip_

PROGRAMS = {
    "join": Program(
        """
import os
BASE = "/srv/data"
def handler(event, context):
    with open(os.path.join(BASE, event["name"])) as f: return f.read()
""",
        [{"name": "../../etc/passwd"}, {"name": "/etc/passwd"}, {"name": "a/../../../etc/hosts"}],
        [{"name": "a.txt"}, {"name": "sub/b.txt"}],
    ),
    "f-string": Program(
        """
import json
def handler(event, context):
    data = json.loads(event["body"])
    return open(f"/srv/reports/{data['year']}/{data['file']}.csv").read()
""",
        [body(year="..", file="../../etc/passwd"), body(year="2024", file="../../../etc/x")],
        [body(year="2024", file="q1"), body(year=2024, file="q-2")],
    ),
    "pathlib": Program(
        """
from pathlib import Path
class Store:
    root = Path("/srv/store")
    def read(self, key): return (self.root / key).read_bytes()
def handler(event, context):
    return Store().read(event["key"])
""",
        [{"key": "../../etc/passwd"}, {"key": "/etc/hostname"}],
        [{"key": "x/y.bin"}],
    ),
    "dots replaced once": Program(
        """
def handler(event, context):
    name = event["queryStringParameters"]["file"].replace("../", "")
    return open("/srv/www/" + name).read()
""",
        [query(file="....//....//etc/passwd"), query(file="..././..././etc/hosts")],
        [query(file="index.html")],
    ),
    "object key": Program(
        """
from urllib.parse import unquote_plus
import os
def handler(event, context):
    for r in event["Records"]:
        key = unquote_plus(r["s3"]["object"]["key"])
        target = "/srv/out/" + key
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "w").close()
""",
        [s3("..%2F..%2Fproc%2F.none%2Fx"), s3("..%2f..%2fproc%2Fx%2Fy")],
    ),
    "folder of a path": Program(
        """
from pathlib import Path
def handler(event, context):
    target = Path("/srv/none") / event["key"]
    target.parent.mkdir(parents=True)
""",
        [{"key": "../../proc/.none/x"}],
    ),
    "delete": Program(
        """
import os
def handler(event, context):
    os.remove("/srv/tmp/" + event["id"] + ".tmp")
""",
        [{"id": "../../none/x"}],
        [{"id": "abc"}],
    ),
    "shutil": Program(
        """
import shutil
def handler(event, context):
    shutil.copy("/srv/in/" + event["src"], "/srv/none/out/" + event["src"].split("/")[-1])
""",
        [{"src": "../../etc/hostname"}],
        [{"src": "a.txt"}],
    ),
    "extension only checked": Program(
        """
import os
def handler(event, context):
    name = event["name"]
    if not name.endswith(".txt"): return 400
    return open(os.path.join("/srv/data", name)).read()
""",
        [{"name": "../../etc/none.txt"}],
        [{"name": "a.txt"}, {"name": "a.py"}],
    ),
    "startswith without resolution": Program(
        """
import os
def handler(event, context):
    path = "/srv/data/" + event["name"]
    if not path.startswith("/srv/data/"): raise PermissionError
    return open(path).read()
""",
        [{"name": "../../etc/passwd"}],
        [{"name": "a.txt"}],
    ),
    "base64": Program(
        """
import base64
def handler(event, context):
    name = base64.b64decode(event["f"]).decode()
    return open("templates/" + name + ".html").read()
""",
        [{"f": b64("../../../../etc/passwd")}],
        [{"f": b64("mail")}],
    ),
    "whole": Program(
        """
def handler(event, context):
    with open(event["path"]) as f: return f.readline()
""",
        [{"path": "/etc/passwd"}, {"path": "../../etc/passwd"}, {"path": "/proc/self/environ"}],
    ),
    "listing": Program(
        """
import os
def handler(event, context):
    return os.listdir("/srv/files/" + event["dir"])
""",
        [{"dir": "../.."}, {"dir": "../../etc"}],
        [{"dir": "photos"}],
    ),
    "zip": Program(
        """
import base64, io, os, zipfile
def handler(event, context):
    z = zipfile.ZipFile(io.BytesIO(base64.b64decode(event["zip"])))
    for name in z.namelist():
        with open(os.path.join("/tmp/g4none", name), "wb") as f: f.write(z.read(name))
""",
        [{"zip": zip_("../../etc/g4none/x")}, {"zip": zip_("/etc/g4none/x")}],
    ),
    "tar": Program(
        """
import base64, io, tarfile, tempfile
def handler(event, context):
    with tempfile.TemporaryDirectory() as d:
        tarfile.open(fileobj=io.BytesIO(base64.b64decode(event["tar"]))).extractall(d)
""",
        [{"tar": tar("../g4none-x")}],
        [{"tar": tar("a/b.txt")}],
    ),
    "double decoding": Program(
        """
from urllib.parse import unquote
def handler(event, context):
    name = event["name"]
    if ".." in name: return 403
    return open("/srv/static/" + unquote(name)).read()
""",
        [{"name": "%2e%2e/%2e%2e/etc/passwd"}, {"name": "%2e%2e%2f%2e%2e%2fetc%2fpasswd"}],
        [{"name": "a.css"}, {"name": "a%20b.css"}],
    ),
    "parts": Program(
        """
import os
def handler(event, context):
    parts = event["tenant"], event["folder"], event["file"]
    return open(os.sep.join(["/srv/none/tenants", *parts])).read()
""",
        [
            {"tenant": "..", "folder": "..", "file": "../etc/passwd"},
            {"tenant": "a", "folder": "../b", "file": "../../x"},
        ],
        [{"tenant": "acme", "folder": "in", "file": "a.txt"}],
    ),
    "numpy and pandas": Program(
        """
import pandas as pd
def handler(event, context):
    return pd.read_csv("/srv/csv/" + event["name"]).shape
""",
        [{"name": "../../etc/passwd"}],
        [{"name": "a.csv"}],
    ),
    "queue, log file": Program(
        """
import json
def handler(event, context):
    for r in event["Records"]:
        m = json.loads(r["body"])
        with open("/var/log/g4none/%s.log" % m["app"], "a") as f: f.write(m["line"])
""",
        [sqs({"app": "../../etc/cron.d/x", "line": ""})],
        [sqs({"app": "web", "line": "../../x"})],
    ),
}
