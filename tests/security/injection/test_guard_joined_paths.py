"""A path that `urljoin` has made, opened as it is, does not leave the folder that the code gave."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

STORE = """
import os, tempfile
from urllib.parse import urljoin, urlsplit
ROOT = tempfile.mkdtemp()
for tenant in ("acme", "globex"):
    os.makedirs(os.path.join(ROOT, tenant, "docs"))
    for name in (tenant + "/report.txt", tenant + "/docs/terms.txt"):
        with open(os.path.join(ROOT, name), "w") as f:
            f.write(name)
def handler(event, context):
    name = event["name"]
    place = {place}
    {check}
    with open(place) as f:
        return f.read()
"""
PLACES = {
    "joined": 'urljoin(ROOT + "/acme/", name)',
    "format": 'urljoin(f"{ROOT}/acme/", name)',
    "of an address": 'urlsplit(urljoin(f"https://files.example{ROOT}/acme/", name)).path',
    "of a page": 'urljoin(ROOT + "/acme/index.html", name)',
}
CLIMBING = {"name": "../globex/report.txt"}
STAYING = (
    {"name": "report.txt"},
    {"name": "docs/terms.txt"},
    {"name": "docs/../report.txt"},
    {"name": "./report.txt"},
)


def store(place: str, check: str = "pass") -> str:
    return STORE.replace("{place}", place).replace("{check}", check)


def test_what_leaves_is_not_opened(tmp_path: Path) -> None:
    cases = {name: (store(place), CLIMBING) for name, place in PLACES.items()}
    assert_blocked(tmp_path, cases, {"path"}, [])


def test_what_stays_is(tmp_path: Path) -> None:
    cases = {
        f"{name} {number}": (store(place), event)
        for name, place in PLACES.items()
        for number, event in enumerate(STAYING)
    }
    cases["looked at"] = (
        store(PLACES["joined"], 'if not place.startswith(ROOT + "/acme/"): return 403'),
        CLIMBING,
    )
    assert_passes(tmp_path, cases, [])
