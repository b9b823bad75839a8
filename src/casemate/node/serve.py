"""`casemate serve`: the supervisor process, which starts the gateway and makes sandboxes."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from casemate.build import Interpreter, RuntimeStatus, find_interpreters
from casemate.egress.start import EgressProcess
from casemate.model.errors import CasemateError, ProtectionMissingError, UnavailableError
from casemate.model.protection import ProtectionStatus
from casemate.model.runtime import Runtime
from casemate.node.options import (
    EGRESS_UID,
    GATEWAY_UID,
    RISKS,
    SANDBOX_UID,
    SOURCES_UID,
    START_FAILED,
    VAULT_UID,
    Folders,
    GatewayConfig,
    ServeOptions,
    default_master_key,
    is_loopback,
)
from casemate.runner import linux
from casemate.sandbox.cgroups import Driver, open_driver
from casemate.sandbox.staging import Staging
from casemate.sandbox.supervisor import Supervisor
from casemate.sources.start import SourcesStarter
from casemate.store.sqlite.conversion import is_plain
from casemate.store.sqlite.files import DATABASE
from casemate.vault.start import VaultProcess, start_vault

_RESTART_SECONDS = (0.0, 0.2, 1.0, 5.0, 15.0)
_STEADY_SECONDS = 60.0
_HEADER_BYTES = 100


def failures_in_a_row(before: int, ran: float) -> int:
    """Return how often the gateway ended by itself; a steady run of `ran` seconds starts anew."""
    return 1 if ran > _STEADY_SECONDS else before + 1


def restart_pause(failures: int) -> float:
    """Return the seconds to wait before the gateway is started again; none the first time."""
    return _RESTART_SECONDS[min(failures, len(_RESTART_SECONDS)) - 1]


def report(message: str) -> None:
    """Write a line of the supervisor's own log."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{stamp} supervisor: {message}", file=sys.stderr, flush=True)


def offered_interpreters(wanted: tuple[str, ...]) -> list[Interpreter]:
    """Return the supported interpreters of this host. Raises ProtectionMissingError for none.

    One that is past its end of life is never offered.
    """
    today = datetime.now(UTC).date()
    found = find_interpreters(today=today, environ=os.environ)
    offered = [i for i in found if i.status is not RuntimeStatus.ENDED]
    if wanted:
        offered = [i for i in offered if i.minor in wanted]
        missing = sorted(set(wanted) - {i.minor for i in offered})
        if missing:
            raise ProtectionMissingError(
                f"This host has no supported Python {', '.join(missing)}.",
                next_step="install it, or leave out --python",
            )
    if not offered:
        raise ProtectionMissingError(
            "This host has no supported Python for functions (3.11 to 3.14).",
            next_step="install one, for example: apt-get install python3",
        )
    return offered


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; the gateway listens on it. Raises UnavailableError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        raise UnavailableError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}.",
            next_step="choose another --port, or end what listens there",
        ) from error
    return sock


def has_encrypted_store(folder: Path) -> bool:
    """Tell whether a folder holds a store, other than one of the release without encryption.

    Raises OSError if that cannot be told.
    """
    try:
        # The folder is the gateway's: what it put there is neither followed nor waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(folder / DATABASE, flags)
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        return not is_plain(file.read(_HEADER_BYTES))


