"""Paths that leave a folder and come back to it, and those that do not."""

from support.guard_corpus import Program

_FOLDER = """
import os
from pathlib import Path
BASE = os.getcwd() + "/returning/pub"
os.makedirs(BASE + "/sub", exist_ok=True)
os.makedirs(BASE + "-other", exist_ok=True)
for file in (BASE + "/a.txt", BASE + "-other/a.txt", BASE + "/../a.txt"):
    open(file, "w").close()
"""
_BACK = [{"n": "../pub/a.txt"}, {"n": "sub/../../pub/a.txt"}, {"n": "sub/../a.txt"}]
_OUT = [{"n": "../a.txt"}, {"n": "../pub-other/a.txt"}, {"n": "../pub/../a.txt"}]

PROGRAMS = {
    "resolved and checked": Program(
        _FOLDER
        + """
def handler(event, context):
    path = (Path(BASE) / event["n"]).resolve()
    if not path.is_relative_to(BASE):
        return "refused"
    return path.read_text()
""",
        (),
        _BACK + _OUT,
    ),
    "joined": Program(
        _FOLDER
        + """
def handler(event, context):
    with open(os.path.join(BASE, event["n"])) as file:
        return file.read()
""",
        _OUT,
        _BACK,
    ),
    "normalised": Program(
        _FOLDER
        + """
def handler(event, context):
    with open(os.path.normpath(BASE + "/" + event["n"])) as file:
        return file.read()
""",
        _OUT,
        _BACK,
    ),
}
