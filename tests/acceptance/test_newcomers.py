"""Three projects from empty folders by the commands of the guides, at a terminal of 80 columns."""

from __future__ import annotations

import http.server
import json
import os
import pty
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest

from support.advisories import record
from support.node import TestNode

pytestmark = [pytest.mark.storm, pytest.mark.timeout(900)]
_SGR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ID = re.compile(r"(?:inv|err)_[0-9a-f]{24}\b")


class Newcomer:
    """Somebody at a terminal of 80 columns, in a folder of a project."""

    def __init__(self, node: TestNode, home: Path, project: str) -> None:
        self.node = node
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("CASEMATE_")}
        self.environ |= {"HOME": str(home), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        self.environ |= {"CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
        self.folder = home
        self("init", project)
        self.folder = home / project

    def __call__(self, *arguments: str, code: int = 0, narrow: bool = False) -> str:
        """Run a command; return what it shows. `narrow`: no line is wider than the terminal."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "casemate.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            env=self.environ,
            cwd=self.folder,
            start_new_session=True,
        )
        os.close(slave)
        shown = bytearray()
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:  # the command has ended
            pass
        finally:
            os.close(master)
        ended = process.wait(120)
        text = _SGR.sub("", shown.decode()).replace("\r\n", "\n")
        assert ended == code, (arguments, ended, text)
        assert "\\x1b" not in text, text
        if narrow:
            assert max(map(len, re.split("[\r\n]", text))) <= 80, text
        return text

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.folder / {"manifest": "casemate.toml", "code": "src/app.py"}.get(name, name)
            path.write_text(text)

    def test(self, text: str) -> None:
        """Run tests of the handlers, as the guide of functions writes them."""
        (self.folder / "tests/test_app.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "unittest", "discover", "tests"],
            cwd=self.folder,
            env=self.environ | {"PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_with_packages(self, code: str) -> None:
        """Run such a test with the packages of the lock, as the guide writes it."""
        tests = "import unittest\n\n{code}\nfrom casemate.testing import TestProject\n\n\n"
        tests += "class T(unittest.TestCase):\n    def test_it(self):\n"
        tests += "        TestProject('casemate.toml')\n"
        (self.folder / "tests/test_app.py").write_text(tests.format(code=code))
        (lock,) = self.folder.glob("requirements.txt.cp*.lock")
        python = Path(sys.executable)
        uv = [str(python.with_name("uv")), "run", "--no-project", "--python", str(python)]
        test = ["python", "-m", "unittest", "discover", "tests"]
        done = subprocess.run(
            [*uv, "--with-requirements", lock.name, *test],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0 and "Ran 1 test" in done.stderr, done.stderr


LINKS = """
[project]
name = "short"

[table.links]
key = "code"
ttl = "expires_at"

[function.follow]
handler = "app:follow"
source = "src"
public = true

[[function.follow.http]]
method = "GET"
path = "/s/{code}"

[function.follow.cors]
origins = ["https://app.example.com"]

[function.follow.grants]
tables = [{ name = "links", actions = ["get", "put"] }]

[function.shorten]
handler = "app:shorten"
source = "src"

[[function.shorten.http]]
method = "POST"
path = "/s"

[function.shorten.grants]
tables = [{ name = "links", actions = ["put"] }]
"""
SHORTENER = """
import json
import secrets
import time

from casemate import ConflictError, NotFoundError


def follow(event, context):
    links = context.table("links")
    while True:
        try:
            item = links.get(event["path_parameters"]["code"])
        except NotFoundError:
            return {"status": 404, "body": {"error": "no such link"}}
        if event["method"] == "HEAD":
            break
        try:
            clicks = item.value["clicks"] + 1
            links.put({**item.value, "clicks": clicks}, if_revision=item.revision)
            break
        except ConflictError:
            continue
    return {"status": 302, "headers": {"location": item.value["url"]}}


def shorten(event, context):
    body = json.loads(event["body"])
    code, now = secrets.token_urlsafe(5), int(time.time())
    item = {"code": code, "url": body["url"], "clicks": 0, "expires_at": now + body["seconds"]}
    context.table("links").put(item, if_revision=0)
    return {"status": 201, "body": {"code": code}}
"""
SHORTENER_TEST = """
import unittest

from casemate.testing import TestProject

from app import follow, shorten


class Test(unittest.TestCase):
    def test_a_link_is_followed_and_counted(self):
        project = TestProject("casemate.toml")
        wanted = {"url": "https://example.org/", "seconds": 60}
        event = project.request("shorten", "POST", "/s", body=wanted)
        code = shorten(event, project.context("shorten"))["body"]["code"]
        answer = follow(project.request("follow", "GET", f"/s/{code}"), project.context("follow"))
        self.assertEqual(answer["status"], 302)
        self.assertEqual(project.tables["links"].get(code).value["clicks"], 1)
"""


def test_a_shortener_with_public_routes(node: TestNode, tmp_path: Path) -> None:
    at = Newcomer(node, tmp_path, "short")
    at.write(manifest=LINKS, code=SHORTENER)
    at.test(SHORTENER_TEST)
    assert "--approve" in at("deploy", code=4, narrow=True)
    at("deploy", "--approve", narrow=True)
    key = {"authorization": f"Bearer {node.key}"}

    def made(seconds: int) -> str:
        wanted = {"url": "https://example.org/a", "seconds": seconds}
        answer = httpx2.post(f"{node.url}/s", json=wanted, headers=key)
        assert answer.status_code == 201, answer.text
        return f"{node.url}/s/{answer.json()['code']}"

    link = made(60)
    for method, status in (("GET", 302), ("HEAD", 302), ("POST", 405)):
        assert httpx2.request(method, link).status_code == status
    assert httpx2.get(f"{node.url}/s/absent").status_code == 404
    assert httpx2.get(made(-1)).status_code == 404
    assert httpx2.post(f"{node.url}/s", json={}).status_code == 401
    asked = {"origin": "https://app.example.com", "access-control-request-method": "GET"}
    assert httpx2.options(link, headers=asked).status_code == 204
    assert '"clicks": 1' in at("tables", "query", "links")

    for command in ("ls", "show follow", "invocations", "denials", "errors ls", "secrets ls"):
        at(*command.split(), narrow=True)
    refused = json.loads(at("errors", "ls", "--each", "--all", "--json"))["errors"][0]["id"]
    assert " version 0" not in at("errors", "show", refused, narrow=True)
    assert "One first segment" in at("routes", "claim", "short", "--prefix", "/x/y", code=2)

    at.write(code=SHORTENER + "\n# the second version\n")
    stop = threading.Event()

    def call() -> None:
        while not stop.wait(0.02):
            httpx2.get(link)

    caller = threading.Thread(target=call)
    caller.start()
    try:
        shown = at("deploy", "follow", "--weight", "50", "--watch", "20", narrow=True)
    finally:
        stop.set()
        caller.join()
    assert "version 2 gets 50 % of the calls, version 1 the others" in shown
    assert "promoted, live is version 2" in shown and "unused" not in shown
    assert "live is version 1 again" in at("rollback", "follow", narrow=True)


IMAGES = """
[project]
name = "images"

[bucket.uploads]

[bucket.small]

[topic.resized]

[function.resize]
handler = "app:resize"
source = "src"
requirements = "requirements.txt"

[[function.resize.bucket]]
bucket = "uploads"
suffix = ".png"

[function.resize.grants]
buckets = [{ name = "uploads", actions = ["read"] }, { name = "small", actions = ["write"] }]
topics = ["resized"]

[function.resize.delivery]
attempts = 2
backoff = "100ms"

[function.tell]
handler = "app:tell"
source = "src"
requirements = "requirements.txt"

[[function.tell.topic]]
topic = "resized"
"""
RESIZE = """
import io

from PIL import Image


def resize(event, context):
    key = event.detail["key"]
    picture = Image.open(io.BytesIO(context.bucket("uploads").get(key)))
    picture.thumbnail((20, 20))
    out = io.BytesIO()
    picture.save(out, "PNG")
    context.bucket("small").put(key, out.getvalue(), content_type="image/png")
    context.topic("resized").publish({"key": key, "width": picture.width})


def tell(event, context):
    context.log.info("ready", **event.data)
"""
MENDED = RESIZE.replace(
    "    picture.thumbnail",
    '    context.log.info("mended")\n    picture.thumbnail',
).replace(
    '    picture = Image.open(io.BytesIO(context.bucket("uploads").get(key)))\n',
    "    try:\n"
    '        picture = Image.open(io.BytesIO(context.bucket("uploads").get(key)))\n'
    "    except OSError:\n"
    '        context.log.warning("not a picture", key=key)\n'
    "        return\n",
)


def _png(width: int, height: int) -> bytes:
    """Return a grey picture (PNG specification, 5.3)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", check)

    head = struct.pack("!IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes(range(width))) * height
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_an_image_pipeline_with_dead_letters(node: TestNode, tmp_path: Path) -> None:
    at = Newcomer(node, tmp_path, "images")
    at.write(manifest=IMAGES, code=RESIZE, **{"requirements.txt": "pillow\n"})
    refused = at("deploy", "--approve", code=1)
    # A command that is wider than the terminal goes on behind a backslash, as a shell reads it.
    in_a_line = " ".join(refused.replace("\\\n", " ").split())
    assert "casemate advisories import https://osv-vulnerabilities" in in_a_line
    source = tmp_path / "osv"  # stands for osv.dev, which no test asks
    source.mkdir()
    (source / "one.json").write_text(json.dumps(record(name="nobody-has-this")))
    at("advisories", "import", str(source), "--ecosystem", "PyPI", "--node", narrow=True)
    at("deploy", "--approve")
    at.test_with_packages("import PIL")
    picture = tmp_path / "wide.png"
    picture.write_bytes(_png(100, 50))
    (tmp_path / "poison.png").write_bytes(os.urandom(3000))
    at("buckets", "put", "uploads", "in/wide.png", str(picture), narrow=True)
    at("buckets", "put", "uploads", "in/poison.png", str(tmp_path / "poison.png"), narrow=True)
    node.wait_until(lambda: "ready" in at("logs", "tell"), 30)
    at("buckets", "get", "small", "in/wide.png", "--output", "small.png")
    assert (at.folder / "small.png").read_bytes()[16:24] == b"\0\0\0\x14\0\0\0\x0a"
    node.wait_until(lambda: "handler-error" in at("dlq", "ls", "resize", narrow=True), 30)
    letter = re.search(r"^[0-9a-f]{16}\b", at("dlq", "ls", "resize"), re.MULTILINE)
    assert letter and "in/poison.png" in at("dlq", "show", "resize", letter[0])
    assert "gone" not in at("errors", "ls", "resize", narrow=True)
    error = _ID.search(at("errors", "ls", "resize"))
    assert error and "UnidentifiedImageError" in at("errors", "show", error[0])

    at.write(code=MENDED)
    at("deploy")
    assert "tried again" in at("dlq", "redrive", "resize", "--all")
    node.wait_until(lambda: "not a picture" in at("logs", "resize"), 30)
    assert "No event" in at("dlq", "ls", "resize")


class _Sales(http.server.BaseHTTPRequestHandler):
    posted: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        known = self.headers.get("authorization") == "Bearer s3cr3t-value"
        body = b'{"sales": [3, 4, 5]}'
        self.send_response(200 if known else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.posted.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def sales() -> Iterator[int]:
    _Sales.posted.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sales)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


REPORT = """
[project]
name = "report"

[function.nightly]
handler = "app:nightly"
source = "src"
environment = { SALES = "http://127.0.0.1:PORT" }

[[function.nightly.schedule]]
name = "nightly"
cron = "15 2 * * *"
timezone = "Europe/Berlin"
data = { days_back = 1 }

[function.nightly.grants]
secrets = ["sales-key"]
egress = [{ host = "127.0.0.1", port = PORT, private = true, exception = "our sales service" }]

[function.nightly.delivery]
attempts = 1
"""
NIGHTLY = """
import json
import os
import urllib.request


def nightly(event, context):
    headers = {"authorization": "Bearer " + context.secret("sales-key")}
    asked = urllib.request.Request(os.environ["SALES"] + "/sales", headers=headers)
    with urllib.request.urlopen(asked, timeout=5) as answer:
        total = sum(json.load(answer)["sales"])
    told = json.dumps({"total": total, "days_back": event.data["days_back"]}).encode()
    urllib.request.urlopen(os.environ["SALES"] + "/hook", data=told, timeout=5).close()
    return {"total": total}
"""


def test_a_nightly_report_with_a_secret_and_egress(
    node: TestNode, tmp_path: Path, sales: int
) -> None:
    at = Newcomer(node, tmp_path, "report")
    at.write(manifest=REPORT.replace("PORT", str(sales)), code=NIGHTLY)
    assert "casemate secrets set report/sales-key" in at("deploy", "--approve", narrow=True)
    error = _ID.search(at("invoke", "nightly", '{"days_back": 1}', code=1, narrow=True))
    assert error and "secrets set report/sales-key" in at("errors", "show", error[0])
    values = tmp_path / "values.env"
    values.write_text("SALES_KEY=s3cr3t-value\n")
    at("secrets", "import", "report", str(values), narrow=True)
    assert '{"total":12}' in at("invoke", "nightly", '{"days_back": 1}')
    assert "Europe/Berlin, next " in at("show", "nightly", narrow=True)
    at("trigger", "fire", "nightly", "nightly", narrow=True)
    node.wait_until(lambda: len(_Sales.posted) == 2, 20)
    node.wait_until(lambda: re.search(r"last run .*: ok", at("show", "nightly", narrow=True)), 20)
    assert json.loads(_Sales.posted[1]) == {"total": 12, "days_back": 1}
    at("secrets", "rotation", "sales-key", "--form", "hex", "--length", "64", narrow=True)
    at("secrets", "rotate", "sales-key", "--reason", "it is a year old", narrow=True)
    at("invoke", "nightly", '{"days_back": 1}', code=1, narrow=True)  # the other side has not
    at("secrets", "revert", "sales-key", "--reason", "not known there", narrow=True)
    assert '{"total":12}' in at("invoke", "nightly", '{"days_back": 1}')
    for command in ("grants show nightly", "top --once", "metrics nightly", "usage nightly"):
        at(*command.split())
    at("rm", "nightly", "--yes", narrow=True)
    at("secrets", "rm", "sales-key", "--yes", narrow=True)
    assert "no secrets" in at("secrets", "ls", "report")
