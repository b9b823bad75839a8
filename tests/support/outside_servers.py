"""Servers that sources read from, which tests stop, kill and start again with what they kept."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers import POSTGRES, reserved_port, wait_for_server

_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Server:
    """A server on a port of loopback. `start` after `stop` finds what it kept."""

    name = ""
    start_seconds = 20.0
    """How long it may take, on a busy machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = reserved_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def options(self) -> dict[str, object]:
        return {}

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment()},
                cwd=self.folder,
                start_new_session=True,
                **self.options(),  # type: ignore[call-overload]
            )
        wait_for_server(self.process, self.port, self.folder / "log", self.start_seconds)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is None:
            return
        if number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        try:
            self.process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None


class Valkey(Server):
    """Keeps what it is told in a file, with a password."""

    name = "valkey"
    password = "known-to-valkey-alone"

    def command(self) -> list[str]:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            pytest.skip("there is no valkey-server")
        return [
            *(found, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(self.folder)),
            *("--requirepass", self.password, "--notify-keyspace-events", "KA"),
        ]


class Postgres(Server):
    """Its superuser `test` needs no password, `reader` has one."""

    name = "postgres"
    password = "known-to-postgres-alone"

    def __init__(self, folder: Path) -> None:
        if not POSTGRES.is_dir():
            pytest.skip(f"there is no PostgreSQL in {POSTGRES}")
        # PostgreSQL does not run as root, nor below a folder that others cannot walk through.
        self.user = "nobody" if os.geteuid() == 0 else getpass.getuser()
        folder = Path(tempfile.mkdtemp(prefix="casemate-outbox-"))
        shutil.chown(folder, self.user)
        super().__init__(folder)
        subprocess.run(
            [POSTGRES / "initdb", "-D", "data", "-A", "trust", "-U", "test", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **self.options(),  # type: ignore[call-overload]
        )
        access = folder / "data" / "pg_hba.conf"
        access.write_text(
            "host all reader 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        )

    def options(self) -> dict[str, object]:
        return {"user": self.user} if os.geteuid() == 0 else {}

    def command(self) -> list[str]:
        return [
            *(str(POSTGRES / "postgres"), "-D", "data", "-p", str(self.port)),
            *("-k", str(self.folder), "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"),
        ]

    def start(self) -> None:
        super().start()
        # It listens before it lets anybody in.
        for _ in range(200):
            asked = [POSTGRES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(asked, check=False).returncode == 0:
                return
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> None:
        super().stop(number)  # SIGINT: without waiting for clients


class Mosquitto(Server):
    """Keeps sessions over a restart, with a user and a password."""

    name = "mqtt"
    password = "known-to-mqtt-alone"

    def __init__(self, folder: Path) -> None:
        if shutil.which("mosquitto") is None and not Path("/usr/sbin/mosquitto").exists():
            pytest.skip("there is no mosquitto")
        super().__init__(folder)
        (folder / "conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
            "log_dest stderr\nmax_queued_messages 100000\n"
            + (f"user {getpass.getuser()}\n" if os.geteuid() == 0 else "")
        )

    def command(self) -> list[str]:
        return [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(self.folder / "conf")]


class Nats(Server):
    """With JetStream in a folder, a user and a password; with TLS if it is given a certificate."""

    name = "nats"
    password = "known-to-nats-alone"

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.certificate = certificate
        super().__init__(folder)

    def command(self) -> list[str]:
        found = shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin")
        if found is None:
            pytest.skip("there is no nats-server")
        tls = []
        if self.certificate is not None:
            tls = ["--tls", f"--tlscert={self.certificate}", f"--tlskey={self.certificate}"]
        return [
            *(found, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)),
            *("--user", "casemate", "--pass", self.password, *tls),
        ]


class Rabbitmq(Server):
    """With its own Erlang node and port mapper, on loopback alone."""

    name = "rabbitmq"
    password = "known-to-rabbitmq-alone"
    start_seconds = 60.0  # six seconds of a processor's time, which others may have

    def __init__(self, folder: Path) -> None:
        if not _RABBITMQ.exists():
            pytest.skip("there is no rabbitmq-server")
        super().__init__(folder)
        self.mapper_port, self.distribution = reserved_port(), reserved_port()
        self.mapper: subprocess.Popen[bytes] | None = None
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"default_user = casemate\ndefault_pass = {self.password}\n"
        )

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.mapper_port),
            "RABBITMQ_NODENAME": f"casemate{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
        }

    def command(self) -> list[str]:
        return [str(_RABBITMQ)]

    def start(self) -> None:
        if self.mapper is None:
            log = self.folder / "mapper.log"
            with log.open("wb") as output:
                self.mapper = subprocess.Popen(
                    ["epmd", "-address", "127.0.0.1", "-port", str(self.mapper_port)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            wait_for_server(self.mapper, self.mapper_port, log)
        super().start()

    def close(self) -> None:
        if self.mapper is not None:
            self.mapper.kill()
            self.mapper.wait()
            self.mapper = None


@contextlib.contextmanager
def running(kind: type[Server], folder: Path, **settings: object) -> Iterator[Server]:
    """Yield a started server; whatever is left of it at the end is killed."""
    server = kind(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGKILL)
        if isinstance(server, Rabbitmq):
            server.close()
        if isinstance(server, Postgres):
            shutil.rmtree(server.folder, ignore_errors=True)
