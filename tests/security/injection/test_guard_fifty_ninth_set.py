"""What the fifty-eighth and a fifty-ninth set of everyday programs showed of protocols and keys."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes, each_turn, of_turn

TURNS = 6
EACH_TURN = each_turn(TURNS)


SERVER = """
import asyncio, hashlib, io, json, re, socket
class Server:
    def __init__(self):
        self.ran, self.data = [], {}
    def run(self, words):
        if not words:
            return
        self.ran.append(words[0])
        {run}
    def feed(self, wire):
        {read}
        return self.ran
class Client:
    def __init__(self, server):
        self.server = server
    def ask(self, wire):
        return self.server.feed(wire)
    def say(self, verb, *args):
        return self.server.feed((" ".join((verb, *args)) + "\\r\\n"){encode})
SERVER = Server()
def over_socket(wire):
    a, b = socket.socketpair()
    a.sendall(wire if isinstance(wire, bytes) else wire.encode())
    a.close()
    with b.makefile("rb") as f:
        return [line.split() for line in f]
async def streamed(wire):
    reader = asyncio.StreamReader()
    reader.feed_data(wire if isinstance(wire, bytes) else wire.encode())
    reader.feed_eof()
    while line := await reader.readline():
        SERVER.run(line.decode().split())
    return SERVER.ran
def handler(event, context):
    v, n = event["v"], len(event["v"])
    {make}
    return str({send})
