"""Handlers that splice data into commands."""

from support.guard_corpus import Program, b64, body, s3, sqs

PROGRAMS = {
    "os.system": Program(
        """
import os
def handler(event, context):
    return os.system("echo " + event["host"] + " > /dev/null")
""",
        [{"host": "x; id"}, {"host": "$(id)"}, {"host": "a|id"}, {"host": "`id`"}],
        [{"host": "example.com"}, {"host": "10.0.0.1"}],
    ),
    "subprocess, shell": Program(
        """
import json, subprocess
def handler(event, context):
    p = json.loads(event["body"])
    return subprocess.check_output(f"echo {p['name']}", shell=True, text=True)
""",
        [body(name="x && id"), body(name="x\nid"), body(name="${IFS}"), body(name="a & id")],
        [body(name="ada"), body(name="report_2024.pdf")],
    ),
    "quoted, double": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run('echo "%s" | wc -c' % event["text"], shell=True, capture_output=True).stdout
""",
        [{"text": '"; id; "'}, {"text": "$(id)"}, {"text": "`id`"}],
        [{"text": "hello world"}, {"text": "it's; fine"}],
    ),
    "quoted, single": Program(
        """
import os
def handler(event, context):
    return os.popen("echo '{}'".format(event["text"].strip())).read()
""",
        [{"text": "'; id; '"}, {"text": "  x'$(id)'"}],
        [{"text": "a; b | c"}, {"text": "$HOME"}],
    ),
    "key of an object": Program(
        """
import subprocess
from urllib.parse import unquote_plus
def handler(event, context):
    for r in event["Records"]:
        key = unquote_plus(r["s3"]["object"]["key"])
        local = "/tmp/" + key.split("/")[-1]
        subprocess.run("file " + local + " >/dev/null 2>&1", shell=True)
""",
        [s3("up/a.png%3B+id"), s3("up/%24%28id%29.png")],
        [s3("up/a.png"), s3("up/b_1.jpg")],
    ),
    "option": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["ls", event["pattern"]], capture_output=True).returncode
""",
        [{"pattern": "--recursive"}, {"pattern": "-la"}],
        [{"pattern": "photos"}],
    ),
    "sh -c in a list": Program(
        """
import subprocess
def run(cmd): return subprocess.run(["/bin/sh", "-c", cmd], capture_output=True, text=True).stdout
def handler(event, context):
    return run("echo " + event["q"])
""",
        [{"q": "a; id"}, {"q": "a\nid"}],
        [{"q": "abc"}],
    ),
    "python -c": Program(
        """
import subprocess, sys
def handler(event, context):
    return subprocess.run([sys.executable, "-c", "print('" + event["v"] + "')"], capture_output=True).stdout
""",
        [{"v": "'+__import__('os').getcwd()+'"}],
        [{"v": "abc"}],
    ),
    "program": Program(
        """
import subprocess
def handler(event, context):
    tool = event["tool"]
    return subprocess.call([tool, "--version"])
""",
        [{"tool": "/bin/cat"}, {"tool": "id"}],
    ),
    "split": Program(
        """
import subprocess
def handler(event, context):
    cmd = "echo --size " + event["size"] + " in.png"
    return subprocess.run(cmd.split(), capture_output=True, text=True).stdout
""",
        [{"size": "1 --exec id"}],
        [{"size": "100x200"}],
    ),
    "shlex.split": Program(
        """
import shlex, subprocess
def handler(event, context):
    return subprocess.run(shlex.split(f"echo -i {event['file']} out.mp4"), capture_output=True).stdout
""",
        [{"file": "x -f lavfi -vf evil"}],
        [{"file": "a.mov"}],
    ),
    "asyncio": Program(
        """
import asyncio
async def run(name):
    p = await asyncio.create_subprocess_shell("echo " + name, stdout=asyncio.subprocess.PIPE)
    return (await p.communicate())[0]
def handler(event, context): return asyncio.run(run(event["name"])).decode()
""",
        [{"name": "x; id"}],
        [{"name": "x"}],
    ),
    "base64": Program(
        """
import base64, os
def handler(event, context):
    name = base64.b64decode(event["data"]).decode("utf-8").rstrip()
    return os.system("test -f " + name)
""",
        [{"data": b64("x; id\n")}],
        [{"data": b64("x.txt")}],
    ),
    "class with a template": Program(
        """
import subprocess
class Converter:
    CMD = "echo convert {src} -resize {w}x{h} {dst}"
    def __init__(self, **options): self.options = options
    def run(self): return subprocess.getoutput(self.CMD.format(**self.options))
def handler(event, context):
    return Converter(src=event["src"], w=event["w"], h=event["h"], dst="/tmp/o.png").run()
""",
        [{"src": "a.png", "w": "1;id;", "h": "2"}, {"src": "|id", "w": 1, "h": 2}],
        [{"src": "a.png", "w": 10, "h": "20"}],
    ),
    "blacklist": Program(
        """
import subprocess
BAD = [";", "&", "|"]
def handler(event, context):
    value = event["value"]
    for b in BAD: value = value.replace(b, "")
    return subprocess.run("echo " + value, shell=True, capture_output=True).stdout
""",
        [{"value": "$(id)"}, {"value": "`id`"}, {"value": "a\nid"}],
        [{"value": "abc"}],
    ),
    "queue, list and environment": Program(
        """
import json, subprocess
def handler(event, context):
    out = []
    for r in event["Records"]:
        job = json.loads(r["body"])
        out.append(subprocess.Popen(["env", job["var"], "true"]).wait())
    return out
""",
        [sqs({"var": "id"}), sqs({"var": "-S id"})],
    ),
    "git": Program(
        """
import subprocess
def handler(event, context):
    return subprocess.run(["git", "ls-remote", event["repo"]], capture_output=True, timeout=5, env={"GIT_ALLOW_PROTOCOL": "none", "PATH": "/usr/bin:/bin"}).returncode
""",
        [{"repo": "--upload-pack=id"}, {"repo": "ext::sh -c id"}],
        [{"repo": "https://example.com/a.git"}],
    ),
    "tar": Program(
        """
import subprocess
def handler(event, context):
    files = event["files"].split(",")
    return subprocess.run(["tar", "cf", "/dev/null"] + files, capture_output=True).returncode
""",
        [{"files": "a,--checkpoint=1,--checkpoint-action=exec=id"}],
        [{"files": "a.txt,b.txt"}],
    ),
}
