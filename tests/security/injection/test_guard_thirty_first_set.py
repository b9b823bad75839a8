"""What a thirty-first set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes, placed

# -- single characters beside longer texts ---------------------------------------------------------

PROBE = """
import json, subprocess
def handler(event, context):
    chosen = json.loads(event["t"])
    words = ["echo", "probe", "-c", chosen["count"], chosen["target"]]
    return subprocess.run(" ".join(words), shell=True, capture_output=True, text=True).stdout
"""


def test_one_character_of_an_event_hides_no_longer_text(tmp_path: Path) -> None:
    texts = ('{"count": "5", "target": "10.0.0.1; id"}', '{"count": ";", "target": "id"}')
    cases = {text: (PROBE, {"t": text}) for text in texts}
    assert_blocked(tmp_path, cases, {"command"}, ("subprocess",))


# -- folders ---------------------------------------------------------------------------------------

LOGS = """
import os
BASE = "/tmp/svc/logs"
def handler(event, context):
    for folder in (BASE + "/nginx", "/tmp/svc/logs-old"):
        os.makedirs(folder, exist_ok=True)
    for name in (BASE + "/nginx/access 1.log", "/tmp/svc/logs-old/audit.log", "/tmp/svc/key.env"):
        with open(name, "w") as file:
            file.write("x")
    path = event["path"]
    if not path.startswith(BASE):
        return "no"
    with open(path) as file:
        return file.read()
"""


def test_a_path_within_the_folder_that_was_asked_for_passes(tmp_path: Path) -> None:
    cases = {p: (LOGS, {"path": p}) for p in ("/tmp/svc/logs/nginx/access 1.log", "/etc/passwd")}
    assert_passes(tmp_path, _in_own_folder(placed(cases, tmp_path), tmp_path), ())


def test_one_that_only_begins_like_it_is_stopped(tmp_path: Path) -> None:
    paths = ("/tmp/svc/logs-old/../logs-old/audit.log", "/tmp/svc/logs/nginx/../../key.env")
    cases = {p: (LOGS, {"path": p}) for p in paths}
    assert_blocked(tmp_path, _in_own_folder(placed(cases, tmp_path), tmp_path), {"path"}, ())


def _in_own_folder(cases: dict, folder: Path) -> dict:
    return {
        name: (code, {"path": event["path"].replace("/tmp/", f"{folder}/tmp/")})
        for name, (code, event) in cases.items()
    }


# -- URLs that bring what they are -----------------------------------------------------------------

COVER = """
import urllib.request
def handler(event, context):
    with urllib.request.urlopen(event["cover"], timeout=1) as answer:
        return len(answer.read())
"""


def test_a_url_of_data_asks_nobody(tmp_path: Path) -> None:
    urls = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==", "DATA:,it%27s")
    assert_passes(tmp_path, {url: (COVER, {"cover": url}) for url in urls}, ("urllib.request",))


def test_others_are_stopped(tmp_path: Path) -> None:
    urls = ("file:///etc/passwd", "data://10.0.0.1/x", "http://10.0.0.1/data:")
    cases = {url: (COVER, {"cover": url}) for url in urls}
    assert_blocked(tmp_path, cases, {"url"}, ("urllib.request",))


# -- a server of the function's own, for those who run it --------------------------------------------

METRICS = """
import threading, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    '''{told}'''
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x")
    def log_message(self, *given):
        pass
def handler(event, context):
    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    event = {{"url": event["url"].replace("PORT", str(server.server_port))}} if "url" in event else event
    return urllib.request.urlopen(event["url"], timeout=2).read().decode()
"""


def test_one_that_says_it_is_for_operators_is_for_no_event(tmp_path: Path) -> None:
    told = METRICS.format(told="Status page for the operators, on loopback only.")
    cases = {"told": (told, {"url": "http://127.0.0.1:PORT/status"})}
    assert_blocked(tmp_path, cases, {"url"}, ("http.server", "urllib.request"))


# -- fields of what is called a secret ---------------------------------------------------------------

NOTICE = """
class Secret:
    def __init__(self):
        self.name, self.owner, self.value = "db/main", "Ann", "x-9911"
DEFAULT = "Hi {secret.owner}, {secret.name} must be rotated."
def handler(event, context):
    return event["wording"].format(secret=Secret())
"""


def test_fields_that_the_codes_own_text_has_pass(tmp_path: Path) -> None:
    texts = ("{secret.name}: noch 3 Tage", "{secret.owner}!")
    assert_passes(tmp_path, {text: (NOTICE, {"wording": text}) for text in texts}, ())


def test_its_value_is_stopped(tmp_path: Path) -> None:
    texts = ("{secret.value}", "{secret.name} {secret.value}", "{secret.owner.__class__}")
    cases = {text: (NOTICE, {"wording": text}) for text in texts}
    assert_blocked(tmp_path, cases, {"code"}, ())
