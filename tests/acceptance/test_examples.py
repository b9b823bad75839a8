"""The examples, deployed and called over HTTP with their data; the tutorials, followed."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from casemate.advisories import Ecosystem, place_of_node
from casemate.advisories.importing import Wanted, import_advisories
from support import forked_cli
from support.node import TestNode
from support.waiting import wait_for

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UV = Path(sys.executable).with_name("uv")


def copied(name: str, to: Path) -> Path:
    """Return a copy of an example, so that nothing is written into the sources."""
    left_out = shutil.ignore_patterns(".casemate", "__pycache__", "*.key", ".venv")
    return shutil.copytree(EXAMPLES / name, to / name, ignore=left_out)


@pytest.fixture(scope="module", autouse=True)
def advisories(node: TestNode) -> None:
    """Have the node judge the packages of the examples by what comes with them."""
    source, place = str(EXAMPLES / "advisories"), place_of_node(node.data)
    import_advisories(Wanted(source=source, ecosystems=(Ecosystem.PYPI,)), place)


def log_of(node: TestNode, invocation: str) -> str:
    return node.client.get(f"{node.url}/api/v1/logs", params={"invocation": invocation}).text


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height from the frame header of a JPEG (ITU-T T.81, B.2.2)."""
    assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack_from("!H", data, at + 2)[0]
    height, width = struct.unpack_from("!HH", data, at + 5)
    return width, height


@pytest.fixture(scope="module")
def thumbnail(node: TestNode, tmp_path_factory: pytest.TempPathFactory) -> TestNode:
    node.deploy(copied("thumbnail", tmp_path_factory.mktemp("thumbnail")))
    return node


