"""What a machine has that can fail without its network: clock and disk, and what watches it."""

from __future__ import annotations

import mmap
import os
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
DISK_MEGABYTES = 1536


def compile_faults(folder: Path) -> Path:
    """Make the library that is preloaded; return where it is. Raises if there is no compiler."""
    made = folder / "faults.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    return made


class Faults:
    """How far the clock of one machine is off, and how slow its disk is to sync."""

    def __init__(self, library: Path, path: Path) -> None:
        """Begin with none."""
        self.environment = {"LD_PRELOAD": str(library), "CLUSTER_FAULTS": str(path)}
        path.write_bytes(bytes(16))
        path.chmod(0o644)
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)

    def step_clock(self, seconds: float) -> None:
        """Have the wall clock be so far off from now on."""
        struct.pack_into("<q", self._shared, 0, int(seconds * 1e9))

    def slow_disk(self, seconds: float) -> None:
        """Have each sync take so much longer from now on."""
        struct.pack_into("<q", self._shared, 8, int(seconds * 1e6))


class Disk:
    """A file system of its own, of a size that can be used up."""

    def __init__(self, folder: Path) -> None:
        """Make and mount it."""
        self.folder = folder
        image = folder.with_suffix(".image")
        with image.open("wb") as file:
            file.truncate(DISK_MEGABYTES << 20)
        _run("mkfs.ext4", "-q", "-m", "0", str(image))
        folder.mkdir()
        _run("mount", "-o", "loop", str(image), str(folder))

    def fill(self) -> None:
        """Leave no room."""
        with (self.folder / "filler").open("ab") as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)

    def empty(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink(missing_ok=True)

    def end(self) -> None:
        """Take it away."""
        with suppress(subprocess.CalledProcessError):
            _run("umount", "--lazy", str(self.folder))


class Watchdog:
    """Stands in for a watchdog's device: resets a machine that does not write to it in time.

    It is what Patroni's own tests speak to (`driver: testing`): a pipe to which it writes how long
    to wait, that it lives, and V for that nobody has to watch any more.
    """

    def __init__(self, path: Path, reset: Callable[[], None]) -> None:
        """Watch; nothing is reset until somebody has written."""
        os.mkfifo(path)
        path.chmod(0o666)
        # Also for writing: so that it does not end when Patroni does.
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._reset = reset
        self._ends = threading.Event()
        self.resets = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        seconds, due = 60.0, None
        while not self._ends.is_set():
            left = 1.0 if due is None else max(0.0, due - time.monotonic())
            if select.select([self._file], [], [], min(left, 1.0))[0]:
                text = os.read(self._file, 4096)
                _, found, rest = text.rpartition(b"timeout=")
                if found:
                    seconds = float(rest.split(b"\n")[0])
                due = None if text.endswith(b"V") else time.monotonic() + seconds
            elif due is not None and time.monotonic() >= due:
                due = None
                self.resets += 1
                self._reset()

    def end(self) -> None:
        """Watch no more."""
        self._ends.set()
        self._thread.join()
        os.close(self._file)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