"""
READS = {
    "partition": """
        while wire:
            line, _, wire = wire.partition({b}"\\r\\n")
            self.run(line.split())""",
    "in": """
        rest = wire
        while {b}"\\r\\n" in rest:
            line, rest = rest.split({b}"\\r\\n", 1)
            words = line.split()
            self.run(words)""",
    "split": """
        for line in wire.split({b}"\\r\\n"):
            self.run(line.split({b}" "))""",
    "lines": """
        for line in wire.splitlines():
            verb, *rest = line.split() or [{b}""]
            self.run([verb, *rest])""",
    "file": """
        f = io.{io}(wire)
        while line := f.readline():
            self.run(line.split())""",
    "find": """
        at = 0
        while (end := wire.find({b}"\\n", at)) >= 0:
            self.run(wire[at:end].split())
            at = end + 1""",
    "pattern": """
        for line in re.split({b}r"\\r?\\n", wire):
            self.run(line.strip().split({b}" ", 1))""",
}
SENDS = {
    "feed": "SERVER.feed(wire)",
    "client": "Client(SERVER).ask(wire)",
    "socket": "over_socket(wire)",
    "stream": "asyncio.run(streamed(wire))",
}


class Protocol:
    """Lines of one protocol: what runs them, how one is made, what attacks and what does not."""

    def __init__(self, run: str, make: str, attacks: tuple[str, ...], plain: tuple[str, ...]):
        """As they are written; `{b}` is in `run` before each literal."""
        self.run, self.make, self.attacks, self.plain = run, make, attacks, plain


PROTOCOLS = {
    "memcached set": Protocol(
        'if words[0] == {b}"set": self.data[words[-1]] = words[0]\n'
        '        elif words[0] in ({b}"get", {b}"delete", {b}"flush_all"): self.data.pop(words[-1], 0)',
        'data = json.dumps({"v": v}); wire = f"set page:{v} 0 60 {len(data)}\\r\\n{data}\\r\\n"',
        ("x\r\nset role:ann 0 0 5\r\nadmin", "y\r\nflush_all\r\nget x", "z\r\ndelete\trole:ann"),
        ("home", "a-b_c", "über-uns"),
    ),
    "memcached get": Protocol(
        'if words[0] == {b}"get": self.ran += [self.data.get(k) for k in words[1:]]\n'
        '        elif words[0] == {b}"delete": self.data.pop(words[-1], 0)',
        'wire = "get page:" + v + "\\r\\n"',
        ("x role:ann", "x\r\ndelete role:ann", "y\nget\trole:root"),
        ("home", "get", "o'neil"),
    ),
    "memcached percent": Protocol(
        'if words[0] == {b}"set": self.data[words[-1]] = words[0]\n'
        '        elif words[0] == {b}"delete": self.data.pop(words[-1], 0)',
        'key = "%s:%s" % ("p", v.strip().lower()); wire = "set %s 0 9 2\\r\\n{}\\r\\n" % key',
        ("x\r\nset\trole:ann\t0\t0\t5\r\nadmin\r\nget z", "a\r\ndelete\trole:root\r\nget b"),
        ("Ann", "delete-me", "set"),
    ),
    "redis inline": Protocol(
        'if words[0].upper() == {b}"SET": self.data[words[-1]] = words[0]\n'
        '        elif words[0].upper() in ({b}"GET", {b}"DEL", {b}"FLUSHALL"): self.data.clear()',
        'wire = f"GET session:{v}\\r\\n"',
        ("x\r\nSET role:ann admin", "y\r\nFLUSHALL\r\nGET z", "x\nDEL session:root"),
        ("abc123", "GET", "a:b"),
    ),
    "redis low": Protocol(
        'if words[0] == {b}"set": self.data[words[-1]] = words[0]\n'
        '        elif words[0] == {b}"del": self.data.pop(words[-1], 0)',
        'wire = "set %s 1\\r\\n" % v',
        ("x\r\nset role:ann admin\r\nset y", "y 2\r\ndel session:root"),
        ("abc123", "del"),
    ),
    "smtp": Protocol(
        'if words[0] == {b}"MAIL": self.data["from"] = words[-1]\n'
        '        elif words[0] in ({b}"RCPT", {b}"DATA", {b}"QUIT"): self.data["to"] = words[-1]',
        'wire = "MAIL FROM:<shop@x.example>\\r\\nRCPT TO:<{}>\\r\\n".format(v)',
        ("a@x.example>\r\nRCPT TO:<all@x.example", "a@x>\r\nDATA\r\nSubject: x"),
        ("ann@x.example", "o'neil+shop@x.example"),
    ),
    "pop": Protocol(
        'if words[0] in ({b}"USER", {b}"PASS", {b}"DELE"): self.data[words[0]] = words[-1]',
        'wire = "USER ann\\r\\nPASS " + v + "\\r\\nSTAT\\r\\n"',
        ("x\r\nDELE 1", "x\nDELE 2"),
        ("secret", "DELE", "p@ss w0rd!"),
    ),
    "ftp": Protocol(
        'if words[0] in ({b}"CWD", {b}"STOR", {b}"DELE"): self.data[words[0]] = words[1:]',
        'wire = f"CWD /in\\r\\nSTOR {v}\\r\\n"',
        ("a.txt\r\nDELE b.txt", "a\nDELE b"),
        ("a.txt", "my file (1).txt"),
    ),
    "irc": Protocol(
        'if words[0] in ({b}"PRIVMSG", {b}"KICK", {b}"MODE"): self.data[words[-1]] = words',
        'wire = "PRIVMSG #shop :%s\\r\\n" % v',
        ("hi\r\nKICK #shop ann", "hi\nMODE #shop +o mallory"),
        ("hello all, KICK off at 9", "see http://x.example: ok"),
    ),
    "beanstalkd": Protocol(
        'if words[0] == {b}"put": self.data["put"] = words[1:]\n'
        '        elif words[0] in ({b}"use", {b}"delete", {b}"kick"): self.data["use"] = words[-1]',
        'wire = f"use {v}\\r\\nput 0 0 60 4\\r\\nwork\\r\\n"',
        ("mail\r\ndelete 7", "mail\r\nkick 100\r\nuse x"),
        ("mail", "put-off", "kick"),
    ),
    "nats": Protocol(
        'if words[0] == {b}"PUB": self.data[words[-1]] = words\n'
        '        elif words[0] == {b}"SUB": self.data["sub"] = words[-1]',
        'wire = f"PUB orders.{v} 2\\r\\nok\\r\\n"',
        ("a 2\r\nok\r\nSUB > 1\r\nPUB x", "a\r\nSUB > 1"),
        ("berlin", "SUB"),
    ),
    "imap": Protocol(
        'if len(words) > 1 and words[1] in ({b}"SELECT", {b}"DELETE", {b}"LOGIN"):\n'
        "            self.data[words[0]] = words[1:]",
        'wire = f"a1 LOGIN shop pw\\r\\na2 SELECT {v}\\r\\n"',
        ("INBOX\r\na3 DELETE Archive", "INBOX\na4 DELETE x"),
        ("INBOX", "Sent"),
    ),
    "graphite": Protocol(
        "if len(words) == 3: self.data[words[0]] = float(words[1])",
        'wire = f"shop.{v}.hits 1 1700000000\\nshop.all.hits 1 1700000000\\n"',
        ("x 1 1\nshop.root.sales 9 1700000000\nshop.y",),
        ("berlin", "a-b"),
    ),
    "own words": Protocol(
        'if words[0] == {b}"light": self.data[words[-1]] = words[0]\n'
        '        elif words[0] == {b}"unlock": self.data["door"] = words[-1]',
        'wire = f"light {v} on\\n"',
        ("hall on\nunlock front\nlight x", "hall\nunlock back"),
        ("hall", "unlock", "living-room"),
    ),
}


def _program(name: str, number: int, send: str, *, of_bytes: bool) -> str:
    of = PROTOCOLS[name]
    read = list(READS.values())[number % len(READS)]
    if send == "stream":
        run = of.run.replace("{b}", "")
    else:
        run = of.run.replace("{b}", "b" if of_bytes else "")
    code = SERVER.replace("{run}", run).replace("{read}", read.strip())
    code = code.replace("{io}", "BytesIO" if of_bytes else "StringIO")
    code = code.replace("{b}", "b" if of_bytes else "")
    code = code.replace("{encode}", ".encode()" if of_bytes else "")
    made = of.make + ("; wire = wire.encode()" if of_bytes else "")
    return code.replace("{make}", made).replace("{send}", SENDS[send])


def _programs() -> list[tuple[str, str]]:
    """Return each protocol with some readers, of texts and of bytes, and ways to hand it over."""
    found = []
    for number, name in enumerate(PROTOCOLS):
        for turn, send in enumerate(("feed", "client", "feed", "client", "socket", "stream")):
            of_bytes = (number + turn) % 2 == 0 or turn == 4
            code = _program(name, number + 3 * turn, send, of_bytes=of_bytes)
            found.append((f"{name} {turn}", code))
    return found


def commands(field: str) -> dict[str, tuple[str, object]]:
    """Return the programs with what begins commands of its own there, or with what does not."""
    return {
        f"{name} {value!r}": (code, {"v": value})
        for name, code in _programs()
        for value in getattr(PROTOCOLS[name.rpartition(" ")[0]], field)
    }


COUNTED = """
import hashlib
class Server:
    def __init__(self):
        self.data, self.ran = {}, []
    def feed(self, buf):
        while buf:
            line, _, buf = buf.partition({b}"\\r\\n")
            w = line.split()
            if not w:
                continue
            self.ran.append(w[0])
            if w[0] == {b}"set":
                n = int(w[4])
                self.data[w[1]], buf = buf[:n], buf[n + 2:]
            elif w[0] == {b}"flush_all":
                self.data.clear()
        return self.ran
