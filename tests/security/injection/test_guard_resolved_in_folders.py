"""Paths that the code resolves begin with the code's folder as before, if they stay in it."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

HEAD = """
import os, posixpath, tempfile
from pathlib import Path
BASE = tempfile.mkdtemp(prefix="letters", dir="/tmp")
HOME = BASE + "/clinic-07"
OTHER = BASE + "/clinic-12"
for folder in (HOME, OTHER):
    os.makedirs(folder + "/2026/10")
    os.makedirs(folder + "/2026/11/mrs-hale-referral.txt")
def handler(event, context):
    name = event["name"]
    return DONE
"""
STAYS = {"name": "2026/10/../11/mrs-hale-referral.txt"}
LEAVES = {"name": "2026/10/../../../clinic-12/2026/11/mrs-hale-referral.txt"}
WAYS = {
    "realpath": 'os.path.isdir(os.path.realpath(HOME + "/" + name))',
    "normpath": 'os.listdir(posixpath.normpath(HOME + "/" + name))',
    "joined": "os.stat(os.path.abspath(os.path.join(HOME, name))).st_size > 0",
    "resolved": "str(Path(HOME, name).resolve().is_dir())",
}


def test_what_stays_is_of_the_codes_folder(tmp_path: Path) -> None:
    cases = {way: (HEAD.replace("DONE", done), STAYS) for way, done in WAYS.items()}
    assert_passes(tmp_path, cases, [])


def test_what_leaves_is_not(tmp_path: Path) -> None:
    ways = ("realpath", "normpath", "joined", "resolved")
    cases = {way: (HEAD.replace("DONE", WAYS[way]), LEAVES) for way in ways}
    assert_blocked(tmp_path, cases, {"path"}, [])


def test_what_chooses_all_of_a_path_is_not(tmp_path: Path) -> None:
    whole = {
        "absolute": ("os.path.isdir(os.path.realpath(name))", {"name": "/etc/../etc/ssl/certs/."}),
        "dropped": (
            "os.listdir(os.path.normpath(os.path.join(HOME, name)))",
            {"name": "/etc/../etc/security/../security"},
        ),
    }
    cases = {way: (HEAD.replace("DONE", done), event) for way, (done, event) in whole.items()}
    assert_blocked(tmp_path, cases, {"path"}, [])
