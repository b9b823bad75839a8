"""A monitor of tests: a real journal and its readers, and receivers of alerts on loopback."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, cast

import msgspec

from casemate.child.calls import reply
from casemate.detection import Rules, shipped_rules
from casemate.journal.reader import Reader
from casemate.journal.writer import Writer
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import Fact
from casemate.model.level import Level
from casemate.monitor.alerting import Alerting
from casemate.monitor.detecting import Detection
from casemate.monitor.exports.exporting import Exporting
from casemate.monitor.findings import Findings, Found
from casemate.monitor.memory import Memory
from casemate.monitor.messages import Message
from casemate.monitor.noticing import Noticing
from casemate.monitor.outlet import Outlet
from casemate.monitor.places.checkpoints import Checkpoints
from casemate.monitor.settings import Channel, Webhook
from casemate.monitor.telling import Telling
from casemate.operations.incidents import Incident, ShowIncident
from casemate.recorder import ocsf, reading_protocol
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.keeper import Keeper, KeyRing
from casemate.recorder.noted import Noted
from casemate.recorder.protocol import Take, Told
from casemate.recorder.reading import Readers
from casemate.recorder.reading_protocol import GetHead, Head, Lend, Lent
from casemate.recorder.search import Search
from casemate.vault.interface import DataKey
from support.egress import Origin
from support.journal import KEY, PRIVATE


async def vault_key(project: str, version: int | None = None) -> DataKey:
    """Return the key of a project, as a vault of tests has it."""
    number = version or 1
    return DataKey(version=number, key=f"{project}{number}".encode().ljust(32, b"."))


async def monitor_key(version: int | None = None) -> DataKey:
    return await vault_key("monitor", version)


def refused(n: int, *, at: float, ip: str = "203.0.113.9") -> Denial:
    """Return a sign-in that was refused: many of them are an attack."""
    return Denial(
        at=at,
        by="anonymous:public",
        remote_address=ip,
        kind=DenialKind.AUTHENTICATION,
        action="authenticate",
        resource="node",
        reason=f"the token is not valid ({n})",
    )


class Journal:
    """A recorder without its process: what it keeps can be read along."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.writer = Writer(folder, KEY)
        self.keys = KeyRing(folder, vault_key)
        self.keeper = Keeper(self.writer, self.keys, Noted((), self.writer.size))
        self.search = Search(folder, self.writer, self.keys)
        self.readers = Readers(self.search, lambda: self.writer.size, self._take, self._asked)
        self.records: Callable[[Lend], Awaitable[Lent]] | None = None
        self.head = Head("", KEY.text, 0)
        self.session = time.monotonic_ns().to_bytes(8, "big")
        self.number = 0
        self.told: list[Fact] = []
        self.loaded = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(self, *facts: Fact) -> None:
        """Keep facts, as the gateway tells them."""
        if not self.loaded:
            await self.keys.load()
            self.loaded = True
        told = tuple(Told(type(f).__name__, msgspec.msgpack.encode(f)) for f in facts)
        first, self.number = self.number, self.number + len(told)
        await self.keeper.keep([Take(1, self.session, first, told)])
        self.readers.wake()

    def _take(self, take: Take, answer: Callable[[bytes], None]) -> None:
        async def keep() -> None:
            if not self.loaded:
                await self.keys.load()
                self.loaded = True
            await self.keeper.keep([take])
            self.told += [ocsf.decode(each.kind, each.fact) for each in take.facts]
            answer(reply(take.n, None))
            self.readers.wake()

        task = asyncio.get_running_loop().create_task(keep())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _asked(self, request: Lend | GetHead) -> object:
        if isinstance(request, GetHead):
            return self.head
        if self.records is None:
            raise RecorderInputError("nothing is lent")
        return await self.records(request)

    def checkpoint(self) -> str:
        """Sign what there is, as the recorder does each second; return the note."""
        self.writer.checkpoint(PRIVATE.sign)
        note = Reader(self.folder, KEY).note
        self.head = Head(note, KEY.text, self.writer.size)
        return note

    def reader(self) -> socket.socket:
        """Return the reader's end of a new connection."""
        ours, theirs = reading_protocol.ASKING.pair()
        self.readers.accept(ours)
        return theirs

    def close(self) -> None:
        self.readers.close()
        self.writer.close()


class Sink:
    """A channel of tests: keeps what it is sent, or fails, or hangs, as it is told to."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.at: list[float] = []
        self.problem: Exception | None = None
        self.hangs = False

    async def send(self, message: Message) -> None:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.problem is not None:
            raise self.problem
        self.messages.append(message)
        self.at.append(time.time())

    @property
    def ids(self) -> list[str]:
        return [each.id for message in self.messages for each in message.found]


def channel(**settings: Any) -> Webhook:
    """Return the settings of a channel that nobody connects to."""
    return msgspec.convert(
        {"kind": "webhook", "url": "https://alerts.example.org/", "secret": "ops/key", **settings},
        Channel,  # type: ignore[arg-type]
    )


class Watch:
    """A monitor without its process, which is told to end at any time."""

    def __init__(
        self,
        folder: Path,
        sinks: dict[str, Sink],
        *,
        rules: Rules | None = None,
        settings: dict[str, Channel] | None = None,
        exporting: Exporting | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.telling, self.findings = Telling(), Findings()
        chosen = settings or {}
        self.outlets = {
            name: Outlet(
                name,
                chosen.get(name) or channel(),
                sink.send,
                node="test",
                tell=self.telling.tell,
            )
            for name, sink in sinks.items()
        }
        self.alerting = Alerting(self.outlets)
        self.detection = Detection(rules or shipped_rules(), self.findings)
        self.memory = Memory(folder, monitor_key)
        self.noticing = Noticing(
            self.memory,
            self.telling,
            self.findings,
            self.alerting,
            self.detection,
            exporting or Exporting((), {}, 0.0),
            checkpoints or Checkpoints(()),
            node="test",
        )
        self.ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def start(self, journal: Journal) -> Watch:
        await self.noticing.begin()
        self.task = asyncio.get_running_loop().create_task(self.noticing.run(self.ended))
        self.noticing.following.connect(journal.reader())
        return self

    async def stop(self) -> None:
        """End it in order: what it has seen is kept."""
        self.ended.set()
        if self.task is not None:
            await self.task

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing more is kept."""
        self.noticing._unsaved = False
        if self.task is not None:
            self.noticing.save = _nothing  # type: ignore[method-assign]
            self.ended.set()
            await self.task