def handler(event, context):
    v = event["v"]
    {make}
    return str(Server().feed(wire))
"""
COUNTED_MAKES = (
    'd = f"[en] page for {v}".encode(); wire = f"set k 0 60 {len(d)}\\r\\n".encode() + d + b"\\r\\n"',
    'd = v.encode(); wire = b"set k 0 60 %d\\r\\n" % len(d) + d + b"\\r\\n"',
    'd = ("for " + v).encode(); wire = b"".join([b"set k 0 60 ", str(len(d)).encode(), b"\\r\\n", d, b"\\r\\n"])',
    'k = hashlib.sha1(v.encode()).hexdigest(); wire = f"set page:{k} 0 60 2\\r\\nok\\r\\n".encode()',
    'k = hashlib.sha256(f"page\\n{v}".encode()).hexdigest(); wire = f"set {k} 0 60 2\\r\\nok\\r\\n".encode()',
    'd = f"<p>{v}</p>"; wire = f"set k 0 60 {len(d.encode())}\\r\\n{d}\\r\\n".encode()',
)
SHORT_COUNTS = (
    'd = f"[en] {v}".encode(); wire = f"set k 0 60 4\\r\\n".encode() + d + b"\\r\\n"',
    'd = f"{v}!"; wire = f"set k:{d} 0 60 {len(d)}\\r\\n{d}\\r\\n".encode()',
)


def counted(makes: tuple[str, ...]) -> dict[str, tuple[str, object]]:
    """Return programs that send data after its length, or what was hashed of it."""
    code = COUNTED.replace("{b}", "b")
    return {
        make: (
            code.replace("{make}", make),
            {"v": "a\r\nflush_all\r\nset role:ann 0 60 5\r\nadmin"},
        )
        for make in makes
    }


TALK = """
class Notes:
    def __init__(self):
        self.kept = []
    def add(self, text):
        self.kept.append(text)
        return text.split("\\n")[0].split()
