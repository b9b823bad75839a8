"""What zygotes are made of: the base zygotes of each interpreter, and blank zygotes in advance."""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from casemate.model.errors import CasemateError, ProtectionMissingError
from casemate.model.runtime import Runtime
from casemate.sandbox import protocol
from casemate.sandbox.base_process import BaseProcess
from casemate.sandbox.identities import Identities
from casemate.sandbox.layouts import FIRST, MAX_WAITING, Key, Layout, Layouts
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygote_process import ZygoteProcess, ZygoteViolationError
from casemate.supervisor.inbox import GatewayViolationError
from casemate.supervisor.mapped_files import Changed, MappedFiles
from casemate.supervisor.outbox import Outbox
from casemate.supervisor.zygotes import TMPFS_BATCH, Zygotes

_END_SECONDS = 0.05
"""How long after its socket a base zygote's process may end."""
_FILES_SHOWN, _PATH_SHOWN = 5, 200


class Bases:
    """The base zygotes of a node, by interpreter and layout, and who waits for one."""

    def __init__(
        self,
        *,
        selector: selectors.BaseSelector,
        outbox: Outbox,
        zygotes: Zygotes,
        runtimes: dict[str, Runtime],
        staging: Staging,
        identities: Identities | None,
        landlock: bool,
        shared_files: bool,
        report: Callable[[str], None],
    ) -> None:
        """Hear of them by `selector`, with the layout as its data, until they are ready."""
        self._selector = selector
        self._outbox = outbox
        self._zygotes = zygotes
        self._runtimes = runtimes
        self._staging = staging
        self._identities = identities
        self._landlock = landlock
        self._shared_files = shared_files
        self._report = report
        self._layouts = Layouts(self._start_layout)
        self._short_of_blanks: deque[Layout] = deque()
        self._short_of_tmpfs: deque[Layout] = deque()
        self._mapped = MappedFiles()

    @property
    def is_short(self) -> bool:
        """Whether a blank zygote or mounts are to be made when there is nothing else to do."""
        return bool(self._short_of_blanks or self._short_of_tmpfs)

    def begin(self, minor: str) -> None:
        """Have an interpreter's first base zygote start, without waiting. May raise."""
        self._layouts.get((minor, FIRST))

    def prepare(self, minor: str) -> None:
        """Start an interpreter's first base zygote and a blank one. Raises what is missing."""
        for ended in self._layouts.overdue():
            self.drop(ended, "its base zygote ended")
        layout = self._layouts.get((minor, FIRST))
        if not layout.base.ready:
            self._selector.unregister(layout.base.sock)
            try:
                self._finish(layout)
            except BaseException:
                self.drop(layout, "it did not start")
                raise
        self.refill(layout)

    def ask(self, minor: str) -> None:
        """Have an interpreter ready for the first call, and tell the gateway whether it is."""
        try:
            layout = self._layouts.get((minor, FIRST))
        except (OSError, CasemateError) as error:
            self._report(f"Python {minor} cannot be prepared: {error}")
            self._tell_interpreter(minor, f"it cannot be prepared: {error}")
            return
        if layout.base.ready:
            self._tell_interpreter(minor, "")
            if layout not in self._short_of_blanks:
                self._short_of_blanks.append(layout)

    def _tell_interpreter(self, minor: str, problem: str) -> None:
        if self._outbox.connected:
            self._outbox.tell(protocol.Interpreter(0, minor, problem))

    def open(self, request: protocol.Open, descriptors: list[int]) -> None:
        """Have a function's zygote opened, now or once its base zygote is ready.

        Raises GatewayViolationError if it is open or waits already.
        """
        waits = any(one.z == request.z for each in self._layouts for one, _ in each.waiting)
        if self._zygotes.get(request.z) is not None or waits:
            raise GatewayViolationError(f"zygote {request.z} is open")
        reason = "too many wait for an interpreter to start"
        try:
            key = self._layouts.key_of(request)
            layout = self._layout_for(key, request)
            if layout.base.ready:
                if self._place(layout, request, descriptors):
                    return
                # It died unnoticed, and its blank zygotes and mounts with it.
                layout = self._layouts.get(key)
            if len(layout.waiting) < MAX_WAITING:
                layout.waiting.append((request, descriptors))
                return
        except (OSError, CasemateError) as error:
            reason = f"cannot be started: {error}"
        for descriptor in descriptors:
            os.close(descriptor)
        self._outbox.tell(protocol.ZygoteEnded(request.z, reason))

    def _layout_for(self, key: Key, request: protocol.Open) -> Layout:
        """Return what a zygote is to be made of. Raises OSError and CasemateError."""
        beside = None if request.beside is None else self._zygotes.layout_of(request.beside)
        if beside is None:
            return self._layouts.get(key)
        return self._layouts.other_than(beside, key, time.monotonic())

    def _place(self, layout: Layout, request: protocol.Open, descriptors: list[int]) -> bool:
        """Make a zygote of a layout that is ready a function's own, or tell why it cannot be.

        False if its base zygote turns out to have ended: nothing is told or closed then.
        """
        try:
            with self._mounted(layout, request, layout.base.bundle) as (zygote, mounts):
                self._zygotes.assign(
                    zygote,
                    request,
                    mounts,
                    landlock_abi=self._landlock_abi(layout),
                    descriptors=descriptors,
                )
        except (OSError, CasemateError, ZygoteViolationError) as error:
            if layout.base.lost(_END_SECONDS):
                self.drop(layout, "its base zygote ended")
                return False
            self._outbox.tell(protocol.ZygoteEnded(request.z, f"cannot be started: {error}"))
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    @contextmanager
    def _mounted(
        self,
        layout: Layout,
        request: protocol.Open | protocol.PrepareDependencies,
        mount: Callable[[str], int],
    ) -> Iterator[tuple[ZygoteProcess, tuple[int, int]]]:
        """Give a blank zygote, and what is mounted in it: what `mount` has, and its `/tmp`.

        Raises OSError and CasemateError; it is ended then.
        """
        layout.used = True
        zygote = self._take_blank(layout)
        mounts: list[int] = []
        try:
            try:
                mounts.append(mount(request.digest))
                mounts.append(layout.take_tmpfs(request.tmp, TMPFS_BATCH))
            except BaseException:
                self._zygotes.forget(zygote)
                raise
            yield zygote, (mounts[0], mounts[1])
        finally:
            for descriptor in mounts:
                os.close(descriptor)

    def _landlock_abi(self, layout: Layout) -> int:
        return layout.base.landlock_abi if self._landlock else 0

    def prepare_dependencies(
        self, request: protocol.PrepareDependencies, descriptors: list[int]
    ) -> None:
        """Have dependencies imported in a zygote that is no function's yet, or tell why not.

        Raises GatewayViolationError if the number is in use.
        """
        waits = any(one.z == request.z for each in self._layouts for one, _ in each.waiting)
        if self._zygotes.get(request.z) is not None or waits:
            raise GatewayViolationError(f"zygote {request.z} is open")
        reason = "its base zygote is not ready"
        try:
            layout = self._layouts.get(self._layouts.home_of(request.python, request.project))
            if layout.base.ready and not layout.outdated:
                with self._mounted(layout, request, layout.base.dependencies) as (zygote, mounts):
                    self._zygotes.prepare(
                        zygote,
                        request,
                        mounts,
                        landlock_abi=self._landlock_abi(layout),
                        descriptors=descriptors,
                    )
                reason = ""
        except (OSError, CasemateError, ZygoteViolationError) as error:
            reason = f"cannot be started: {error}"
        for descriptor in descriptors:
            os.close(descriptor)
        if reason:
            self._outbox.tell(protocol.ZygoteEnded(request.z, reason))

    def become(self, request: protocol.Become) -> None:
        """Make a dependency zygote a function's own, or end it and tell why.

        Raises GatewayViolationError if it is none, or was prepared for something else.
        """
        zygote = self._zygotes.get(request.z)
        if zygote is None:
            return  # that it has ended is on its way
        layout = self._zygotes.layout_of(request.z)
        if zygote.prepared is None or not zygote.waits or layout is None:
            raise GatewayViolationError(f"zygote {request.z} does not wait for a function")
        if not zygote.prepared.fits(request):
            raise GatewayViolationError(f"zygote {request.z} was prepared for something else")
        try:
            bundle = layout.base.bundle(request.digest)
            try:
                self._zygotes.become(
                    zygote,
                    request,
                    landlock_abi=layout.base.landlock_abi if self._landlock else 0,
                    attach=lambda process: layout.base.attach(process, bundle),
                )
            finally:
                os.close(bundle)
        except (OSError, CasemateError) as error:
            self._zygotes.end(zygote, f"cannot become a function's: {error}")

    def cancel(self, number: int) -> None:
        """Let go of a zygote that still waits for its base zygote."""
        if any(layout.cancel(number) for layout in self._layouts):
            self._outbox.tell(protocol.ZygoteEnded(number, "closed"))

    def refuse_waiting(self, layout: Layout, reason: str, *, tell: bool = True) -> None:
        """Let go of all that wait for a layout."""
        for number in [request.z for request, _ in layout.waiting]:
            layout.cancel(number)
            if tell:
                self._outbox.tell(protocol.ZygoteEnded(number, reason))

    def tick(self, now: float, elapsed: float) -> None:
        """Replace base zygotes that hang, have ended or are old; `elapsed` is what has passed."""
        for layout in list(self._layouts):
            base = layout.base
            if base.ready and not base.lost() and base.hangs(elapsed):
                self._report(f"a base zygote of Python {layout.minor} does not answer; it is ended")
                base.process.kill()
        for layout in self._layouts.overdue():
            self._report(f"a base zygote of Python {layout.minor} ended; it is started again")
            self.drop(layout, "its base zygote ended")
            if layout.key[1] == FIRST and not layout.retired:
                self._tell_interpreter(layout.minor, "its base zygote ended")
                self.ask(layout.minor)
        self._outdate(self._mapped.look(self._layouts, now))
        self._roll_next()
        try:
            self._layouts.renew(now)
        except (OSError, CasemateError) as error:
            self._report(f"a base zygote could not be replaced: {error}")
        for layout in self._layouts:
            if layout.retired:
                self._forget_blanks(layout)
            if layout.retired or layout.outdated:
                self._zygotes.end_waiting(layout, "its base zygote is replaced")
        for layout in self._layouts.unused():
            self.drop(layout, "it is replaced")

    def _outdate(self, found: list[Changed]) -> None:
        """Have base zygotes replaced, and then what was forked from them; say why."""
        replaced: dict[str, set[str]] = {}
        for layout, files in found:
            layout.outdated = True
            replaced.setdefault(layout.minor, set()).update(files)
        for minor, files in replaced.items():
            some = tuple(path[:_PATH_SHOWN] for path in sorted(files)[:_FILES_SHOWN])
            more = f" and {len(files) - len(some)} more" if len(files) > len(some) else ""
            self._report(
                f"Python {minor} runs with files that were replaced: {', '.join(some)}{more}; "
                "zygotes are replaced one after the other"
            )
            if self._outbox.connected:
                self._outbox.tell(protocol.RuntimeReplaced(0, minor, some, len(files)))

    def _roll_next(self) -> None:
        """Tell the gateway of one zygote that another is to take its place, if there is one."""
        for layout in self._layouts:
            if not (layout.outdated and layout.retired):
                continue
            for zygote in layout.zygotes - layout.told:
                layout.told.add(zygote)
                number = self._zygotes.number_of(zygote)
                if number is not None and self._outbox.connected:
                    self._outbox.tell(protocol.Outdated(number))
                    return

    def refuse_all(self, reason: str) -> None:
        """Let go of all that wait; nobody is there to be told."""
        for layout in self._layouts:
            self.refuse_waiting(layout, reason, tell=False)

    def drop_all(self, reason: str) -> None:
        """End every base zygote."""
        for layout in list(self._layouts):
            self.drop(layout, reason)

    def _start_layout(self, key: tuple[str, str]) -> Layout:
        runtime = self._runtimes.get(key[0])
        if runtime is None:
            raise CasemateError(f"this node has no Python {key[0]}")
        layout = Layout(key, BaseProcess(runtime, self._staging, self._identities))
        layout.on_short = self._short_of_tmpfs.append
        self._selector.register(layout.base.sock, selectors.EVENT_READ, layout)
        return layout

    def _finish(self, layout: Layout) -> None:
        """Have zygotes made of a layout from now on. Raises ProtectionMissingError."""
        layout.base.finish()
        if not layout.base.private_files and not self._shared_files:
            raise ProtectionMissingError(
                "This host mounts no overlay for an ordinary user: functions would share the "
                "inodes of libraries, and so locks on them.",
                next_step="Use Linux 5.11 or newer with overlayfs, or accept it: "
                "--accept-risk shared-files",
            )
        self._layouts.promote(layout)

    def read(self, layout: Layout) -> None:
        """Take note that a base zygote is ready, or never will be."""
        # It says this one thing by itself. What comes later are answers, read by who asks.
        self._selector.unregister(layout.base.sock)
        try:
            self._finish(layout)
        except (OSError, CasemateError) as error:
            self._report(f"a base zygote of Python {layout.minor} did not start: {error}")
            # What it was to take the place of serves on.
            alone = not self._layouts.follows(layout)
            self.drop(layout, f"cannot be started: {error}")
            if layout.key[1] == FIRST and alone:
                self._tell_interpreter(layout.minor, f"it cannot be prepared: {error}")
            return
        if layout.key[1] == FIRST:
            self._tell_interpreter(layout.minor, "")
        while layout.waiting:
            request, descriptors = layout.waiting.popleft()
            if not self._place(layout, request, descriptors):
                for descriptor in descriptors:
                    os.close(descriptor)
                self._outbox.tell(protocol.ZygoteEnded(request.z, "its base zygote ended"))
                return
        self._short_of_blanks.append(layout)

    def drop(self, layout: Layout, reason: str) -> None:
        """End a base zygote; what was forked from it ends with it."""
        # First, so that nothing below has another zygote made of it.
        self._layouts.drop(layout)
        descriptor = layout.base.sock.fileno()
        # One that did not start is closed already, and was taken out before that.
        if descriptor >= 0 and descriptor in self._selector.get_map():
            self._selector.unregister(layout.base.sock)
        self.refuse_waiting(layout, reason, tell=self._outbox.connected)
        self._forget_blanks(layout)
        for short in (self._short_of_blanks, self._short_of_tmpfs):
            while layout in short:
                short.remove(layout)
        layout.close()

    def _forget_blanks(self, layout: Layout) -> None:
        while layout.blanks:
            self._zygotes.forget(layout.blanks.popleft())

    def refill(self, layout: Layout) -> None:
        """Have one blank zygote ready. Raises what keeps it from starting."""
        if not layout.blanks and not layout.retired:
            layout.blanks.append(self._zygotes.make(layout))

    def refill_next(self) -> None:
        """Make a blank zygote or mounts where some are missing; when nothing else is to be done."""
        blank = bool(self._short_of_blanks)
        layout = (self._short_of_blanks if blank else self._short_of_tmpfs).popleft()
        try:
            if blank:
                self.refill(layout)
            else:
                layout.refill_tmpfs()
        except (OSError, CasemateError, ZygoteViolationError) as error:
            self._report(f"Python {layout.minor} cannot be prepared: {error}")

    def _take_blank(self, layout: Layout) -> ZygoteProcess:
        if layout.shared and layout not in self._short_of_blanks:
            # Made when the loop is idle: it takes milliseconds that nobody should wait for.
            self._short_of_blanks.append(layout)
        return layout.blanks.popleft() if layout.blanks else self._zygotes.make(layout)
