"""`casemate serve`: the supervisor process, which starts the gateway and makes sandboxes."""

from __future__ import annotations

import contextlib
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

from casemate.child.heartbeat import Pulse
from casemate.child.memory import protect
from casemate.egress.start import EgressStarter
from casemate.folder.folders import Folders, default_master_key
from casemate.folder.ownership import mark, require_own
from casemate.folder.presence import Presence, require_losses
from casemate.model.errors import CasemateError, ProtectionMissingError, UnavailableError
from casemate.model.processes import (
    EGRESS_UID,
    GATEWAY_UID,
    SANDBOX_UID,
    SOURCES_UID,
    START_FAILED,
    VAULT_UID,
    GatewayConfig,
)
from casemate.model.protection import ProtectionStatus
from casemate.model.runtime import Runtime
from casemate.runner import linux
from casemate.sandbox.cgroups import Driver, open_driver
from casemate.sandbox.identities import Identities
from casemate.sandbox.staging import Staging
from casemate.sources.start import SourcesStarter
from casemate.store.sqlite.conversion import is_plain
from casemate.store.sqlite.files import DATABASE
from casemate.supervisor.function_ids import function_ids
from casemate.supervisor.host import (
    host_memory,
    kept_memory,
    listen,
    offered_interpreters,
    raise_open_files,
)
from casemate.supervisor.options import RISKS, ServeOptions, is_loopback
from casemate.supervisor.restarts import Restarts
from casemate.supervisor.sandboxes import Supervisor
from casemate.supervisor.systemd import Systemd
from casemate.supervisor.watchdog import Watchdog
from casemate.vault.errors import VaultUnavailableError
from casemate.vault.start import VaultProcess, start_vault

_HEADER_BYTES = 100
_PROTECTIONS = {"shared-uid": "own user ids", "shared-files": "own inodes"}
"""What is given up with a risk that is not called by the protection's name."""


