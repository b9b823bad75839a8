"""A process beside a run of drills: it cleans up if the run's is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from casemate.cli.credentials import Credentials
from casemate.cli.drill_node import DrillNode, new_folder
from casemate.drills.cleaning import clean
from casemate.drills.lease import QUIET_SECONDS, give_back
from casemate.drills.node import Began
from casemate.drills.running import PROJECT_NAME, played_rules
from casemate.model.errors import CasemateError

MAX_SECONDS = int(QUIET_SECONDS) - 30
"""It is over before another run takes the place of the one that was killed."""
_PAUSES = (0.0, 10.0, 30.0)
"""What the run had asked for when it was killed may be done later: a deploy takes a while."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST = 4096


class DrillGuard:
    """Forked before anything is made; a pipe tells it what is to be done, and when the run ends."""

    def __init__(self, credentials: Credentials, folder: Path) -> None:
        """Clean up on the node that these are of, and remove `folder`."""
        self._credentials = credentials
        self._folder = folder

    def __enter__(self) -> DrillGuard:
        """Start it, and wait until nothing that ends this process ends it. Raises OSError."""
        reading, self._writing = os.pipe()
        ready, telling = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._writing)
            os.close(ready)
            self._guard(reading, telling)
        os.close(reading)
        os.close(telling)
        os.read(ready, 1)
        os.close(ready)
        return self

    def held(self, lease: str, began: Began) -> None:
        """Have it clean up if this process ends from now on; `""`: all is clean."""
        os.write(self._writing, json.dumps([lease, *began.told]).encode() + b"\n")

    def __exit__(self, *_: Any) -> None:
        """Wait for it: it cleans up where the run could not."""
        os.close(self._writing)
        os.waitpid(self._pid, 0)

    def _guard(self, reading: int, telling: int) -> None:
        """Wait for the end of the run, whatever ends it. Never returns."""
        code = 1
        try:
            os.setsid()
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_IGN)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
            os.close(telling)
            told = b""
            while piece := os.read(reading, _MOST):
                told = (told + piece)[-_MOST:]
            # It is not stopped by what stops others: this is its end.
            signal.alarm(MAX_SECONDS)
            _, _, last = told.removesuffix(b"\n").rpartition(b"\n")
            lease, *when = json.loads(last or '[""]')
            if lease:
                self._clean(lease, (when[0], when[1]))
            code = 0
        finally:
            os._exit(code)

    def _clean(self, lease: str, when: tuple[float, float]) -> None:
        with new_folder() as own, DrillNode(self._credentials, Path(own)) as node:
            for pause in _PAUSES:
                time.sleep(pause)
                with suppress(CasemateError):
                    since = Began(node, when).since
                    clean(node, PROJECT_NAME, since, played_rules(), lease)
            give_back(node, lease)
        shutil.rmtree(self._folder, ignore_errors=True)
