"""Handlers that let data choose where a request goes."""

from support.guard_corpus import Program, b64, body, query, sqs

META = "http://169.254.169.254/latest/meta-data/"
LOCAL = "http://127.0.0.1:9/admin"
PROGRAMS = {
    "urlopen": Program(
        """
from urllib.request import urlopen
def handler(event, context): return urlopen(event["url"], timeout=1).read()
""",
        [
            {"url": META},
            {"url": LOCAL},
            {"url": "file:///etc/hostname"},
            {"url": "http://[::1]:9/"},
            {"url": "http://2130706433:9/"},
        ],
    ),
    "requests, body": Program(
        """
import json, requests
def handler(event, context):
    return requests.get(json.loads(event["body"])["image"], timeout=1).content
""",
        [
            body(image=META),
            body(image="http://localhost:9/"),
            body(image="http://evil.example.net/x"),
        ],
    ),
    "session in a class": Program(
        """
import requests
class Fetcher:
    def __init__(self, timeout): self.session, self.timeout = requests.Session(), timeout
    def fetch(self, url, **kw): return self.session.request("GET", url.strip(), timeout=self.timeout, **kw)
def handler(event, context): return Fetcher(1).fetch(event["queryStringParameters"]["u"]).text
""",
        [query(u="  " + LOCAL + " "), query(u="http://0x7f.1:9/")],
    ),
    "host": Program(
        """
import requests
def handler(event, context):
    return requests.get(f"https://{event['host']}/api/status", timeout=1).json()
""",
        [{"host": "169.254.169.254"}, {"host": "internal.corp"}, {"host": "x@127.0.0.1:9"}],
    ),
    "subdomain that escapes": Program(
        """
import httpx
def handler(event, context):
    return httpx.get("http://" + event["tenant"] + ".example.com/info", timeout=1).text
""",
        [{"tenant": "127.0.0.1:9/#"}, {"tenant": "evil.net/x?"}, {"tenant": "a@127.0.0.1:9/"}],
        [{"tenant": "acme"}],
    ),
    "prefix checked only": Program(
        """
import urllib.request
def handler(event, context):
    url = event["url"]
    if not url.startswith("http"): return 400
    return urllib.request.urlopen(urllib.request.Request(url, headers={"a": "b"}), timeout=1).status
""",
        [{"url": LOCAL}, {"url": META}],
    ),
    "startswith without a slash": Program(
        """
import requests
def handler(event, context):
    if not event["url"].startswith("https://api.example.com"): raise ValueError("host")
    return requests.get(event["url"], timeout=1).text
""",
        [
            {"url": "https://api.example.com.evil.net/"},
            {"url": "https://api.example.com@127.0.0.1:9/"},
        ],
        [{"url": "https://api.example.com/a"}],
    ),
    "domain in the text": Program(
        """
import requests
def handler(event, context):
    if "example.com" not in event["url"]: return 403
    return requests.post(event["url"], json={}, timeout=1).text
""",
        [{"url": "http://127.0.0.1:9/?example.com"}, {"url": "http://evil.net/example.com"}],
    ),
    "path climbs": Program(
        """
import requests
BASE = "http://127.0.0.1:9/users/"
def handler(event, context): return requests.get(BASE + event["id"] + "/avatar", timeout=1).text
""",
        [{"id": "../admin?x="}, {"id": "1/../../secrets#"}],
        [{"id": "17"}, {"id": "ada"}],
    ),
    "queue, webhook": Program(
        """
import json, urllib3
http = urllib3.PoolManager()
def handler(event, context):
    for r in event["Records"]:
        m = json.loads(r["body"])
        http.request("POST", m["callback"], body=b"{}", timeout=1, retries=False)
""",
        [sqs({"callback": LOCAL})],
    ),
    "base64": Program(
        """
import base64, httpx
def handler(event, context):
    with httpx.Client(timeout=1) as c: return c.get(base64.urlsafe_b64decode(event["u"]).decode()).text
""",
        [{"u": b64(META)}],
    ),
    "http.client": Program(
        """
import http.client
def handler(event, context):
    c = http.client.HTTPConnection(event["host"], int(event["port"]), timeout=1)
    c.request("GET", "/")
    return c.getresponse().status
""",
        [{"host": "127.0.0.1", "port": 9}, {"host": "10.0.0.1", "port": "80"}],
    ),
    "socket": Program(
        """
import socket
def handler(event, context):
    with socket.create_connection((event["host"], event["port"]), timeout=1) as s: return s.recv(1)
""",
        [{"host": "127.0.0.1", "port": 9}],
    ),
    "parts": Program(
        """
import requests
def handler(event, context):
    p = event["target"]
    url = "%s://%s:%d%s" % (p["scheme"], p["host"], p["port"], p.get("path", "/"))
    return requests.get(url, timeout=1).status_code
""",
        [{"target": {"scheme": "http", "host": "127.0.0.1", "port": 9}}],
    ),
    "blacklist of hosts": Program(
        """
import requests
from urllib.parse import urlparse
def handler(event, context):
    if urlparse(event["url"]).hostname in ("localhost", "127.0.0.1", "169.254.169.254"): return 403
    return requests.get(event["url"], timeout=1).text
""",
        [
            {"url": "http://127.0.0.2:9/"},
            {"url": "http://[::ffff:169.254.169.254]/"},
            {"url": "http://2852039166/"},
        ],
    ),
    "header": Program(
        """
import requests
def handler(event, context):
    h = {k.lower(): v for k, v in event["headers"].items()}
    return requests.get("http://" + h["x-forwarded-host"] + "/login", timeout=1).text
""",
        [{"headers": {"X-Forwarded-Host": "127.0.0.1:9"}}],
    ),
    "aiohttp": Program(
        """
import asyncio, httpx
async def get(url):
    async with httpx.AsyncClient(timeout=1) as c: return (await c.get(url)).text
def handler(event, context): return asyncio.run(get(event["url"]))
""",
        [{"url": LOCAL}],
    ),
}