@pytest.mark.parametrize("edge", [64, 200, 1024])
def test_thumbnail(thumbnail: TestNode, edge: int) -> None:
    picture = (EXAMPLES / "thumbnail/data/landscape.jpg").read_bytes()
    width, height = jpeg_size(picture)
    answer = thumbnail.client.post(
        f"{thumbnail.url}/thumbnail/{edge}",
        content=picture,
        headers={"content-type": "image/jpeg"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    small = jpeg_size(answer.content)
    assert max(small) == min(edge, max(width, height))
    assert abs(small[0] / small[1] - width / height) < 0.05
    assert answer.headers["x-picture-size"] == f"{small[0]}x{small[1]}"
    assert b"Exif" not in answer.content
    log = log_of(thumbnail, answer.headers["x-request-id"]).replace("\\", "")
    assert f'"edge": {edge}' in log


def test_thumbnail_of_what_is_no_picture(thumbnail: TestNode) -> None:
    picture = (EXAMPLES / "thumbnail/data/landscape.jpg").read_bytes()
    for edge, body, kind, status in [
        ("200", picture[: len(picture) // 2], "image/jpeg", 422),
        ("200", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/jpeg", 422),
        ("200", picture, "image/png", 415),
        ("9999", picture, "image/jpeg", 400),
        ("200", b"", "image/jpeg", 400),
    ]:
        answer = thumbnail.client.post(
            f"{thumbnail.url}/thumbnail/{edge}", content=body, headers={"content-type": kind}
        )
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]


@pytest.mark.storm
def test_csv_summary(node: TestNode, tmp_path: Path) -> None:
    node.deploy(copied("csv-summary", tmp_path))
    data = (EXAMPLES / "csv-summary/data/stdlib-imports.csv").read_bytes()
    answer = node.client.post(
        f"{node.url}/summary", content=data, headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text
    rows = list(csv.DictReader(data.decode().splitlines()))
    summary = answer.json()
    columns = {column["name"]: column for column in summary["columns"]}
    assert summary["rows"] == len(rows) == 711
    assert list(columns) == list(rows[0])
    times = [float(row["milliseconds"]) for row in rows if row["milliseconds"]]
    found = columns["milliseconds"]
    assert found["missing"] == len(rows) - len(times) == 6
    assert found["type"] == "number"
    assert (found["min"], found["max"]) == (min(times), max(times))
    assert found["mean"] == pytest.approx(sum(times) / len(times), rel=1e-5)
    assert columns["module"]["type"] == "text"
    assert columns["module"]["distinct"] == len({row["module"] for row in rows})
    assert columns["measured_at"]["type"] == "date-time"
    refused = node.client.post(
        f"{node.url}/summary", content=b"a,b\n1,2,3\n", headers={"content-type": "text/csv"}
    )
    assert refused.status_code == 422, refused.text


def test_markdown(node: TestNode, tmp_path: Path) -> None:
    node.deploy(copied("markdown", tmp_path))
    source = (EXAMPLES / "markdown/data/article.md").read_bytes()
    answer = node.client.post(
        f"{node.url}/render", content=source, headers={"content-type": "text/markdown"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    html = answer.text
    assert "<h1>A fresh process for every call</h1>" in html
    assert "<table>" in html and "<blockquote>" in html and '<code class="language-python">' in html
    assert "<script" not in html and "&lt;script&gt;" in html
    assert '<a href="https://spec.commonmark.org/">' in html
    evil = node.client.post(
        f"{node.url}/render",
        content=b"[x](javascript:alert(1)) <img src=x onerror=y>",
        headers={"content-type": "text/markdown"},
    )
    assert "<img" not in evil.text and 'href="javascript' not in evil.text


def sender(project: Path, *arguments: str) -> str:
    """Run the sending side with what it needs, as the example's README does."""
    command = [UV, "run", "--quiet", "--no-project", "--python", sys.executable]
    command += ["--with-requirements", "requirements.txt", "python", "sender.py", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=True, timeout=90
    ).stdout


def test_webhook(node: TestNode, tmp_path: Path) -> None:
    project = copied("webhook", tmp_path)
    node.deploy(project)
    data = (project / "data/push.json").read_bytes()
    url = f"{node.url}/webhook"
    with_key = node.client.headers.pop("authorization")
    try:
        # As it is shipped it trusts nobody.
        assert node.client.post(url, content=data).status_code == 503
        assert sender(project, "keygen").startswith("whpk_")
        lines = sender(project, "headers", "data/push.json").splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        node.client.headers["authorization"] = with_key
        node.deploy(project)
        del node.client.headers["authorization"]

        accepted = node.client.post(url, content=data, headers=headers)
        assert accepted.status_code == 202, accepted.text
        assert accepted.json() == {"accepted": headers["webhook-id"], "type": "repository.push"}
        for change in (
            {"webhook-id": "msg_other"},
            {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
            {"webhook-signature": "v1a," + "A" * 86 + "=="},
            {"webhook-signature": ""},
        ):
            refused = node.client.post(url, content=data, headers=headers | change)
            assert refused.status_code == 401, change
            assert refused.json() == {"error": "not signed by a trusted sender"}
        assert node.client.post(url, content=data + b" ", headers=headers).status_code == 401
    finally:
        node.client.headers["authorization"] = with_key


def command_line(
    node: TestNode, folder: Path, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command line in a project's folder, as an owner of the node."""
    env = os.environ | {"CASEMATE_URL": node.url, "CASEMATE_KEY": node.key, "NO_COLOR": "1"}
    return forked_cli.run(arguments, cwd=folder, stdin=stdin, env=env)


def ok(node: TestNode, folder: Path, *arguments: str, stdin: str = "") -> str:
    done = command_line(node, folder, *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


RECEIPT_KEY = "a key for receipts that this test alone has"


@pytest.fixture(scope="module")
def orders(node: TestNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deploy the orders and set their secret; return the project's folder."""
    project = copied("orders", tmp_path_factory.mktemp("orders"))
    stopped = command_line(node, project, "deploy")
    assert stopped.returncode == 4, "a first deploy with grants needs a yes"
    assert "+ secret receipt-key: read" in stopped.stderr
    ok(node, project, "deploy", "--approve")
    order = json.loads((project / "data/order.json").read_text())
    assert node.client.post(f"{node.url}/orders", json=order).status_code == 503
    ok(node, project, "secrets", "set", "orders/receipt-key", stdin=RECEIPT_KEY)
    return project


def order_of(project: Path, reference: str) -> dict[str, Any]:
    order = json.loads((project / "data/order.json").read_text())
    return {**order, "reference": reference}


def test_an_order_is_placed_once_and_its_receipt_is_signed(node: TestNode, orders: Path) -> None:
    order = order_of(orders, "once")
    answers = [node.client.post(f"{node.url}/orders", json=order) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200], answers[0].text
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert answers[0].json()["total_cents"] == 3495 + 12 * 690 + 3 * 120
    changed = {**order, "lines": order["lines"][:1]}
    assert node.client.post(f"{node.url}/orders", json=changed).status_code == 409

    receipt = node.client.get(node.url + answers[0].headers["location"])
    assert receipt.status_code == 200, receipt.text
    signature = hmac.new(RECEIPT_KEY.encode(), receipt.content, hashlib.sha256).hexdigest()
    assert receipt.headers["x-receipt-signature"] == f"sha256={signature}"
    assert RECEIPT_KEY not in receipt.text
    assert receipt.json()["lines"][0]["name"] == "Kettle, 2 l"
    assert node.client.get(f"{node.url}/orders/{'0' * 24}/receipt").status_code == 404


@pytest.mark.storm
def test_what_the_orders_are_granted_is_what_they_use(node: TestNode, orders: Path) -> None:
    order = order_of(orders, "grants")
    for _ in range(2):
        answer = node.client.post(f"{node.url}/orders", json=order)
    assert node.client.get(node.url + answer.headers["location"]).status_code == 200
    # What follows an order is done by those whose turn it is.
    message = {"order": "f" * 24, "lines": [{"sku": "kettle-2l", "quantity": 20}]}
    assert node.invoke({"x": 1}, function="orders/pack").status_code == 403
    heavy = order_of(orders, "heavy") | {"lines": message["lines"]}
    assert node.client.post(f"{node.url}/orders", json=heavy).status_code == 201
    wait_for(lambda: len(objects(node, orders, "orders/documents", "pallets/")) >= 1)
    for function in ("place", "price", "receipt", "pack", "label", "pallet"):
        shown = json.loads(ok(node, orders, "grants", "show", function, "--json"))
        granted = {
            (name, action)
            for grant in shown["granted"]
            for name in [f"{grant['kind']} {grant['name']}"]
            for action in grant["actions"]
        }
        used = {(" ".join(use["grant"].split()[:2]), use["action"]) for use in shown["uses"]}
        assert used == granted, function
        # That its first deploy waited for a yes stands there, too.
        assert [each for each in shown["denials"] if each["action"] != "function:deploy"] == []
        assert bool(granted) is (function != "price")


def objects(node: TestNode, project: Path, bucket: str, prefix: str = "") -> list[str]:
    """Return the keys of a bucket."""
    arguments = ["buckets", "objects", bucket, "--prefix", prefix, "--json"]
    return [one["key"] for one in json.loads(ok(node, project, *arguments))["objects"]]


def content(node: TestNode, project: Path, bucket: str, key: str) -> bytes:
    """Return an object's content."""
    target = project / "fetched"
    target.unlink(missing_ok=True)
    ok(node, project, "buckets", "get", bucket, key, "--output", str(target))
    return target.read_bytes()


def test_an_order_is_packed_and_labelled_and_what_cannot_be_is_a_dead_letter(
    node: TestNode, orders: Path
) -> None:
    """Queue, function, topic, two subscribers (one with a filter), dead letters, a result."""
    light = node.client.post(f"{node.url}/orders", json=order_of(orders, "light")).json()["id"]
    lines = {"lines": [{"sku": "scale-kitchen", "quantity": 40}]}
    heavy = node.client.post(f"{node.url}/orders", json=order_of(orders, "heavier") | lines)
    lines = {"lines": [{"sku": "scale-kitchen", "quantity": 1000}]}
    hopeless = node.client.post(f"{node.url}/orders", json=order_of(orders, "hopeless") | lines)
    assert (heavy.status_code, hopeless.status_code) == (201, 201)

    def labelled(order: str) -> bool:
        return f"labels/{order}.txt" in objects(node, orders, "orders/documents", "labels/")

    wait_for(lambda: labelled(light) and labelled(heavy.json()["id"]))
    pallet = f"pallets/{heavy.json()['id']}.json"
    wait_for(lambda: pallet in objects(node, orders, "orders/documents", "pallets/"))
    assert f"pallets/{light}.json" not in objects(node, orders, "orders/documents", "pallets/")

    def letters() -> Any:
        listed = ok(node, orders, "dlq", "ls", "orders/to-ship", "--queue", "--json")
        return json.loads(listed)["letters"]

    (letter,) = wait_for(letters)
    assert letter["attempts"] == 3
    assert not labelled(hopeless.json()["id"])
    (complaint,) = wait_for(lambda: objects(node, orders, "orders/documents", "complaints/"))
    told = json.loads(content(node, orders, "orders/documents", complaint))
    assert told["function"] == "pack"
    assert told["attempts"] == 3
    log = node.client.get(f"{node.url}/api/v1/logs?project=orders&function=pack").text
    assert "do not fit on a lorry" in log
    ok(node, orders, "dlq", "purge", "orders/to-ship", "--queue", "--all", "--yes")
    assert letters() == []


@pytest.mark.storm
def test_pictures_in_a_bucket_get_thumbnails(node: TestNode, tmp_path: Path) -> None:
    project = copied("thumbnail", tmp_path)
    ok(node, project, "deploy", "--approve")
    ok(node, project, "buckets", "put", "thumbnail/pictures", "a/b.jpg", "data/landscape.jpg")
    ok(node, project, "buckets", "put", "thumbnail/pictures", "x.jpg", "casemate.toml")
    ok(node, project, "buckets", "put", "thumbnail/pictures", "x.txt", "casemate.toml")
    wait_for(lambda: objects(node, project, "thumbnail/thumbnails"))
    small = content(node, project, "thumbnail/thumbnails", "a/b.jpg")
    assert max(jpeg_size(small)) == 200
    ok(node, project, "buckets", "rm", "thumbnail/pictures", "a/b.jpg", "--yes")
    wait_for(lambda: not objects(node, project, "thumbnail/thumbnails"))
    records = node.get("/invocations", project="thumbnail", function="uploaded")["invocations"]
    assert {record["outcome"] for record in records} == {"ok"}
    assert len(records) == 3, "one for each of two pictures, one for the deletion"


@pytest.mark.storm
def test_the_ledger_has_a_trail_and_a_report(node: TestNode, tmp_path: Path) -> None:
    """A table's changes, and a schedule, which is made to come sooner."""
    project = copied("ledger", tmp_path)
    manifest = project / "casemate.toml"
    nightly = 'cron = "15 2 * * *"\ntimezone = "Europe/Berlin"\n'
    assert nightly in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(nightly, 'every = "1s"\n'))
    ok(node, project, "deploy", "--approve")
    entry = json.loads((project / "data/entry.json").read_text())
    yesterday = datetime.now(ZoneInfo("Europe/Berlin")).date() - timedelta(days=1)
    entry["day"] = yesterday.isoformat()
    for cents in (-1890, -1980, -1980):
        answer = node.client.put(f"{node.url}/entries/e-1", json=entry | {"cents": cents})
        assert answer.status_code == 200, answer.text
    refused = node.client.put(f"{node.url}/entries/e-2", json=entry | {"cents": "much"})
    assert refused.status_code == 400, refused.text
    assert "much" not in refused.text

    keys = wait_for(lambda: _three(objects(node, project, "ledger/archive", "trail/e-1/")))
    trail = [json.loads(content(node, project, "ledger/archive", key)) for key in keys]
    trail.sort(key=lambda one: one["at"])
    assert [one["what"] for one in trail] == ["entered", "changed", "changed"]
    assert [one["changed"] for one in trail[1:]] == [["cents"], []]
    assert trail[0]["old"] is None
    assert (trail[1]["old"]["cents"], trail[1]["new"]["cents"]) == (-1890, -1980)

    key = f"reports/{yesterday.isoformat()}.json"
    wait_for(lambda: key in objects(node, project, "ledger/archive", "reports/"))

    def report() -> Any:
        return json.loads(content(node, project, "ledger/archive", key))

    wait_for(lambda: report()["entries"] == 1)
    assert report() == {"day": yesterday.isoformat(), "entries": 1, "cents": {"travel": -1980}}
    ok(node, project, "rm", "ledger/report", "--yes")


def _three(found: list[str]) -> list[str]:
    return found if len(found) == 3 else []


@pytest.mark.storm
def test_a_push_to_a_repository_is_announced(node: TestNode, tmp_path: Path) -> None:
    """A real repository with the hook that the command line prints."""
    project = copied("deploy-notifier", tmp_path)
    ok(node, project, "deploy", "--approve")
    ok(node, project, "secrets", "set", "deploy-notifier/push-key", stdin="a key of this test")
    bare, clone = tmp_path / "shop.git", tmp_path / "clone"

    def git(*arguments: str, at: Path = tmp_path) -> str:
        names = {
            f"GIT_{who}_{what}": f"ada@{what}"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=at,
            env=os.environ | names,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    git("init", "--quiet", "--bare", str(bare))
    git("init", "--quiet", "--initial-branch=main", str(clone))
    hook = bare / "hooks/post-receive"
    hook.write_text(ok(node, project, "hooks", "git", "announce"))
    hook.chmod(0o755)
    key = bare / "hooks/casemate.key"
    key.write_text("a key of this test\n")
    key.chmod(0o600)
    assert "has answered" in subprocess.run([hook, "ping"], capture_output=True, text=True).stdout
    git("commit", "--quiet", "--allow-empty", "--message", "Begin", at=clone)
    told = git("push", "--quiet", str(bare), "main", "main:refs/heads/other", at=clone)
    assert "not told" not in told

    def waiting() -> int:
        shown = ok(node, project, "queues", "show", "deploy-notifier/announcements", "--json")
        return int(json.loads(shown)["waiting"])

    wait_for(waiting)
    log = node.client.get(f"{node.url}/api/v1/logs?project=deploy-notifier&function=announce").text
    assert git("rev-parse", "HEAD", at=clone).strip() in log
    assert waiting() == 1, "the other branch is not announced"
    key.write_text("another key\n")
    git("commit", "--quiet", "--allow-empty", "--message", "Go on", at=clone)
    assert "was not told of refs/heads/main" in git("push", str(bare), "main", at=clone)
    assert waiting() == 1


def test_a_price_is_for_functions_alone(node: TestNode, orders: Path) -> None:
    refused = node.client.post(f"{node.url}/invoke/orders/price", json={"lines": []})
    assert refused.status_code == 403
    listed = json.loads(ok(node, orders, "denials", "price", "--json"))["denials"]
    assert refused.headers["x-request-id"] in {denial["invocation"] for denial in listed}


DOCUMENTS = EXAMPLES.parent / "docs/tutorial"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
USUAL_URL = "http://127.0.0.1:8787"
OF_THE_HOST = ("make demo", "casemate serve", "casemate doctor", "export PATH")
"""Commands that a test has no need of: its node runs already."""


class Reader:
    """Follows a tutorial: types its commands, writes its files, compares what it shows."""

    def __init__(self, node: TestNode, home: Path) -> None:
        self.node = node
        self.home = self.folder = home
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("CASEMATE_", "XDG_"))}
        # The command as installed beside this Python, running what this Python imports.
        (home / "bin").mkdir()
        program = home / "bin" / "casemate"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m casemate.cli.main "$@"\n')
        program.chmod(0o755)
        path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**kept, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200", "PATH": path}
        self.error_id = ""

    def follow(self, text: str, *, adds_to_the_manifest: bool) -> int:
        """Do what a tutorial says, from top to bottom; return the number of its commands."""
        count = 0
        for kind, body in BLOCK.findall(text):
            if kind == "python":
                (self.folder / "src/app.py").write_text(body)
            elif kind == "toml":
                path = self.folder / "casemate.toml"
                before = path.read_text() if adds_to_the_manifest else ""
                path.write_text(f"{before}\n{body}")
            elif kind == "console":
                count += self.type(body)
        return count

    def type(self, block: str) -> int:
        """Type the commands of a block; return how many there were."""
        commands = re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]
        for written in commands:
            command, _, shown = written.partition("\n")
            if not command.startswith(OF_THE_HOST):
                self.run(command, [line for line in shown.splitlines() if line.strip()])
        return len(commands)

    def run(self, written: str, shown: list[str]) -> None:
        """Run one command; what is shown of its output must come in that order."""
        command = written.replace(USUAL_URL, self.node.url).replace("cm_...", self.node.key)
        command = command.replace("err_...", self.error_id)
        stdin = ""
        if command == "casemate login":
            command, stdin, shown = f"casemate login {self.node.url}", self.node.key + "\n", []
        elif command.startswith("casemate rm") and "--yes" not in command:
            command, shown = f"{command} --yes", []
        elif command.startswith("export "):
            name, _, value = command.partition("#")[0].strip()[7:].partition("=")
            self.environ[name] = value
            return
        place = self.home / ".place"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}\ncode=$?; pwd >{place}; exit $code"],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.folder = Path(place.read_text().strip())
        printed = f"{done.stdout}\n{done.stderr}"
        fails = any(line.startswith("Error: ") for line in shown)
        assert (done.returncode != 0) is fails, (written, printed)
        if found := re.findall(r"err_[0-9a-f]+", printed):
            self.error_id = found[-1]
        left = iter(printed.splitlines())
        for line in shown:
            words = line.replace(USUAL_URL, self.node.url).split()
            parts = [re.escape(word).replace(r"\.\.\.", ".*") for word in words]
            # Columns are as wide as what is in them: any space is as good as another.
            wanted = re.compile(r"\s+".join(parts).replace(r"\s+.*\s+", r"\s.*\s"))
            assert any(wanted.fullmatch(one.strip()) for one in left), (written, line, printed)


def test_the_first_tutorial_can_be_followed(node: TestNode, tmp_path: Path) -> None:
    text = (DOCUMENTS / "first-function.md").read_text()
    assert Reader(node, tmp_path).follow(text, adds_to_the_manifest=True) > 20


def test_the_tutorial_of_grants_can_be_followed(node: TestNode, tmp_path: Path) -> None:
    reader = Reader(node, tmp_path)
    reader.run("casemate login", [])
    text = (DOCUMENTS / "grants.md").read_text()
    assert reader.follow(text, adds_to_the_manifest=False) > 15


@pytest.mark.storm
def test_the_tutorial_of_events_can_be_followed(node: TestNode, tmp_path: Path) -> None:
    reader = Reader(node, tmp_path)
    reader.run("casemate login", [])
    text = (DOCUMENTS / "events.md").read_text()
    assert reader.follow(text, adds_to_the_manifest=False) > 20
