"""Handlers that resolve and check, take a base name or choose."""

from support.guard_corpus import Program, s3, zip_

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/../b.txt",
    "....//x",
    "a.txt",
    "%2e%2e/x",
    "~root",
    "x y",
]


def each(key):
    return [{key: h} for h in HOSTILE]


PROGRAMS = {
    "basename": Program(
        """
import os
def handler(event, context):
    return open(os.path.join("/srv/data", os.path.basename(event["n"]))).read()
""",
        benign=each("n"),
    ),
    "realpath and startswith": Program(
        """
import os
BASE = os.path.realpath("/srv/data")
def handler(event, context):
    path = os.path.realpath(os.path.join(BASE, event["n"]))
    if not path.startswith(BASE + os.sep): return {"statusCode": 403}
    return open(path).read()
""",
        benign=each("n"),
    ),
    "is_relative_to": Program(
        """
from pathlib import Path
ROOT = Path("/srv/data").resolve()
def handler(event, context):
    p = (ROOT / event["n"]).resolve()
    if not p.is_relative_to(ROOT): raise PermissionError("outside")
    return p.read_text()
""",
        benign=each("n"),
    ),
    "relative_to in a helper": Program(
        """
from files import safe
def handler(event, context):
    try: p = safe(event["n"])
    except ValueError: return 403
    return p.read_text()
#### files.py
from pathlib import Path
ROOT = Path("/srv/data")
def safe(name):
    p = ROOT.joinpath(name).resolve()
    p.relative_to(ROOT.resolve())
    return p
""",
        benign=each("n"),
    ),
    "commonpath": Program(
        """
import os
def handler(event, context):
    base = "/srv/data"
    path = os.path.abspath(os.path.join(base, event["n"]))
    if os.path.commonpath([base, path]) != base: return 403
    with open(path) as f: return f.read()
""",
        benign=each("n"),
    ),
    "pattern": Program(
        """
import re
def handler(event, context):
    m = re.match(r"^[\\w-]+\\.txt$", event["n"])
    if m is None: return 400
    return open("/srv/data/" + m.group(0)).read()
""",
        benign=each("n"),
    ),
    "dictionary": Program(
        """
FILES = {"terms": "/srv/legal/terms.txt", "privacy": "/srv/legal/privacy.txt"}
def handler(event, context):
    path = FILES.get(event["n"])
    return open(path).read() if path else 404
""",
        benign=[*each("n"), {"n": "terms"}],
    ),
    "hash of the name": Program(
        """
import hashlib, os
def handler(event, context):
    h = hashlib.sha256(event["n"].encode()).hexdigest()
    return os.path.exists(os.path.join("/tmp/cache", h[:2], h))
""",
        benign=each("n"),
    ),
    "temporary file": Program(
        """
import tempfile
def handler(event, context):
    with tempfile.NamedTemporaryFile("w+", suffix=".txt") as f:
        f.write(event["n"]); f.seek(0)
        return f.read()
""",
        benign=[*each("n"), {"n": "/tmp"}, {"n": ".txt"}],
    ),
    "secure name": Program(
        """
import re, os
def secure_filename(name):
    name = name.replace("/", " ").replace("\\\\", " ")
    return re.sub(r"[^A-Za-z0-9_.-]", "", "_".join(name.split())).strip("._")
def handler(event, context):
    name = secure_filename(event["n"])
    return open(os.path.join("/srv/uploads", name)).read()
""",
        benign=each("n"),
    ),
    "number": Program(
        """
def handler(event, context):
    return open(f"/srv/invoices/{int(event['id']):08d}.pdf", "rb").read()
""",
        benign=[{"id": "17"}, {"id": 3}, {"id": "../1"}],
    ),
    "listed": Program(
        """
import os
def handler(event, context):
    here = os.path.dirname(os.path.abspath(__file__))
    if event["n"] not in os.listdir(here): return 404
    return open(os.path.join(here, event["n"])).read()
""",
        benign=each("n"),
    ),
    "object key, name": Program(
        """
from pathlib import PurePosixPath
from urllib.parse import unquote_plus
def handler(event, context):
    name = PurePosixPath(unquote_plus(event["Records"][0]["s3"]["object"]["key"])).name
    with open("/tmp/g4none/" + name, "wb") as f: f.write(b"")
""",
        benign=[s3("a/b.png"), s3("..%2F..%2Fx.png"), s3("a+b/c+d.png")],
    ),
    "dots refused": Program(
        """
import os
def handler(event, context):
    name = event["n"]
    if ".." in name or name.startswith("/") or "\\x00" in name: return 400
    return open(os.path.join("/srv/data", name)).read()
""",
        benign=each("n"),
    ),
    "zip, checked": Program(
        """
import base64, io, zipfile, tempfile
def handler(event, context):
    with tempfile.TemporaryDirectory() as d, zipfile.ZipFile(io.BytesIO(base64.b64decode(event["zip"]))) as z:
        for i in z.infolist():
            if i.filename.startswith("/") or ".." in i.filename: return "refused"
        z.extractall(d)
""",
        benign=[{"zip": zip_("../x")}, {"zip": zip_("a/b.txt")}],
    ),
    "zip, in memory": Program(
        """
import base64, io, zipfile
def handler(event, context):
    z = zipfile.ZipFile(io.BytesIO(base64.b64decode(event["zip"])))
    return {n: len(z.read(n)) for n in z.namelist()}
""",
        benign=[{"zip": zip_("../x")}, {"zip": zip_("a/b.txt")}],
    ),
    "uuid": Program(
        """
import uuid
def handler(event, context):
    key = str(uuid.UUID(event["id"]))
    return open("/srv/objects/" + key[:2] + "/" + key).read()
""",
        benign=[{"id": "12345678-1234-5678-1234-567812345678"}, {"id": "../x"}],
    ),
}
