"""`casemate serve`: the supervisor process, which starts the gateway and makes sandboxes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import time
from functools import partial

from casemate.child.collecting import spare_collections
from casemate.child.heartbeat import Pulse
from casemate.child.memory import protect
from casemate.child.starter import ChildStarter
from casemate.egress.start import EgressStarter
from casemate.folder.folders import Folders
from casemate.folder.ownership import require_own
from casemate.folder.presence import CLOCK, JOURNAL, RECORDS, require_alone, require_losses
from casemate.http_workers.handed_on import make_pair
from casemate.http_workers.start import HttpWorkerStarter, gateways_for
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.processes import (
    EGRESS_UID,
    GATEWAY_UID,
    HTTP_WORKER_UID,
    MONITOR_UID,
    RECORDER_UID,
    SANDBOX_UID,
    SOURCES_UID,
    START_FAILED,
    VAULT_UID,
    GatewayConfig,
)
from casemate.model.runtime import Runtime
from casemate.recorder.memories import Memories
from casemate.restorer.probe import restoring_problem
from casemate.sandbox.orphans import end_orphans
from casemate.sandbox.staging import Staging
from casemate.sources.start import SourcesStarter
from casemate.supervisor.gateway import GatewayProcess
from casemate.supervisor.handover import Handover
from casemate.supervisor.held_clock import HeldClock
from casemate.supervisor.host import (
    host_cores,
    host_memory,
    listen,
    offered_interpreters,
    raise_open_files,
    resting_memory,
)
from casemate.supervisor.log import report
from casemate.supervisor.options import ServeOptions
from casemate.supervisor.protections import (
    claim_ids,
    open_protections,
    require_host,
    require_tls,
    statuses_of,
)
from casemate.supervisor.recording import Recording
from casemate.supervisor.restarts import Restarts
from casemate.supervisor.sandboxes import Sandboxes
from casemate.supervisor.shared_places import shared_places
from casemate.supervisor.systemd import Systemd
from casemate.supervisor.vault import NodeVault
from casemate.supervisor.watchdog import Watchdog
from casemate.vault.folder import require_closed


class Node:
    """One run of `casemate serve`."""

    def __init__(self, options: ServeOptions, handover: Handover) -> None:
        """Check the host and make the supervisor. Raises ProtectionMissingError."""
        require_host()
        require_losses(options.accepted_losses)
        self._folders = Folders(options.data.absolute())
        self._shared = shared_places(options)
        if self._shared is None:
            require_alone(self._folders)
        require_closed(self._folders.vault)
        raise_open_files()
        self._memory = host_memory()
        if not protect():
            report(
                "the host does not let the node be spared when memory runs out; functions go "
                "before it all the same"
            )
        self._options = options
        self._handover = handover
        self._resting_memory = options.bounds.resting or resting_memory(self._memory)
        report(f"functions at rest may hold {self._resting_memory >> 20} MB of memory together")
        self._systemd = Systemd()
        self._watchdog = Watchdog(report)
        self._restarts = Restarts()
        self._root = os.geteuid() == 0
        require_own(self._folders.data)
        uids = (GATEWAY_UID, VAULT_UID, RECORDER_UID, MONITOR_UID)
        self._folders.make(*(uids if self._root else (None, None, None, None)))
        handover.tell()
        self._interpreters = offered_interpreters(options.pythons)
        self._listener = handover.listener() or listen(options.host, options.port)
        self._tls = require_tls(self._listener, options)
        self._gateways = options.gateways or gateways_for(host_cores(), tls=self._tls)
        self._left = make_pair()
        if self._gateways > 1:
            number = self._gateways - 1
            workers = "one process takes" if number == 1 else f"{number} processes take"
            report(f"{workers} connections for the gateway, which decides of them")
        sandbox_uid = SANDBOX_UID if self._root else None
        name = hashlib.sha256(str(self._folders.data).encode()).hexdigest()[:16]
        self._staging = Staging(sandbox_uid, GATEWAY_UID if self._root else None, name)
        # The gateway's uid may not be able to walk to the folder by its own path either.
        self._visible_data = self._staging.visible(str(self._folders.data))
        self._sandboxes = self._make_sandboxes()
        self._vault = self._open_vault()
        # After the vault, which only one node has open.
        self._memories = Memories(name, report)
        self._gateway = GatewayProcess()
        self._clock = HeldClock(
            self._folders, report, accepted=CLOCK in self._options.accepted_losses
        )
        self._served = False
        """Whether a gateway has served in this run."""
        self._stopping = False
        self._watchdog.watch("the vault", lambda: self._vault.pulse, self._vault.kill)
        if self._sandboxes.restoring is not None:
            restoring = self._sandboxes.restoring
            self._watchdog.watch("the restorer", lambda: restoring.pulse, restoring.kill)
        self._watchdog.watch("the gateway", lambda: self._gateway.pulse, self._gateway.kill)

    def _make_sandboxes(self) -> Sandboxes:
        """Return what makes sandboxes; without it nothing that was started is left."""
        options = self._options
        try:
            identities = claim_ids(options, root=self._root)
            cgroups, landlock = open_protections(options, self._memory)
        except BaseException:
            self._staging.close()
            raise
        if left := end_orphans():
            report(f"{left} starting sandboxes that a killed node had left were ended")
        return Sandboxes(
            runtimes={
                i.minor: Runtime(minor=i.minor, executable=str(i.path), prefix=str(i.prefix))
                for i in self._interpreters
            },
            staging=self._staging,
            cgroups=cgroups,
            landlock=landlock,
            identities=identities,
            shared_files="shared-files" in options.accepted_risks,
            report=report,
            restore=self._restores(grouped=cgroups is not None),
        )

    def _open_vault(self) -> NodeVault:
        """Return the vault, open; without it nothing that was started is left.

        Meanwhile the first base zygote starts, which takes longer and knows nothing of a vault.
        """
        options = self._options
        try:
            self._sandboxes.begin(self._interpreters[-1].minor)
            return NodeVault(
                self._folders,
                options.master_key,
                options.accepted_losses,
                root=self._root,
                places=self._shared,
                monitors=options.monitor.secrets,
                tells_key=options.json,
            )
        except BaseException:
            self._sandboxes.close()
            self._staging.close()
            raise

    def _restores(self, *, grouped: bool) -> bool:
        """Tell whether instances are to be restored, and say so, or why not.

        Without control groups nobody can tell that an instance is alone where it should be.
        """
        if not self._options.restore:
            return False
        problem = restoring_problem()
        if not problem and not grouped:
            problem = "without control groups instances are not restored"
        if problem:
            report(f"each call has a fork of its own: {problem}")
        else:
            report("the process of a call is restored for the next one")
        return not problem

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. A gateway that ends by itself is started again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        # Instances are born here: see the gateway, which does the same.
        spare_collections()
        try:
            while not self._stopping:
                code = self._serve_once()
                self._look_after()
                if self._stopping:
                    break
                # Of a gateway that was not started again the pulse is that of the one before.
                served = code is not None and self._gateway.served
                if not (served or self._served) and code in (START_FAILED, 1) and self._vault.alive:
                    raise UnavailableError(
                        "The gateway could not start; its message is above.",
                        next_step="Fix what it names, then start the node again.",
                    )
                pause = self._restarts.pause(served=served)
                ended = "was not started" if code is None else f"ended with code {code}"
                report(f"the gateway {ended}; it is started again in {pause:g} s")
                self._wait(pause)
        finally:
            self._sandboxes.close()
            self._listener.close()
            for end in self._left:
                end.close()
            self._vault.close()
            self._memories.close()
            self._staging.close()
            self._systemd.close()

    def _serve_once(self) -> int | None:
        """Serve until the gateway ends; return its exit code, None if it was not started again.

        The first start raises what is in its way. Later the processes may end in any order, also
        while others are started again: then it is tried once more.
        """
        first = not self._gateway.started
        if not self._vault.alive:
            self._vault.require_key_again()
        try:
            if not self._vault.alive:
                self._vault.restart()
            self._run_gateway(first)
        except (OSError, CasemateError) as error:
            if first:
                raise
            report(f"the gateway could not be started again: {error}")
            self._gateway.end()
            return None
        return self._gateway.wait()

    def _wait(self, seconds: float) -> None:
        """Wait, but not for longer than until the node is to stop."""
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            self._look_after()
            time.sleep(min(left, 0.1))

    def _look_after(self) -> None:
        """Do what is to be done several times a second: see who hangs, tell that we do not."""
        self._watchdog.look()
        self._clock.look()
        self._systemd.works()
        self._handover.look(
            self._listener,
            self._vault.handover_problem,
            self._stop,
            opened_by=self._vault.may_be_opened_by,
            serving=self._served,
            calls=self._gateway.calls,
        )
        if not self._served and self._gateway.served:
            self._served = True
            self._handover.served()
            self._systemd.tell("READY=1\nSTATUS=Serving")

    def _run_gateway(self, first: bool) -> None:
        vault = self._vault.connect()
        keeper = self._vault.connect_keeper()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own = self._options.own_addresses
        egress = EgressStarter(
            EGRESS_UID if self._root else None, own_addresses=own, learn=self._options.learn
        )
        sources = SourcesStarter(SOURCES_UID if self._root else None, own_addresses=own)
        self._watchdog.watch("the egress proxy", lambda: egress.pulse, egress.kill)
        recording = self._recording()
        recorder, monitor = recording.recorder, recording.monitor
        self._watchdog.watch("the recorder", lambda: recorder.pulse, recorder.kill)
        self._watchdog.watch("the monitor", lambda: monitor.pulse, monitor.kill)
        self._watchdog.watch("the sources process", lambda: sources.pulse, sources.kill)
        workers = self._http_workers()
        pulse = self._gateway.next_pulse()
        memory = self._memories.new()
        config = self._gateway_config(
            supervisor=theirs.fileno(),
            vault=vault.fileno(),
            vault_keeper=None if keeper is None else keeper.fileno(),
            egress=egress.gateway_end.fileno(),
            sources=sources.gateway_end.fileno(),
            recorder=recorder.gateway_end.fileno(),
            monitor=monitor.gateway_end.fileno(),
            memory=memory.fileno(),
            heart=pulse.theirs,
            workers=tuple(each.gateway_end.fileno() for each in workers),
        )
        inherited = (config.listener, config.supervisor, config.vault, config.egress)
        children: tuple[ChildStarter, ...] = (egress, sources, recorder, monitor, *workers)
        with contextlib.ExitStack() as closed, ours, theirs, vault, memory:
            for each in children:
                closed.enter_context(contextlib.closing(each))
            others = (config.sources, config.recorder, config.monitor, config.memory, pulse.theirs)
            passed: tuple[int, ...] = (*inherited, *others, *config.workers)
            if keeper is not None:
                passed = (*passed, closed.enter_context(keeper).fileno())
            self._gateway.start(config, passed, self._shared.environment if self._shared else {})
            theirs.close()
            vault.close()
            if keeper is not None:
                keeper.close()
            pulse.started()
            for each in children:
                each.gateway_end.close()
            self._prepare_sandboxes(first)
            if self._stopping:  # told while the gateway was being started
                self._stop()
            # The proxy takes memory: it is there from when the first function may use it.
            self._sandboxes.run(
                ours,
                {each.fileno(): each.serve for each in children},
                self._look_after,
            )

    def _prepare_sandboxes(self, first: bool) -> None:
        """Have the newest interpreter ready while the gateway loads, and before it listens.

        On a host that cannot make sandboxes the first start fails here. Once it could, a base
        zygote that has just ended is no reason to end.
        """
        try:
            self._sandboxes.prepare(self._interpreters[-1].minor)
        except (OSError, CasemateError) as error:
            if first:
                self._gateway.end()
                raise
            report(f"no sandbox is ready yet: {error}")
        except BaseException:
            self._gateway.end()
            raise

    def _http_workers(self) -> list[HttpWorkerStarter]:
        """Return what starts those that take connections for the gateway, if others do."""
        uid = HTTP_WORKER_UID if self._root else None
        count = self._gateways - 1
        workers = [HttpWorkerStarter(uid, self._listener, self._left) for _ in range(count)]
        for number, each in enumerate(workers, 1):
            self._watchdog.watch(f"HTTP worker {number}", partial(_pulse_of, each), each.kill)
        return workers

    def _recording(self) -> Recording:
        """Return what starts recorders and monitors for the gateway that is about to be started."""
        host, port = self._listener.getsockname()[:2]
        return Recording(
            self._folders,
            self._vault,
            self._options.monitor,
            self._memories,
            # Its database is opened by a path, which its uid may not be able to walk to either.
            journal=self._staging.visible(str(self._folders.journal)),
            node=self._options.public_url or f"{host}:{port}",
            own_addresses=self._options.own_addresses,
            root=self._root,
            # What is lost later is not what the operator knows of.
            accept_loss=JOURNAL in self._options.accepted_losses and not self._gateway.started,
            accept_records_loss=(
                RECORDS in self._options.accepted_losses and not self._gateway.started
            ),
            clock=self._clock.believed,
        )

    def _gateway_config(
        self,
        *,
        supervisor: int,
        vault: int,
        vault_keeper: int | None,
        egress: int,
        sources: int,
        recorder: int,
        monitor: int,
        memory: int,
        heart: int,
        workers: tuple[int, ...],
    ) -> GatewayConfig:
        options = self._options
        return GatewayConfig(
            data=self._visible_data,
            listener=self._listener.fileno(),
            supervisor=supervisor,
            vault=vault,
            vault_keeper=vault_keeper,
            egress=egress,
            sources=sources,
            recorder=recorder,
            monitor=monitor,
            memory=memory,
            heart=heart,
            workers=workers,
            caps=options.caps(self._memory),
            resting_memory=self._resting_memory,
            master_key_file=self._vault.key_file,
            unpacked=self._staging.bundles,
            uid=GATEWAY_UID if self._root else None,
            pythons={i.minor: i.version for i in self._interpreters},
            protections=statuses_of(options.accepted_risks),
            json=options.json,
            started_at=time.time(),
            clock=self._clock.believed(),
            host=options.host,
            tls=self._tls,
            tls_certificate=str(options.tls_certificate) if options.tls_certificate else None,
            tls_key=str(options.tls_key) if options.tls_key else None,
            tls_names=options.tls_names,
            # A gateway that is started again must not make yet another one.
            tls_new_authority=options.tls_new_authority and not self._gateway.started,
            public_url=options.public_url,
            recover_owner=options.recover_owner and not self._gateway.started,
            # What is lost later is not what the operator knows of.
            accepted_losses=options.accepted_losses if not self._gateway.started else (),
            accepted_risks=options.accepted_risks if not self._gateway.started else (),
            learn=options.learn,
            host_names=options.host_names,
            playbooks=options.playbooks,
            trusted_proxies=options.trusted_proxies,
            shared=self._shared is not None,
            unproved_store=self._shared is not None and self._shared.unproved,
        )

    def _reload(self, *_: object) -> None:
        """Have the gateway read its certificate again."""
        self._gateway.send(signal.SIGHUP)

    def _stop(self, number: int = 0, *_: object) -> None:
        """Have the gateway drain; its end is the end of the supervisor's loop.

        Ctrl-C once more ends it at once.
        """
        if self._stopping and number == signal.SIGINT and self._gateway.started:
            report("told to stop again: calls that still run are cut off")
            self._gateway.kill()
            return
        if number == signal.SIGINT:
            report("running calls are finished first, for up to 30 s; Ctrl-C again ends at once")
        self._stopping = True
        if number:
            self._handover.cancel()
        # One that hands over goes on, for whoever manages the service.
        if not self._handover.due:
            self._systemd.tell("STOPPING=1")
        if self._gateway.lives:
            # While a copy of it is open clients are let in that nobody would answer any more.
            self._listener.close()
            self._gateway.send(signal.SIGTERM)


def _pulse_of(starter: ChildStarter) -> Pulse | None:
    return starter.pulse


def serve(options: ServeOptions) -> None:
    """Run a node until it is told to stop. Raises CasemateError if it cannot start.

    Does not return if it is handed over to another version.
    """
    handover = Handover(options.data)
    try:
        _run(handover.options(options), handover)
    except CasemateError as error:
        handover.go_back(error)
        raise
    finally:
        handover.go_on()
        handover.close()


def _run(options: ServeOptions, handover: Handover) -> None:
    try:
        node = Node(options, handover)
    except OSError as error:
        raise CasemateError(
            f"The node cannot be set up: {error}", next_step="Run casemate doctor."
        ) from error
    node.run()
