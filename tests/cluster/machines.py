"""Machines: a network namespace and an unprivileged uid each, on one bridge of this host."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from cluster.faults import Disk, Faults

USER = "nobody"


def run(*words: str) -> str:
    """Do a command; return what it says. Raises if it fails."""
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout


class Network:
    """The bridge that machines are on. The nodes that write are on this host itself."""

    def __init__(self) -> None:
        """Make it."""
        self.name = f"cm{os.getpid() % 100_000}"
        # Of this run's own: another one may be under way.
        self.prefix = f"10.177.{os.getpid() % 250}"
        # An address of its own: else it takes that of a machine, and another as others come.
        run("ip", "link", "add", self.name, "address", "02:00:00:00:00:fe", "type", "bridge")
        run("ip", "addr", "add", f"{self.prefix}.254/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")

    def end(self) -> None:
        """Remove it."""
        with suppress(subprocess.CalledProcessError):
            run("ip", "link", "del", self.name)


class Machine:
    """One machine. `kill` and `freeze` take all that runs there at once, as a failing host does."""

    def __init__(
        self, network: Network, name: str, number: int, folder: Path, library: Path
    ) -> None:
        """Make it; nothing runs there."""
        self.name = name
        self.faults = Faults(library, folder / f"{name}.faults")
        self.disk: Disk | None = None
        self.address = f"{network.prefix}.{number}"
        self.folder = folder / name
        self.folder.mkdir(mode=0o755)
        os.chown(self.folder, *_ids())
        self.space = f"{network.name}-{name}"
        self._started: list[subprocess.Popen[bytes]] = []
        outside, inside = f"{network.name}{number}o", f"{network.name}{number}i"
        run("ip", "netns", "add", self.space)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
        run("ip", "link", "set", inside, "netns", self.space)
        run("ip", "link", "set", outside, "master", network.name, "up")
        for words in (
            ("addr", "add", f"{self.address}/24", "dev", inside),
            ("link", "set", inside, "up"),
            ("link", "set", "lo", "up"),
        ):
            run("ip", "-n", self.space, *words)

    def mount(self) -> Path:
        """Give it a disk of its own; return where."""
        self.disk = Disk(self.folder / "disk")
        os.chown(self.disk.folder, *_ids())
        return self.disk.folder

    def start(self, *words: str, log: str, path: str = "") -> None:
        """Start a program there, as an ordinary user."""
        with (self.folder / log).open("ab") as file:
            self._started.append(
                subprocess.Popen(
                    [
                        *("ip", "netns", "exec", self.space, "setpriv", f"--reuid={USER}"),
                        *("--regid=nogroup", "--clear-groups", *words),
                    ],
                    stdout=file,
                    stderr=file,
                    stdin=subprocess.DEVNULL,
                    cwd=self.folder,
                    env={
                        "PATH": f"{path}:/usr/bin:/bin",
                        "HOME": str(self.folder),
                        **self.faults.environment,
                    },
                    start_new_session=True,
                )
            )

    def processes(self, name: str = "", but: str = "") -> list[int]:
        """Return the numbers of what runs there: all, those of one program, or all but those."""
        found = ((int(pid), _name_of(pid)) for pid in self._pids())
        return [pid for pid, own in found if own not in ("", but) and name in ("", own)]

    def _pids(self) -> list[str]:
        return run("ip", "netns", "pids", self.space).split()

    def signal(self, number: int, name: str = "", but: str = "") -> None:
        """Send a signal to all that runs there."""
        for pid in self.processes(name, but):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self) -> None:
        """Stop everything: it answers nothing, and knows nothing of the time that goes by."""
        self.signal(signal.SIGSTOP)
        self.signal(signal.SIGSTOP)  # what was started meanwhile

    def wake(self, name: str = "") -> None:
        """Let it, or one of its programs, go on."""
        self.signal(signal.SIGCONT, name)

    def kill(self, but: str = "") -> None:
        """Kill all that runs there, and what that starts meanwhile; not the program named."""
        deadline = time.monotonic() + 20
        while self.processes(but=but) and time.monotonic() < deadline:
            self.signal(signal.SIGKILL, but=but)
            time.sleep(0.02)
            self._reap()

    def _reap(self) -> None:
        for one in self._started:
            one.poll()
        self._started = [one for one in self._started if one.returncode is None]

    def cut(self, other: str) -> None:
        """Send nothing to an address any more."""
        run("ip", "-n", self.space, "route", "replace", "blackhole", f"{other}/32")

    def join(self) -> None:
        """Send to all again."""
        with suppress(subprocess.CalledProcessError):
            run("ip", "-n", self.space, "route", "flush", "type", "blackhole")

    def end(self) -> None:
        """Kill all that runs there and remove it."""
        self.kill()
        for one in self._started:
            with suppress(subprocess.TimeoutExpired):
                one.wait(5)
        if self.disk is not None:
            self.disk.end()
        run("ip", "netns", "del", self.space)


def cut_pair(one: Machine, other: Machine) -> None:
    """Have two machines lose each other; both still reach the rest."""
    one.cut(other.address)
    other.cut(one.address)


def _name_of(pid: str) -> str:
    """Return a program's name, "" for one that is gone."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text()
        if state.rpartition(")")[2].split()[0] != "Z":
            return state.partition("(")[2].rpartition(")")[0]
    return ""


def _ids() -> tuple[int, int]:
    return pwd.getpwnam(USER).pw_uid, grp.getgrnam("nogroup").gr_gid
