"""Handlers as people write them, each by itself: what a call does, and no thought of restoring.

Each is the source of a module with a `handler`. The event is `{"n": 1}` or so; what a handler
returns is its own affair. Those in PROXIED call out by the egress proxy, to a server of the test.
"""

from __future__ import annotations

TYPICAL = {
    "echo": "def handler(event, context):\n    return event\n",
    "json": """
import json
def handler(event, context):
    text = json.dumps({"rows": [{"id": n, "name": "x" * 20} for n in range(2000)]})
    return len(json.loads(text)["rows"])
""",
    "csv": """
import csv, io
def handler(event, context):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([n, n * n, "text"] for n in range(3000))
    return sum(int(row[1]) for row in csv.reader(io.StringIO(out.getvalue())))
""",
    "regular expressions": """
import re
def handler(event, context):
    words = re.findall(r"[a-z]+", "lorem ipsum dolor sit amet " * 2000)
    return len(re.compile(r"(\\w)\\w*" + str(event.get("n", 1))).findall(" ".join(words)))
""",
    "dates": """
from datetime import datetime, timedelta, timezone
def handler(event, context):
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    return [(start + timedelta(days=n)).isoformat() for n in range(365)][-1]
""",
    "time zones": """
from datetime import datetime
from zoneinfo import ZoneInfo
def handler(event, context):
    return datetime(2024, 7, 1, tzinfo=ZoneInfo("UTC")).isoformat()
""",
    "decimals": """
from decimal import Decimal, getcontext
def handler(event, context):
    getcontext().prec = 50
    return str(sum(Decimal(n) / Decimal(7) for n in range(500)))
""",
    "hashes": """
import hashlib, hmac
def handler(event, context):
    digest = hashlib.sha256(b"x" * 200_000).hexdigest()
    return digest + hmac.new(b"key", digest.encode(), "sha512").hexdigest()
""",
    "a password hash": """
import hashlib, secrets
def handler(event, context):
    return hashlib.scrypt(b"secret", salt=secrets.token_bytes(16), n=2**12, r=8, p=1).hex()
""",
    "random numbers": """
import random, secrets, uuid
def handler(event, context):
    return [random.random(), secrets.token_hex(8), str(uuid.uuid4())]
""",
    "logging": """
import logging
log = logging.getLogger(__name__)
def handler(event, context):
    for n in range(20):
        log.info("line %d of %s", n, event)
    return "ok"
""",
    "printing": """
def handler(event, context):
    for n in range(20):
        print("line", n)
    return "ok"
""",
    "an exception that is caught": """
import traceback
def handler(event, context):
    try:
        return {}["missing"]
    except KeyError:
        return len(traceback.format_exc())
""",
    "a coroutine": """
import asyncio
async def handler(event, context):
    await asyncio.sleep(0.001)
    return sum(await asyncio.gather(*(one(n) for n in range(20))))
async def one(n):
    await asyncio.sleep(0)
    return n
""",
    "a loop that nobody closes": """
import asyncio
async def answer():
    await asyncio.sleep(0)
    return 1
def handler(event, context):
    asyncio.set_event_loop(asyncio.new_event_loop())
    return asyncio.get_event_loop().run_until_complete(answer())
""",
    "a loop of the import": """
import asyncio
LOOP = asyncio.new_event_loop()
async def answer():
    await asyncio.sleep(0.001)
    return 1
def handler(event, context):
    return LOOP.run_until_complete(answer())
""",
    "files that are left open": """
import os, socket
HERE = open(__file__)
NOWHERE = open(os.devnull, "w")
def handler(event, context):
    left = os.pipe(), open(__file__), socket.socket(), socket.socketpair()
    print("x", file=NOWHERE)
    return len(HERE.read()) + len(left)
""",
    "asyncio.run": """
import asyncio
async def main(n):
    queue = asyncio.Queue()
    task = asyncio.create_task(queue.get())
    await queue.put(n)
    return await asyncio.wait_for(task, 1)
def handler(event, context):
    return asyncio.run(main(5))
""",
    "a temporary file": """
import tempfile
def handler(event, context):
    with tempfile.TemporaryFile("w+") as file:
        file.write("x" * 100_000)
        file.seek(0)
        return len(file.read())
""",
    "a named temporary file": """
import tempfile
def handler(event, context):
    with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
        file.write("hello")
        file.flush()
        return open(file.name).read()
""",
    "a temporary folder": """
import pathlib, tempfile
def handler(event, context):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "a").write_text("a")
        (pathlib.Path(folder) / "b").mkdir()
        (pathlib.Path(folder) / "b" / "c").write_bytes(b"c" * 10_000)
        return len(list(pathlib.Path(folder).rglob("*")))
""",
    "a spooled file": """
import tempfile
def handler(event, context):
    with tempfile.SpooledTemporaryFile(1000) as file:
        file.write(b"x" * 5000)
        return file.tell()
""",
    "a file in /tmp that is removed": """
import os
def handler(event, context):
    with open("/tmp/work.csv", "w") as file:
        file.writelines(f"{n},{n}\\n" for n in range(1000))
    size = os.path.getsize("/tmp/work.csv")
    os.replace("/tmp/work.csv", "/tmp/done.csv")
    os.remove("/tmp/done.csv")
    return size
""",
    "an archive": """
import io, zipfile
def handler(event, context):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"{n}.txt", "text " * 1000)
    return zipfile.ZipFile(out).read("3.txt")[:5].decode()
""",
    "compression": """
import gzip, lzma, zlib
def handler(event, context):
    data = b"some text that repeats " * 5000
    return [len(gzip.compress(data)), len(zlib.compress(data)), len(lzma.compress(data))]
""",
    "sqlite in memory": """
import sqlite3
def handler(event, context):
    with sqlite3.connect(":memory:") as db:
        db.execute("create table t (a, b)")
        db.executemany("insert into t values (?, ?)", ((n, n * n) for n in range(2000)))
        return db.execute("select sum(b) from t where a % 2").fetchone()[0]
""",
    "sqlite in /tmp": """
import os, sqlite3
def handler(event, context):
    db = sqlite3.connect("/tmp/work.db")
    with db:
        db.execute("create table t (a)")
        db.executemany("insert into t values (?)", ((n,) for n in range(100)))
    found = db.execute("select count(*) from t").fetchone()[0]
    db.close()
    os.remove("/tmp/work.db")
    return found
""",
    "xml": """
import xml.etree.ElementTree as ET
def handler(event, context):
    root = ET.fromstring("<r>" + "<a b='1'>text</a>" * 1000 + "</r>")
    return len(root.findall("a"))
""",
    "html": """
import html
from html.parser import HTMLParser
from string import Template
def handler(event, context):
    parser = HTMLParser()
    parser.feed("<p>" + html.escape("<b>") * 500 + "</p>")
    return Template("hello $name").substitute(name="x")
""",
    "an image of bytes": """
def handler(event, context):
    image = bytearray(12_000_000)
    for place in range(0, len(image), 4096):
        image[place] = 255
    return sum(image[::4096])
""",
    "an array of 100 MB": """
def handler(event, context):
    data = bytearray(100_000_000)
    data[50_000_000] = 1
    return sum(data[49_999_990:50_000_010])
""",
    "an array that is kept in a global": """
kept = []
def handler(event, context):
    kept.append(bytearray(20_000_000))
    return len(kept)
""",
    "a list that grows": """
def handler(event, context):
    numbers = []
    for n in range(300_000):
        numbers.append(n * 3)
    return sum(numbers)
""",
    "a dictionary of objects": """
from dataclasses import dataclass
@dataclass
class Row:
    id: int
    name: str
def handler(event, context):
    rows = {n: Row(n, f"name {n}") for n in range(20_000)}
    return sum(row.id for row in rows.values())
""",
    "a cache of its own": """
from functools import lru_cache
@lru_cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def handler(event, context):
    return fib(200)
""",
    "matrices in Python": """
def handler(event, context):
    a = [[i * j % 7 for j in range(40)] for i in range(40)]
    return sum(sum(x * y for x, y in zip(row, column)) for row in a for column in zip(*a))
""",
    "statistics": """
import collections, itertools, statistics
def handler(event, context):
    numbers = [n * 37 % 1009 for n in range(5000)]
    return [statistics.fmean(numbers), statistics.median(numbers),
            collections.Counter(numbers).most_common(1)[0][1]]
""",
    "a late import": """
def handler(event, context):
    import calendar, colorsys, difflib, textwrap
    return difflib.get_close_matches("appel", ["ape", "apple", "peach"])[0] + calendar.month_name[1]
""",
    "an extension imported late": """
def handler(event, context):
    import array, cmath, mmap, unicodedata
    return array.array("d", range(1000)).tolist()[-1]
""",
    "paths and files of its own": """
import glob, os, pathlib
def handler(event, context):
    here = pathlib.Path(__file__)
    return [here.read_text()[:3], sorted(os.listdir(here.parent))[:1], len(glob.glob("/usr/lib/*"))]
""",
    "a pause": """
import time
def handler(event, context):
    started = time.monotonic()
    time.sleep(0.005)
    return time.monotonic() > started
""",
    "text of many languages": """
import base64, textwrap, unicodedata, urllib.parse
def handler(event, context):
    text = unicodedata.normalize("NFD", "Grüße, žluťoučký kůň, 漢字") * 50
    return [urllib.parse.quote(text)[:9], base64.b64encode(text.encode()).decode()[:9],
            textwrap.fill(text, 60)[:9]]
""",
    "an HTTP request": """
import json, urllib.request
def handler(event, context):
    with urllib.request.urlopen(event["url"], timeout=10) as answer:
        return answer.read().decode()
""",
    "a request of asyncio": """
import asyncio, os, urllib.parse
async def fetch(url):
    proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
    writer.write(f"GET {url} HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n".encode())
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer[:12].decode()
def handler(event, context):
    return asyncio.run(fetch(event["url"]))
""",
    "a thread": """
import threading
def handler(event, context):
    found = []
    thread = threading.Thread(target=found.append, args=(1,))
    thread.start()
    thread.join()
    return found
""",
    "a pool of threads": """
from concurrent.futures import ThreadPoolExecutor
def handler(event, context):
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(abs, range(-20, 20)))
""",
    "a pool that the module keeps": """
from concurrent.futures import ThreadPoolExecutor, as_completed
pool = ThreadPoolExecutor(max_workers=4)
def handler(event, context):
    work = [pool.submit(divmod, n, 7) for n in range(20)]
    return sorted(done.result() for done in as_completed(work, timeout=5))[:3]
""",
    "threads of a coroutine": """
import asyncio, hashlib
async def handler(event, context):
    digests = await asyncio.gather(
        *(asyncio.to_thread(hashlib.sha256, bytes([n]) * 1000) for n in range(3)))
    return [one.hexdigest()[:6] for one in digests]
""",
    "workers that go on": """
import queue, threading
def handler(event, context):
    jobs, done = queue.Queue(), queue.Queue()
    def work():
        while True:
            done.put(jobs.get() * 2)
    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    for n in range(30):
        jobs.put(n)
    return sum(done.get(timeout=5) for _ in range(30))
""",
    "a handler for the end": """
import signal
def handler(event, context):
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    return signal.getsignal(signal.SIGTERM) is not None
""",
    "a file left in /tmp": """
def handler(event, context):
    with open("/tmp/left", "a") as file:
        return file.write("x")
""",
}
TAINTING = frozenset(("a file left in /tmp",))
"""Whose processes are not used again."""
PROXIED = frozenset(("an HTTP request", "a request of asyncio"))
