"""Handlers that pass lists, quote or check."""

from support.guard_corpus import Program, body, s3

HOSTILE = [
    "x; id",
    "$(id)",
    "a b",
    "it's",
    "`id`",
    "a\nb",
    "ls",
    "echo",
    "'; id",
    "x; id'",
    "'a b'",
    "''; id; ''",
    "' || '1'=='1",
]

PROGRAMS = {
    "quoted": Program(
        """
import shlex, subprocess
def handler(event, context):
    return subprocess.run("echo " + shlex.quote(event["v"]) + " | wc -c", shell=True, capture_output=True).stdout
""",
        benign=[{"v": h} for h in HOSTILE],
    ),
    "joined": Program(
        """
import shlex, subprocess
def handler(event, context):
    return subprocess.getoutput(shlex.join(["echo", "--", event["v"]]))
""",
        benign=[{"v": h} for h in HOSTILE],
    ),
    "list": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["printf", "%s", event["v"]], capture_output=True, text=True).stdout
""",
        benign=[{"v": h} for h in HOSTILE],
    ),
    "after dashes": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["ls", "-l", "--", event["v"]], capture_output=True).returncode
""",
        benign=[{"v": h} for h in [*HOSTILE, "-la", "--all"]],
    ),
    "standard input": Program(
        """
import json, subprocess
def handler(event, context):
    return subprocess.run(["sort"], input=json.loads(event["body"])["text"], capture_output=True, text=True).stdout
""",
        benign=[body(text=h) for h in HOSTILE],
    ),
    "pattern": Program(
        """
import re, subprocess
HOST = re.compile(r"^[a-z0-9.-]+$")
def handler(event, context):
    if not HOST.match(event["host"]): return {"statusCode": 400}
    return subprocess.getoutput(f"echo {event['host']}")
""",
        benign=[{"host": "example.com"}, {"host": "a; id"}],
    ),
    "numbers": Program(
        """
import os
def handler(event, context):
    w, h = (int(x) for x in event["size"].split("x"))
    return os.system(f"echo -resize {w}x{h} > /dev/null")
""",
        benign=[{"size": "100x200"}, {"size": "-1x3"}],
    ),
    "dictionary of programs": Program(
        """
import subprocess
TOOLS = {"size": ["wc", "-c"], "lines": ["wc", "-l"]}
def handler(event, context):
    cmd = TOOLS.get(event["tool"])
    if cmd is None: return "unknown"
    return subprocess.run(cmd, input=event["text"], text=True, capture_output=True).stdout
""",
        benign=[{"tool": "size", "text": "x; id"}, {"tool": "rm -rf", "text": ""}],
    ),
    "allowed format": Program(
        """
import subprocess
def handler(event, context):
    fmt = event["format"].lower()
    if fmt not in ("png", "jpg", "webp"): raise ValueError(fmt)
    return subprocess.run("echo convert in.png out." + fmt, shell=True, capture_output=True).stdout
""",
        benign=[{"format": "PNG"}, {"format": "webp"}, {"format": "png;id"}],
    ),
    "environment": Program(
        """
import os, subprocess
def handler(event, context):
    return subprocess.run('echo "$NAME"', shell=True, env={**os.environ, "NAME": event["name"]}, capture_output=True).stdout
""",
        benign=[{"name": h} for h in HOSTILE],
    ),
    "arguments of a script": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["sh", "-c", 'echo "$1"', "sh", event["v"]], capture_output=True).stdout
""",
        benign=[{"v": h} for h in HOSTILE],
    ),
    "file below a folder": Program(
        """
import os, subprocess
from urllib.parse import unquote_plus
def handler(event, context):
    key = unquote_plus(event["Records"][0]["s3"]["object"]["key"])
    path = os.path.join("/tmp/work", os.path.basename(key))
    return subprocess.run(["file", "-b", path], capture_output=True).returncode
""",
        benign=[s3("a/b+c.png"), s3("a/%3B+id.png"), s3("a/-rf")],
    ),
    "constant that the event knows": Program(
        """
import subprocess
def handler(event, context):
    subprocess.run("uname -a; echo done", shell=True, capture_output=True)
    return event["v"]
""",
        benign=[
            {"v": v} for v in ("uname", "uname -a; echo done", "; echo", "done", "sh", "-c", "-a")
        ],
    ),
    "option with a value": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["grep", "-F", "-e", event["q"], "/etc/hostname"], capture_output=True).returncode
""",
        benign=[{"q": h} for h in [*HOSTILE, "-r", "--help"]],
    ),
    "dash refused": Program(
        """
import subprocess
def handler(event, context):
    name = event["name"]
    if name.startswith("-"): return "refused"
    return subprocess.run(["stat", name], capture_output=True).returncode
""",
        benign=[{"name": "-x"}, {"name": "x; id"}, {"name": "a b"}],
    ),
    "isalnum": Program(
        """
import os
def handler(event, context):
    user = event["user"]
    if not user.isalnum(): return 400
    return os.system("echo " + user + " >/dev/null")
""",
        benign=[{"user": "ada1"}, {"user": "a;id"}],
    ),
}
