"""The OpenID provider of the tests: a real one, in Node.js, on loopback."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2

HERE = Path(__file__).parent


class TestProvider:
    """A running provider. `npm ci` in this folder installs it."""

    __test__ = False

    def __init__(self) -> None:
        if not (HERE / "node_modules/oidc-provider").is_dir():
            raise RuntimeError(f"run `npm ci --ignore-scripts` in {HERE}")
        self._process = subprocess.Popen(
            ["node", str(HERE / "provider.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the OpenID provider did not start; is Node.js 20 or later there?")
        self.issuer: str = json.loads(line)["issuer"]

    def rotate(self) -> None:
        """Replace the signing keys."""
        httpx2.post(f"{self.issuer}/rotate", trust_env=False).raise_for_status()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def log_in(self, url: str, login: str) -> str:
        """Do what a person does in the browser; return the address it is sent back to at last.

        That address is a listener on this machine, which is asked as a browser would.
        """
        with httpx2.Client(trust_env=False, timeout=15) as browser:
            answer = browser.get(url)
            for _ in range(12):
                if answer.is_redirect:
                    target = urljoin(str(answer.url), answer.headers["location"])
                    answer = browser.get(target)
                    if urlsplit(target).path == "/callback":
                        return target
                    continue
                prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
                action = re.search(r'action="([^"]+)"', answer.text)
                assert prompt, answer.text
                assert action
                form = {"prompt": prompt[1], "login": login, "password": "anything"}
                answer = browser.post(urljoin(str(answer.url), action[1]), data=form)
        raise AssertionError("the provider never sent the browser back")
