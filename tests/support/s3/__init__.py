"""The S3-compatible server of the tests: a real one, in Node.js, on loopback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


class S3Server:
    """A running server with the bucket `uploads`. `npm ci` in this folder installs it."""

    def __init__(self, folder: Path) -> None:
        if not (HERE / "node_modules/s3rver").is_dir():
            raise RuntimeError(f"run `npm ci --ignore-scripts` in {HERE}")
        self._process = subprocess.Popen(
            ["node", str(HERE / "server.mjs"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = f"http://127.0.0.1:{self._answer()['port']}/uploads"

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the S3 server did not start; is Node.js 20 or later there?")
        found: dict[str, int] = json.loads(line)
        return found

    def notify(self, url: str, token: str) -> None:
        """Have everything told to a web hook from now on."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"url": url, "token": token}) + "\n")
        self._process.stdin.flush()
        self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