class Chat:
    def post(self, room, text):
        return room, [line.strip() for line in text.splitlines()]
SMALL = ("get", "set", "delete", "note")
def handler(event, context):
    v = event["v"]
    Notes().add(f"Note from Ann:\\n{v}\\n-- the shop\\n")
    Notes().add(f"\\n{v}\\n")
    Chat().post("shop", f"Hello {event.get('who', 'you')},\\n\\n{v}\\n\\nregards")
    return SMALL.index("set")
"""
PROSE = (
    "one line",
    "first line\nset the table, please",
    "hello\n\nget well soon\ndelete is a strong word",
    "a\r\nnote: b\r\n- c",
)


def prose() -> dict[str, tuple[str, object]]:
    """Return texts of people that are given to objects of the code's own."""
    return {value: (TALK, {"v": value}) for value in PROSE}


@EACH_TURN
def test_a_line_end_of_the_event_begins_no_command(tmp_path: Path, turn: int) -> None:
    cases = of_turn(commands("attacks"), turn, TURNS)
    assert_blocked(tmp_path, cases, {"header", "nosql", "deserialisation"}, ())


@EACH_TURN
def test_values_without_line_ends_are_values(tmp_path: Path, turn: int) -> None:
    assert_passes(tmp_path, of_turn(commands("plain"), turn, TURNS), ())


def test_what_is_sent_after_its_length_begins_nothing(tmp_path: Path) -> None:
    assert_passes(tmp_path, counted(COUNTED_MAKES), ())
    assert_passes(tmp_path, prose(), ())


def test_what_is_longer_than_its_length_begins_commands(tmp_path: Path) -> None:
    cases = counted(SHORT_COUNTS)
    assert_blocked(tmp_path, cases, {"header", "nosql", "deserialisation"}, ())


LOOKUP = """
import json, re
from urllib.parse import parse_qsl, parse_qs, unquote
OPS = {"$ne": lambda v, a: v != a, "$gt": lambda v, a: v > a, "$lt": lambda v, a: v < a,
       "$gte": lambda v, a: v >= a, "$in": lambda v, a: v in a, "$exists": lambda v, a: bool(v),
       "$regex": lambda v, a: re.search(a, v or "") is not None}
DOCS = [{"login": "root", "code": "991-003", "token": "t1", "price": 3, "pin": "12", "used": False}]
def matches(doc, query):
    for key, want in query.items():
        if isinstance(want, dict) and any(k.startswith("$") for k in want):
            if not all(OPS[op](doc.get(key), arg) for op, arg in want.items()):
                return False
        elif doc.get(key) != want:
            return False
    return True
class Collection:
    def find(self, query, limit=0):
        return [d for d in DOCS if matches(d, query)]
    def find_one(self, query):
        return next(iter(self.find(query)), None)
    def update_one(self, query, change):
        return self.find_one(query)
    def count_documents(self, query):
        return len(self.find(query))
    async def first(self, query):
        return self.find_one(query)
def by_partition(body):
    data = {}
    for key, val in parse_qsl(body, keep_blank_values=True):
        name, _, sub = key.partition("[")
        if sub:
            data.setdefault(name, {})[sub.rstrip("]")] = val
        else:
            data[name] = val
    return data
def by_pattern(body):
    data = {}
    for key, val in parse_qsl(body):
        m = re.fullmatch(r"(\\w+)\\[([^\\]]+)\\]", key)
        if m:
            data.setdefault(m[1], {})[m[2]] = val
        else:
            data[key] = val
    return data
def by_split(body):
    data = {}
    for part in body.split("&"):
        key, _, val = part.partition("=")
        at = data
        *path, last = unquote(key).replace("]", "").split("[")
        for step in path:
            at = at.setdefault(step, {})
        at[last] = unquote(val)
    return data
def by_cut(body):
    data = {}
    for key, vals in parse_qs(body).items():
        if key.endswith("]"):
            at = key.index("[")
            data[key[:at]] = {key[at + 1:-1]: vals[0]}
        else:
            data[key] = vals[0]
    return data
def by_dots(body):
    data = {}
    for key, val in parse_qsl(body.replace("[", ".").replace("]", "")):
        name, dot, sub = key.partition(".")
        data[name] = {**data.get(name, {}), sub: val} if dot else val
    return data
def handler(event, context):
    data = {parse}(event["body"])
    col = Collection()
    return bool({find})
"""
PARSES = ("by_partition", "by_pattern", "by_split", "by_cut", "by_dots")
FINDS = (
    'col.find_one({"login": data.get("login"), "code": data.get("code"), "used": False})',
    'col.find({"code": data["code"]})',
    'col.update_one({"login": "root", "code": data["code"]}, {"$set": {"used": True}})',
    'col.count_documents({"login": data.get("login"), "code": data["code"]})',
    'col.find_one(dict(login="root", code=data.get("code")))',
)
OPERATORS = ("code[$gt]=0", "code[$ne]=x", "code[$regex]=.", "code[$exists]=1", "code[$gte]=0")
SECRETS = ("token[$gt]=", "pin[$ne]=0", "coupon_code[$gt]=A", "otp[$lt]=9", "invite_code[$ne]=a")