async def _nothing() -> None:
    return


def running(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return a test that runs a coroutine."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def found(
    n: int = 1, *, rule: str = "tokens-tried", level: Level = Level.HIGH, **more: Any
) -> Found:
    """Return a finding; those of other numbers are of other entities."""
    fields: dict[str, Any] = {
        "id": f"{n:016x}",
        "rule": rule,
        "title": "Tokens are tried",
        "level": level,
        "entity": f"src_endpoint.ip=192.0.2.{n}",
        "at": 1_772_409_600.0 + n,
        "count": 30,
        "events": (f"boot-{n}",),
        "techniques": ("T1110",),
        "project": "",
    }
    return Found(**{**fields, **more})


def incident(**more: Any) -> Incident:
    """Return an incident about a function of `shop`."""
    known = ShowIncident.declared.answer
    return msgspec.structs.replace(cast("Incident", known), **more)


def not_own(_address: IPv4Address | IPv6Address) -> bool:
    return False


async def signed(_secret: str, message: bytes) -> bytes:
    """Sign as the vault does with the key `key`."""
    return hmac.digest(b"key", message, hashlib.sha256)


class Receiver:
    """A real HTTP server that keeps the requests it gets; `answer` is what it says."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[float, dict[str, str], bytes]] = []
        self.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.lock = threading.Lock()
        self.origin = Origin(self._handle, context)
        self.port = self.origin.port

    def _handle(self, sock: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (each.partition(":") for each in lines[1:])}
        headers[":request"] = lines[0]
        while len(body) < int(headers.get("content-length", "0")):
            body += sock.recv(65536)
        with self.lock:
            self.requests.append((time.time(), headers, body))
        sock.sendall(self.answer)

    def close(self) -> None:
        self.origin.close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MailServer:
    """A real SMTP server for one conversation at a time a thread: over TLS, or with STARTTLS."""

    def __init__(self, context: ssl.SSLContext, *, starttls: bool = False) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.credentials: list[str] = []
        self.in_clear: list[bytes] = []
        self.offers = True
        """Whether STARTTLS is offered."""
        self.greeting = b"220 mail.test ESMTP\r\n"
        self.refuses = False
        self._context = context
        self._starttls = starttls
        self.origin = Origin(self._handle, None if starttls else context)
        self.port = self.origin.port

    def _handle(self, sock: socket.socket) -> None:
        secure = not self._starttls
        sock.sendall(self.greeting)
        file = sock.makefile("rb")
        sender, to = "", list[str]()
        while line := file.readline():
            if not secure:
                self.in_clear.append(line)
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    offer = "250-STARTTLS\r\n" if not secure and self.offers else ""
                    sock.sendall(f"250-mail.test\r\n{offer}250 AUTH PLAIN\r\n".encode())
                case "STARTTLS":
                    sock.sendall(b"220 go on\r\n")
                    sock = self._context.wrap_socket(sock, server_side=True)
                    file, secure = sock.makefile("rb"), True
                case "AUTH":
                    self.credentials.append(rest)
                    sock.sendall(b"235 welcome\r\n")
                case "MAIL":
                    sender, to = rest, []
                    sock.sendall(b"250 ok\r\n")
                case "RCPT":
                    to.append(rest)
                    sock.sendall(b"550 no\r\n" if self.refuses else b"250 ok\r\n")
                case "DATA":
                    sock.sendall(b"354 go on\r\n")
                    data = b""
                    while (part := file.readline()) != b".\r\n":
                        data += part[1:] if part.startswith(b"..") else part
                    self.mails.append((sender, to, data))
                    sock.sendall(b"250 kept\r\n")
                case "QUIT":
                    sock.sendall(b"221 bye\r\n")
                    return
                case _:
                    sock.sendall(b"500 what\r\n")

    def close(self) -> None:
        self.origin.close()


class SyslogServer:
    """A real receiver of syslog over TLS: octet counting, one connection after the other."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.lines: list[bytes] = []
        self.origin = Origin(self._handle, context)
        self.port = self.origin.port

    def _handle(self, sock: socket.socket) -> None:
        file = sock.makefile("rb")
        while digits := _digits(file):
            self.lines.append(file.read(int(digits)))

    def close(self) -> None:
        self.origin.close()


def _digits(file: Any) -> bytes:
    found = b""
    while (letter := file.read(1)) not in (b" ", b""):
        found += letter
    return found