class Node:
    """One run of `casemate serve`."""

    def __init__(self, options: ServeOptions) -> None:
        """Check the host and make the supervisor. Raises ProtectionMissingError."""
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            raise ProtectionMissingError(
                f"This host is {platform.system()} on {platform.machine()}; the system-call filter "
                "is made for Linux on x86_64.",
                next_step="run the node on such a host",
            )
        self._options = options
        self._root = os.geteuid() == 0
        self._folders = Folders(options.data.absolute())
        self._folders.make(GATEWAY_UID if self._root else None, VAULT_UID if self._root else None)
        self._interpreters = offered_interpreters(options.pythons)
        self._listener = listen(options.host, options.port)
        self._tls = self._require_tls()
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        sandbox_uid = SANDBOX_UID if self._root else None
        name = hashlib.sha256(str(self._folders.data).encode()).hexdigest()[:16]
        self._staging = staging = Staging(sandbox_uid, GATEWAY_UID if self._root else None, name)
        # The gateway's uid may not be able to walk to the folder by its own path either.
        self._visible_data = staging.visible(str(self._folders.data))
        self._vault = self._open_vault()
        try:
            cgroups, landlock = self._protections()
        except BaseException:
            self._vault.close()
            staging.close()
            raise
        self._supervisor = Supervisor(
            runtimes={
                i.minor: Runtime(minor=i.minor, executable=str(i.path), prefix=str(i.prefix))
                for i in self._interpreters
            },
            staging=staging,
            cgroups=cgroups,
            landlock=landlock,
            report=report,
        )
        self._gateway: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def _require_tls(self) -> bool:
        """Return whether to speak TLS. Raises ProtectionMissingError where that is no choice."""
        address = self._listener.getsockname()[0]
        options = self._options
        if options.learn and not is_loopback(address):
            raise ProtectionMissingError(
                f"A node that learns grants lets functions do what they like; {options.host} can "
                "be reached from other machines.",
                next_step="leave out --host",
            )
        if is_loopback(address):
            return options.tls_certificate is not None or bool(options.tls_names)
        return "plaintext" not in options.accepted_risks

    def _open_vault(self) -> VaultProcess:
        """Start the vault, which makes the master key on the very first start."""
        source = self._options.master_key or default_master_key(self._folders.data)
        kind, _, path = source.partition(":")
        if self._options.master_key is None and kind == "file":
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        vault = start_vault(
            self._folders.vault,
            source,
            # Where there is something encrypted, a new vault would only hide the loss.
            create=not has_encrypted_store(self._folders.store),
            uid=VAULT_UID if self._root else None,
        )
        if not vault.memory_locked:
            report("the host does not let the vault lock its memory: keys may reach swap")
        return vault

    def _protections(self) -> tuple[Driver | None, bool]:
        """Return the control groups and whether Landlock is used, as the host and operator say."""
        accepted = self._options.accepted_risks
        for risk in accepted:
            report(f"risk accepted by the operator: {risk}: {RISKS[risk]}")
        landlock = linux.landlock_abi() > 0
        if not landlock and "landlock" not in accepted:
            raise ProtectionMissingError(
                "This kernel has no Landlock, which confines an instance to its own files.",
                next_step="boot with lsm=landlock,..., or accept it: --accept-risk landlock",
            )
        # Last: what is refused above must leave no control group behind.
        cgroups = None if "cgroups" in accepted else open_driver(f"casemate-{os.getpid()}")
        return cgroups, landlock and "landlock" not in accepted

    def _statuses(self) -> tuple[ProtectionStatus, ...]:
        accepted = self._options.accepted_risks
        names = ("user namespaces", "seccomp", "landlock", "cgroups")
        return tuple(
            ProtectionStatus(
                name=name, holds=name not in accepted, required=True, accepted=name in accepted
            )
            for name in names
        )

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. A gateway that ends by itself is started again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        # Instances are born here: see the gateway, which does the same.
        gc.collect()
        gc.freeze()
        failures = 0
        try:
            while not self._stopping:
                started = time.monotonic()
                if not self._vault.alive:
                    self._restart_vault()
                self._run_gateway()
                code = self._wait_for_gateway()
                if self._stopping:
                    break
                ran = time.monotonic() - started
                failures = failures_in_a_row(failures, ran)
                # A fault of ours ends it with 1, before it serves or after.
                if failures == 1 and (code == START_FAILED or (code == 1 and ran < 1.0)):
                    raise UnavailableError(
                        "The gateway could not start; its message is above.",
                        next_step="mend what it names, then start the node again",
                    )
                pause = restart_pause(failures)
                report(f"the gateway ended with code {code}; it is started again in {pause:g} s")
                self._wait(pause)
        finally:
            self._supervisor.close()
            self._listener.close()
            self._vault.close()
            self._staging.close()

    def _restart_vault(self) -> None:
        """Start a vault that has ended again, from a master key that can be read once more."""
        source = self._options.master_key or "file:"
        if not source.startswith(("file:", "passphrase-file:", "command:")):
            raise UnavailableError(
                f"The vault has ended, and a master key from {source.partition(':')[0]} can be "
                "read only once.",
                next_step="start the node again",
            )
        report("the vault has ended; it is started again")
        self._vault.close()
        self._vault = self._open_vault()

    def _wait(self, seconds: float) -> None:
        """Wait, but not for longer than until the node is to stop."""
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _run_gateway(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        egress = EgressProcess(EGRESS_UID if self._root else None, learn=self._options.learn)
        sources = SourcesStarter(SOURCES_UID if self._root else None)
        vault = self._vault.connect()
        config = self._gateway_config(
            supervisor=theirs.fileno(),
            vault=vault.fileno(),
            egress=egress.gateway_end.fileno(),
            sources=sources.gateway_end.fileno(),
        )
        with ours, theirs, vault:
            self._gateway = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "casemate.node.gateway",
                    msgspec.json.encode(config).decode(),
                ],
                pass_fds=(
                    self._listener.fileno(),
                    config.supervisor,
                    config.vault,
                    config.egress,
                    config.sources,
                ),
                stdin=subprocess.DEVNULL,
                # Signals of the terminal reach the supervisor alone, which passes them on.
                start_new_session=True,
            )
            theirs.close()
            vault.close()
            egress.gateway_end.close()
            sources.gateway_end.close()
            # While the gateway loads, and before it listens: fails here on a host that cannot make
            # sandboxes.
            try:
                self._supervisor.prepare(self._interpreters[-1].minor)
            except BaseException:
                self._gateway.kill()
                self._gateway.wait()
                raise
            if self._stopping:  # told while the gateway was being started
                self._stop()
            # The proxy takes memory: it is there from when the first function may use it.
            self._supervisor.run(
                ours, {egress.fileno(): egress.start, sources.fileno(): sources.serve}
            )
        egress.close()
        sources.close()

    def _gateway_config(
        self, *, supervisor: int, vault: int, egress: int, sources: int
    ) -> GatewayConfig:
        options = self._options
        return GatewayConfig(
            data=self._visible_data,
            listener=self._listener.fileno(),
            supervisor=supervisor,
            vault=vault,
            egress=egress,
            sources=sources,
            unpacked=self._staging.bundles,
            uid=GATEWAY_UID if self._root else None,
            pythons={i.minor: i.version for i in self._interpreters},
            protections=self._statuses(),
            json=options.json,
            started_at=time.time(),
            host=options.host,
            tls=self._tls,
            tls_certificate=str(options.tls_certificate) if options.tls_certificate else None,
            tls_key=str(options.tls_key) if options.tls_key else None,
            tls_names=options.tls_names,
            # A gateway that is started again must not make yet another one.
            tls_new_authority=options.tls_new_authority and self._gateway is None,
            public_url=options.public_url,
            recover_owner=options.recover_owner and self._gateway is None,
            learn=options.learn,
            trusted_proxies=options.trusted_proxies,
        )

    def _wait_for_gateway(self) -> int:
        gateway = self._gateway
        if gateway is None:
            return 0
        try:
            return gateway.wait(5.0)
        except subprocess.TimeoutExpired:
            gateway.kill()
            return gateway.wait()

    def _reload(self, *_: object) -> None:
        """Have the gateway read its certificate again."""
        if self._gateway is not None and self._gateway.poll() is None:
            self._gateway.send_signal(signal.SIGHUP)

    def _stop(self, *_: object) -> None:
        """Have the gateway drain; its end is the end of the supervisor's loop."""
        self._stopping = True
        if self._gateway is not None and self._gateway.poll() is None:
            # While a copy of it is open clients are let in that nobody would answer any more.
            self._listener.close()
            self._gateway.send_signal(signal.SIGTERM)


def serve(options: ServeOptions) -> None:
    """Run a node until it is told to stop. Raises CasemateError if it cannot start."""
    try:
        node = Node(options)
    except OSError as error:
        raise CasemateError(
            f"The node cannot be set up: {error}", next_step="run casemate doctor"
        ) from error
    node.run()
