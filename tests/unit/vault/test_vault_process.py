"""The vault as a process: confined, reachable by its connections only, gone with its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from casemate.child.calls import framed
from casemate.model.errors import NotFoundError
from casemate.vault import errors, protocol
from casemate.vault.client import VaultClient
from casemate.vault.envelope import new_key
from casemate.vault.folder import VaultFolder, require_closed
from casemate.vault.interface import Purpose
from casemate.vault.sealed import seal_value
from casemate.vault.start import VaultProcess, start_vault
from support.processes import process

VALUE = b"correct horse battery"
UID = 64802 if os.geteuid() == 0 else None


def start(base: Path, source: str | None = None, **more) -> VaultProcess:
    (base / "data").mkdir(exist_ok=True)
    text = source or f"file:{base}/master.key"
    return start_vault(base / "data" / "vault", text, **{"create": True, "uid": UID, **more})


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("vault")


@pytest.fixture(scope="module")
def vault(base):
    running = start(base)
    yield running
    running.close()


def using(vault: VaultProcess, use: Callable[[VaultClient], Awaitable]) -> object:
    async def body() -> object:
        client = VaultClient(vault.connect(), asyncio.get_running_loop())
        try:
            return await use(client)
        finally:
            client.close()

    return uvloop.run(body())


async def put(client: VaultClient, name: str = "key", value: bytes = VALUE):
    sealed = seal_value(await client.public_key(), "shop", name, value)
    return await client.put_secret("shop", name, sealed, "user:ada")


async def delivered(client: VaultClient, name: str = "key") -> bytes:
    reading, writing = os.pipe()
    try:
        await client.deliver_secret("shop", name, None, writing)
        os.close(writing)
        writing = -1
        with os.fdopen(os.dup(reading), "rb") as pipe:
            return pipe.read()
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def test_every_operation(vault) -> None:
    async def use(client: VaultClient) -> None:
        assert (await put(client)).version == 1
        assert await delivered(client) == VALUE
        assert await client.has_secrets("shop")
        assert not await client.has_secrets("mail")
        (info,) = await client.secrets("shop")
        assert info.name == "key"
        assert await client.redact("shop", [b"a " + VALUE, b"b"]) == (b"a [redacted:key]", b"b")
        assert len((await client.data_key("shop", Purpose.DATA)).key) == 32
        wrapped = await client.wrap("use", b"value")
        assert await client.unwrap("use", wrapped) == b"value"
        now = int(time.time())
        assert (await client.sign_token({"iat": now, "exp": now + 5})).count(".") == 2
        kid = await client.rotate_signing_key()
        assert kid in str(await client.public_keys())
        assert await client.rotate_data_keys(None) == ("", "shop")
        assert [await client.renew_secrets("shop") for _ in range(2)] == [True, False]
        files = await client.export()
        assert len(files) == 2
        assert not any(VALUE in data for data in files.values())
        status = await client.status()
        assert (status.secrets, status.memory_locked) == (1, vault.memory_locked)
        await client.delete_secret("shop", "key")
        assert not await client.has_secrets("shop")
        with pytest.raises(NotFoundError):
            await delivered(client)

    using(vault, use)


def test_it_has_given_up_every_right(vault) -> None:
    lines = Path(f"/proc/{vault.pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"].startswith("2")
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0
    if UID is not None:
        assert set(status["Uid"].split()) == {str(UID)}
        assert set(status["Gid"].split()) == {str(UID)}
        assert status["Groups"].strip() == ""


def test_it_leaves_no_core_and_no_way_into_its_memory(vault) -> None:
    folder = Path(f"/proc/{vault.pid}")
    limits = (folder / "limits").read_text()
    assert next(x for x in limits.splitlines() if "core file" in x).split()[4:6] == ["0", "0"]
    # Not dumpable: the kernel gives its files in /proc to root, and no other user can attach.
    assert (folder / "mem").stat().st_uid == 0
    if UID is not None:
        program = f"open('/proc/{vault.pid}/mem', 'rb')"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", program], user=UID, group=UID, capture_output=True, cwd="/"
        )
        assert b"PermissionError" in done.stderr


def test_the_supervisors_end_is_its_end(tmp_path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from casemate.vault.start import start_vault\n"
        f"v = start_vault(Path({str(tmp_path / 'vault')!r}), 'file:{tmp_path}.key', create=True, "
        "uid=None)\n"
        "print(v.pid, flush=True); time.sleep(60)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    pid = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    deadline = time.monotonic() + 5
    while process(pid).started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not process(pid).started


def test_a_wrong_key_keeps_it_closed(vault, base, tmp_path) -> None:
    first = start(tmp_path)
    first.close()
    (tmp_path / "master.key").write_text(new_key().hex())
    with pytest.raises(errors.WrongMasterKeyError) as caught:
        start(tmp_path)
    assert caught.value.next_step
    with pytest.raises(errors.VaultError, match="open in another process"):
        start(base)


def test_no_new_vault_unless_it_is_asked_for(tmp_path) -> None:
    (tmp_path / "data" / "vault").mkdir(parents=True)
    if UID is not None:
        os.chown(tmp_path / "data" / "vault", UID, UID)
    with pytest.raises(errors.VaultMissingError):
        start(tmp_path, create=False)
    assert not (tmp_path / "master.key").exists()


@pytest.mark.skipif(UID is None, reason="only root gives folders away")
def test_a_folder_of_another_user_is_not_taken(tmp_path) -> None:
    (tmp_path / "data" / "vault").mkdir(parents=True)
    (tmp_path / "data" / "vault" / "file").touch()
    with pytest.raises(errors.VaultError, match="belongs to user 0"):
        start(tmp_path)


def test_a_key_in_the_environment_is_in_no_environment_afterwards(tmp_path, monkeypatch) -> None:
    key = new_key().hex()
    monkeypatch.setenv("CM_MASTER", key)
    running = start(tmp_path, "env:CM_MASTER")
    try:
        assert "CM_MASTER" not in os.environ
        for pid in (running.pid, os.getpid()):
            for name in ("environ", "cmdline"):
                assert key.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    finally:
        running.close()
    with pytest.raises(errors.MasterKeySourceError):
        start(tmp_path, "env:CM_MASTER")


def test_a_passphrase_on_a_descriptor(tmp_path) -> None:
    def phrase(text: bytes) -> str:
        reading, writing = os.pipe()
        os.write(writing, text)
        os.close(writing)
        return f"fd:{reading}"

    start(tmp_path, phrase(b"correct horse battery")).close()
    start(tmp_path, phrase(b"correct horse battery")).close()
    with pytest.raises(errors.WrongMasterKeyError):
        start(tmp_path, phrase(b"correct horse stapler"))
    with pytest.raises(errors.MasterKeySourceError):
        start(tmp_path, "fd:999999")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(4),
        struct.pack(">I", protocol.MAX_FRAME + 1),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 1) + b"\x90",
        framed(protocol.Wrap(1, "u" * 2000, b"")),
        framed(protocol.PutSecret(1, "shop", "key", bytes(70_000), "x")),
        framed(protocol.DeliverSecret(1, "shop", "key", None)),
        framed(protocol.HasSecrets(1, "shop")).replace(b"shop", b"\xff\xfe\xfd\xfc"),
    ],
)
def test_rubbish_ends_its_connection_and_no_other(vault, rubbish) -> None:
    async def use(client: VaultClient) -> None:
        with vault.connect() as other:
            other.settimeout(5)
            other.sendall(rubbish)
            assert other.recv(100) == b""
        await client.status()

    using(vault, use)


def test_half_a_message_keeps_nobody_waiting(vault) -> None:
    with vault.connect() as other:
        other.sendall(struct.pack(">I", 1000) + b"x")
        using(vault, lambda client: client.status())


@pytest.mark.parametrize("count", [1, 60, 200])
def test_descriptors_that_nobody_asked_for_are_closed(vault, count) -> None:
    before = len(os.listdir(f"/proc/{vault.pid}/fd"))
    with vault.connect() as other, contextlib.suppress(OSError):
        for _ in range(count):
            socket.send_fds(other, [framed(protocol.HasSecrets(1, "shop"))], [0])
    deadline = time.monotonic() + 5
    while len(os.listdir(f"/proc/{vault.pid}/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(os.listdir(f"/proc/{vault.pid}/fd")) <= before


def test_only_so_many_connections(vault) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(vault.connect()) for _ in range(12)]
        time.sleep(0.1)
        socks[-1].settimeout(2)
        with contextlib.suppress(BrokenPipeError):
            socks[-1].sendall(framed(protocol.GetStatus(1)))
        with contextlib.suppress(ConnectionResetError):
            assert socks[-1].recv(100) == b""
    time.sleep(0.1)
    using(vault, lambda client: client.status())


def wrong_descriptors(base: Path) -> list[int]:
    reading, writing = os.pipe()
    os.close(writing)
    one, two = socket.socketpair()
    two.close()
    return [
        reading,
        one.detach(),
        os.open(base / "plain", os.O_RDWR | os.O_CREAT),
        os.open("/dev/null", os.O_WRONLY),
        os.open(base, os.O_RDONLY),
        os.memfd_create("m"),
    ]


def test_a_secret_goes_into_pipes_only(vault, base) -> None:
    async def use(client: VaultClient) -> None:
        await put(client)
        for descriptor in wrong_descriptors(base):
            try:
                with pytest.raises(errors.VaultInputError):
                    await client.deliver_secret("shop", "key", None, descriptor)
            finally:
                os.close(descriptor)
        assert (base / "plain").read_bytes() == b""
        assert await delivered(client) == VALUE

    using(vault, use)


def test_a_reader_that_is_gone_or_slow_keeps_nobody_waiting(vault) -> None:
    async def use(client: VaultClient) -> None:
        big = os.urandom(32768).hex().encode()
        await put(client, "big", big)
        reading, writing = os.pipe()
        os.close(reading)
        with pytest.raises(errors.VaultError, match="does not take it"):
            await client.deliver_secret("shop", "big", None, writing)
        os.close(writing)
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        slow = asyncio.ensure_future(client.deliver_secret("shop", "big", None, writing))
        await asyncio.sleep(0.05)
        os.close(writing)
        assert not slow.done()
        assert await delivered(client, "big") == big
        loop = asyncio.get_running_loop()
        with os.fdopen(reading, "rb") as pipe:
            data = await loop.run_in_executor(None, pipe.read)
        assert data.endswith(big)
        assert (await slow).version == 1

    using(vault, use)


def test_a_client_that_goes_away_takes_its_deliveries_along(vault) -> None:
    before = len(os.listdir(f"/proc/{vault.pid}/fd"))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))

    async def use(client: VaultClient) -> None:
        await put(client)
        task = asyncio.ensure_future(client.deliver_secret("shop", "key", None, writing))
        await asyncio.sleep(0.05)
        client.close()
        with pytest.raises(errors.VaultUnavailableError):
            await task

    using(vault, use)
    using(vault, lambda client: client.status())
    os.close(writing)
    os.close(reading)
    time.sleep(0.1)
    assert len(os.listdir(f"/proc/{vault.pid}/fd")) <= before


@pytest.mark.alone
@pytest.mark.parametrize("letters", [b"a" * 2000, b"0123456789"])
def test_hostile_text_keeps_nobody_waiting_who_asks_for_a_key(tmp_path, letters) -> None:
    running = start(tmp_path)

    async def use(client: VaultClient) -> tuple[float, float]:
        await put(client, "key", letters)
        text = (letters + b"%41\\u0041") * (1_000_000 // (len(letters) + 9))
        await client.redact("shop", (text[:5000],))
        started = time.monotonic()
        redacting = asyncio.ensure_future(client.redact("shop", (text,)))
        waits = []
        while not redacting.done():
            asked = time.monotonic()
            await client.wrap("use", b"value")
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(0.002)
        (redacted,) = await redacting
        assert letters not in redacted
        assert b"[redacted:key]" in redacted
        return time.monotonic() - started, sorted(waits)[len(waits) // 2]

    try:
        took, waited = using(running, use)
        assert took < 15
        assert waited < 0.05, (took, waited)
    finally:
        running.close()


def test_more_than_waits_to_be_redacted_is_refused_and_the_rest_answered(tmp_path) -> None:
    running = start(tmp_path)

    async def use(client: VaultClient) -> list[object]:
        await put(client)
        text = b"%41" * 1_000_000
        jobs = (client.redact("shop", (text,)) for _ in range(20))
        return await asyncio.gather(*jobs, return_exceptions=True)

    try:
        results = using(running, use)
    finally:
        running.close()
    refused = [r for r in results if isinstance(r, errors.VaultUnavailableError)]
    assert [r for r in refused if "wait to be redacted" in str(r)]
    # On a machine that does much else, one that waits may be given up as well.
    assert all("redacted" in str(r) for r in refused), refused
    assert len(results) - len(refused) >= 7


def test_a_folder_is_looked_at_without_keeping_anybody_out(tmp_path: Path) -> None:
    path = tmp_path / "vault"
    require_closed(path)
    assert not path.exists(), "what is missing stays so"
    opened = VaultFolder.open(path, create=True, uid=None)
    try:
        with pytest.raises(errors.VaultError, match="open in another process"):
            require_closed(path)
    finally:
        opened.close()
    require_closed(path)
    VaultFolder.open(path, create=False, uid=None).close()