def lookups() -> dict[str, tuple[str, object]]:
    """Return stores of the code's own that are asked by what is a part of a form's key."""
    cases: dict[str, tuple[str, object]] = {}
    for number, body in enumerate(OPERATORS):
        for turn, parse in enumerate(PARSES):
            code = LOOKUP.replace("{parse}", parse)
            code = code.replace("{find}", FINDS[(number + turn) % len(FINDS)])
            cases[f"{body} {parse} {turn}"] = (code, {"body": f"login=root&{body}&password=abc"})
    for number, body in enumerate(SECRETS):
        field = body.partition("[")[0]
        code = LOOKUP.replace("{parse}", PARSES[number])
        code = code.replace("{find}", f'col.find_one({{"{field}": data.get("{field}")}})')
        cases[body] = (code, {"body": body + "0" if body[-1] == "=" else body})
    return cases


def no_lookups() -> dict[str, tuple[str, object]]:
    """Return the same with values, and fields of which people choose how they are compared."""
    bodies = (
        "code=991-003",
        "code=%24gt",
        "code=$ne&x[y]=z",
        "code=a[$gt]",
        "code=%7B%22$gt%22%7D",
    )
    cases: dict[str, tuple[str, object]] = {}
    for number, body in enumerate(bodies):
        for turn, parse in enumerate(PARSES):
            code = LOOKUP.replace("{parse}", parse)
            code = code.replace("{find}", FINDS[(number + turn) % len(FINDS)])
            cases[f"{body} {parse}"] = (code, {"body": f"login=root&{body}"})
    for number, body in enumerate(
        ("price[$gt]=2", "price[$lte]=9", "weight[$lt]=5", "zip_code[$gte]=10000")
    ):
        field = body.partition("[")[0]
        code = LOOKUP.replace("{parse}", PARSES[number])
        find = f'{{"{field}": data.get("{field}")}} and 1'
        cases[body] = (code.replace("{find}", find), {"body": body})
    code = LOOKUP.replace("{parse}", PARSES[0])
    cases["asked"] = (
        code.replace("{find}", 'col.find({"price": {"$gt": int(data["price"]["from"])}})'),
        {"body": "price[from]=2"},
    )
    return cases


def test_an_operator_that_is_part_of_a_key(tmp_path: Path) -> None:
    assert_blocked(tmp_path, lookups(), {"nosql"}, ())


def test_keys_with_brackets_that_bring_no_operator(tmp_path: Path) -> None:
    assert_passes(tmp_path, no_lookups(), ())
