"""The examples, built with what they install, deployed, and called over HTTP with their data."""

from __future__ import annotations

import csv
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from support.node import TestNode

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UV = Path(sys.executable).with_name("uv")


def copied(name: str, to: Path) -> Path:
    """Return a copy of an example, so that nothing is written into the sources."""
    left_out = shutil.ignore_patterns(".casemate", "__pycache__", "*.key", ".venv")
    return shutil.copytree(EXAMPLES / name, to / name, ignore=left_out)


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