def report(message: str) -> None:
    """Write a line of the supervisor's own log."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{stamp} supervisor: {message}", file=sys.stderr, flush=True)


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
        require_losses(options.accepted_losses)
        raise_open_files()
        self._memory = host_memory()
        if not protect():
            report(
                "the host does not let the node be spared when memory runs out; functions go "
                "before it all the same"
            )
        self._options = options
        self._systemd = Systemd()
        self._watchdog = Watchdog(report)
        self._restarts = Restarts()
        self._root = os.geteuid() == 0
        self._folders = Folders(options.data.absolute())
        require_own(self._folders.data)
        self._folders.make(GATEWAY_UID if self._root else None, VAULT_UID if self._root else None)
        self._interpreters = offered_interpreters(options.pythons)
        self._listener = listen(options.host, options.port)
        self._tls = self._require_tls()
        sandbox_uid = SANDBOX_UID if self._root else None
        name = hashlib.sha256(str(self._folders.data).encode()).hexdigest()[:16]
        self._staging = staging = Staging(sandbox_uid, GATEWAY_UID if self._root else None, name)
        # The gateway's uid may not be able to walk to the folder by its own path either.
        self._new_master_key: str | None = None
        self._visible_data = staging.visible(str(self._folders.data))
        self._vault = self._open_vault()
        try:
            self._identities = self._claim_ids()
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
            identities=self._identities,
            shared_files="shared-files" in options.accepted_risks,
            report=report,
        )
        self._gateway: subprocess.Popen[bytes] | None = None
        self._pulse: Pulse | None = None
        self._served = False
        """Whether a gateway has served in this run."""
        self._stopping = False
        self._watchdog.watch("the vault", lambda: self._vault.pulse, self._kill_vault)
        self._watchdog.watch("the gateway", lambda: self._pulse, self._kill_gateway)

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

    def _claim_ids(self) -> Identities | None:
        """Return the user ids of functions, None where they share one and that is accepted.

        Raises ProtectionMissingError.
        """
        if self._root:
            # What all functions together may have pending is bounded by what started them.
            for name in (resource.RLIMIT_SIGPENDING, resource.RLIMIT_NPROC):
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(name, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if "shared-uid" in self._options.accepted_risks:
            return None
        return Identities(function_ids(self._options.function_ids))

    def _open_vault(self, *, restart: bool = False) -> VaultProcess:
        """Start the vault, which makes the master key on the very first start."""
        source = self._options.master_key or default_master_key(self._folders.data)
        kind, _, path = source.partition(":")
        if self._options.master_key is None and kind == "file":
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = Presence(self._folders)
        # A restart of the vault finds what the node itself has made meanwhile.
        if not restart:
            found.require_store(self._options.accepted_losses)
            found.begin()
        makes_key = kind == "file" and not os.path.lexists(path)
        vault = start_vault(
            self._folders.vault,
            source,
            # Where there is something encrypted, a new vault would only hide the loss.
            create=found.may_make_vault and not has_encrypted_store(self._folders.store),
            uid=VAULT_UID if self._root else None,
        )
        # Once there is a store, what can be read only by a newer release has refused by itself.
        mark(self._folders.data)
        if makes_key:
            self._new_master_key = path
            report(
                f"the master key was made in {path}. Copy it to a safe place: without it nothing "
                f"in {self._folders.data} can be read, and no backup be restored"
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
        if cgroups is not None:
            try:
                cgroups.bound(self._memory - kept_memory(self._memory))
            except OSError as error:
                report(f"functions together have no bound on their memory: {error}")
        return cgroups, landlock and "landlock" not in accepted

    def _statuses(self) -> tuple[ProtectionStatus, ...]:
        accepted = self._options.accepted_risks
        names = ("user namespaces", "seccomp", "landlock", "cgroups", "shared-uid", "shared-files")
        return tuple(
            ProtectionStatus(
                name=_PROTECTIONS.get(name, name),
                holds=name not in accepted,
                required=True,
                accepted=name in accepted,
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
        try:
            while not self._stopping:
                code = self._serve_once()
                self._look_after()
                if self._stopping:
                    break
                # Of a gateway that was not started again the pulse is that of the one before.
                served = code is not None and self._pulse is not None and self._pulse.felt
                if not (served or self._served) and code in (START_FAILED, 1) and self._vault.alive:
                    raise UnavailableError(
                        "The gateway could not start; its message is above.",
                        next_step="mend what it names, then start the node again",
                    )
                pause = self._restarts.pause(served=served)
                ended = "was not started" if code is None else f"ended with code {code}"
                report(f"the gateway {ended}; it is started again in {pause:g} s")
                self._wait(pause)
        finally:
            self._supervisor.close()
            self._listener.close()
            self._vault.close()
            self._staging.close()
            self._systemd.close()

    def _serve_once(self) -> int | None:
        """Serve until the gateway ends; return its exit code, None if it was not started again.

        The first start raises what is in its way. Later the processes may end in any order, also
        while others are started again: then it is tried once more.
        """
        first = self._gateway is None
        if not self._vault.alive:
            self._require_key_again()
        try:
            if not self._vault.alive:
                self._restart_vault()
            self._run_gateway(first)
        except (OSError, CasemateError) as error:
            if first:
                raise
            report(f"the gateway could not be started again: {error}")
            self._end_gateway()
            return None
        return self._wait_for_gateway()

    def _end_gateway(self) -> None:
        if self._gateway is not None and self._gateway.poll() is None:
            self._gateway.kill()
            self._gateway.wait()

    def _require_key_again(self) -> None:
        """Raise UnavailableError if the master key cannot be read once more."""
        source = self._options.master_key or "file:"
        if not source.startswith(("file:", "passphrase-file:", "command:")):
            raise UnavailableError(
                f"The vault has ended, and a master key from {source.partition(':')[0]} can be "
                "read only once.",
                next_step="start the node again",
            )

    def _restart_vault(self) -> None:
        """Start a vault that has ended again, from a master key that can be read once more."""
        report("the vault has ended; it is started again")
        self._vault.close()
        self._vault = self._open_vault(restart=True)

    def _wait(self, seconds: float) -> None:
        """Wait, but not for longer than until the node is to stop."""
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            self._look_after()
            time.sleep(min(left, 0.1))

    def _look_after(self) -> None:
        """Do what is to be done several times a second: see who hangs, tell that we do not."""
        self._watchdog.look()
        self._systemd.works()
        if not self._served and self._pulse is not None and self._pulse.felt:
            self._served = True
            self._systemd.tell("READY=1\nSTATUS=Serving")

    def _connect_vault(self) -> socket.socket:
        """Return a connection to the vault, to another one if it ends at this very moment."""
        try:
            return self._vault.connect()
        except VaultUnavailableError:
            self._restart_vault()
            return self._vault.connect()

    def _run_gateway(self, first: bool) -> None:
        vault = self._connect_vault()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        egress = EgressStarter(EGRESS_UID if self._root else None, learn=self._options.learn)
        sources = SourcesStarter(SOURCES_UID if self._root else None)
        self._watchdog.watch("the egress proxy", lambda: egress.pulse, egress.kill)
        self._watchdog.watch("the sources process", lambda: sources.pulse, sources.kill)
        if self._pulse is not None:
            self._pulse.close()
        self._pulse = pulse = Pulse()
        config = self._gateway_config(
            supervisor=theirs.fileno(),
            vault=vault.fileno(),
            egress=egress.gateway_end.fileno(),
            sources=sources.gateway_end.fileno(),
            heart=pulse.theirs,
        )
        with contextlib.closing(egress), contextlib.closing(sources), ours, theirs, vault:
            self._gateway = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "casemate.gateway.process",
                    msgspec.json.encode(config).decode(),
                ],
                pass_fds=(
                    self._listener.fileno(),
                    config.supervisor,
                    config.vault,
                    config.egress,
                    config.sources,
                    pulse.theirs,
                ),
                stdin=subprocess.DEVNULL,
                # Signals of the terminal reach the supervisor alone, which passes them on.
                start_new_session=True,
            )
            theirs.close()
            vault.close()
            pulse.started()
            egress.gateway_end.close()
            sources.gateway_end.close()
            # While the gateway loads, and before it listens: fails here on a host that cannot make
            # sandboxes. Once it could, a base zygote that has just ended is no reason to end.
            try:
                self._supervisor.prepare(self._interpreters[-1].minor)
            except (OSError, CasemateError) as error:
                if first:
                    self._end_gateway()
                    raise
                report(f"no sandbox is ready yet: {error}")
            except BaseException:
                self._end_gateway()
                raise
            if self._stopping:  # told while the gateway was being started
                self._stop()
            # The proxy takes memory: it is there from when the first function may use it.
            self._supervisor.run(
                ours,
                {egress.fileno(): egress.serve, sources.fileno(): sources.serve},
                self._look_after,
            )

    def _gateway_config(
        self, *, supervisor: int, vault: int, egress: int, sources: int, heart: int
    ) -> GatewayConfig:
        options = self._options
        return GatewayConfig(
            data=self._visible_data,
            listener=self._listener.fileno(),
            supervisor=supervisor,
            vault=vault,
            egress=egress,
            sources=sources,
            heart=heart,
            caps=options.caps(self._memory),
            new_master_key=self._new_master_key if not self._served else None,
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
            # What is lost later is not what the operator knows of.
            accepted_losses=options.accepted_losses if self._gateway is None else (),
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

    def _kill_vault(self) -> None:
        self._vault.kill()

    def _kill_gateway(self) -> None:
        if self._gateway is not None and self._gateway.poll() is None:
            self._gateway.kill()

    def _reload(self, *_: object) -> None:
        """Have the gateway read its certificate again."""
        if self._gateway is not None and self._gateway.poll() is None:
            self._gateway.send_signal(signal.SIGHUP)

    def _stop(self, number: int = 0, *_: object) -> None:
        """Have the gateway drain; its end is the end of the supervisor's loop.

        Ctrl-C once more ends it at once.
        """
        gateway = self._gateway
        if self._stopping and number == signal.SIGINT and gateway is not None:
            report("told to stop once more: calls that still run are cut off")
            self._kill_gateway()
            return
        if number == signal.SIGINT:
            report("running calls are finished first, for up to 30 s; Ctrl-C again ends at once")
        self._stopping = True
        self._systemd.tell("STOPPING=1")
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
