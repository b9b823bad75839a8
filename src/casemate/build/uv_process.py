"""Runs uv inside the build sandbox."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import uv

from casemate.build.bubblewrap import Finished, Mount, hand_over, run_step
from casemate.build.interpreters import Interpreter
from casemate.build.uv_messages import dependency_error, nothing_offered
from casemate.model.errors import CasemateError, ProtectionMissingError
from casemate.package_index import Known, Lend, NothingKnown, nobody_lends

INPUT = "/build"
"""Where uv sees what it is given; it cannot write there."""
TARGET = "/target"
"""Where uv sees the folder that it may fill."""
_UV = "/casemate/uv"
_CERTIFICATES = "/casemate/certificates.pem"
_PASSED = (
    *("UV_DEFAULT_INDEX", "UV_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy"),
)
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs", "/usr/share/ca-certificates")


class Served(Protocol):
    """What stands for all indexes while uv runs."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the settings by which uv finds it."""

    @property
    def network(self) -> bool:
        """Tell whether it is reached over the network of the host."""

    def explanation(self, errors: str) -> CasemateError | None:
        """Return what was refused to uv and made it fail."""

    def versions(self, package: str) -> Iterable[str]:
        """Return the versions of a package that may be installed."""


@dataclass(frozen=True, kw_only=True)
class UvSession:
    """What the uv runs of one build share.

    `work` is a private folder of this build that uv never sees as such: what it could write to,
    the host must not write to or follow names in afterwards. `cache` is uv's own cache; `environ`
    is the caller's environment, of which only index, proxy and certificate settings are passed on.
    """

    interpreter: Interpreter
    work: Path
    cache: Path
    environ: Mapping[str, str]
    known: Known = field(default_factory=NothingKnown)
    """What advisories say of packages."""
    lend: Lend = nobody_lends
    """Asked for logins of indexes that are secrets."""
    now: float | None = None
    """The time that releases are judged at; the clock's without one."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        given: Path,
        folder: str = ".",
        target: Path | None = None,
        timeout: float,
        served: Served | None = None,
    ) -> Finished:
        """Run uv in a folder below `given`, seen as `/build`; return its output.

        `target` is seen as `/target` and can be written to. With `served`, uv sees that in place of
        all indexes. Raises a DependencyError or IndexUnavailableError with a short message if uv
        fails, or what was refused to it.
        """
        self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        hand_over(self.cache)
        filled = []
        if target is not None:
            hand_over(target)
            filled = [Mount(host=target, inside=TARGET, writable=True)]
        common = ("--no-config", "--no-python-downloads", "--no-progress", "--color", "never")
        finished = run_step(
            self.interpreter,
            [_UV, *arguments, *common, "--python", str(self.interpreter.path)],
            mounts=[
                *_network_mounts(self.environ if served is None else {}),
                Mount(host=uv_binary(), inside=_UV),
                Mount(host=given, inside=INPUT),
                Mount(host=self.cache, inside="/cache", writable=True),
                *filled,
            ],
            environment=_environment(self.environ if served is None else {}, served),
            folder=INPUT if folder == "." else f"{INPUT}/{folder}",
            network=served is None or served.network,
            timeout=timeout,
        )
        if finished.status != 0:
            refused = served.explanation(finished.errors) if served else None
            versions = served.versions if served else nothing_offered
            raise refused or dependency_error(finished.errors, self.interpreter, versions)
        return finished


def uv_binary() -> Path:
    """Return the uv that comes with this installation, or one on PATH."""
    try:
        return Path(uv.find_uv_bin()).resolve()
    except FileNotFoundError as error:
        found = shutil.which("uv")
        if found is None:
            raise ProtectionMissingError(
                "uv, which installs dependencies, is not there.",
                next_step="Reinstall Casemate, or `pip install uv`.",
            ) from error
        return Path(found).resolve()


def _environment(environ: Mapping[str, str], served: Served | None = None) -> dict[str, str]:
    """Return what uv gets. Where indexes are served to it, it needs no setting of the caller."""
    passed = {name: environ[name] for name in _PASSED if environ.get(name)}
    if environ.get("SSL_CERT_FILE"):
        passed["SSL_CERT_FILE"] = _CERTIFICATES
    return {
        **passed,
        "HOME": "/tmp",  # noqa: S108  # nosec B108
        "LANG": "C.UTF-8",
        "PATH": "/nonexistent",
        "UV_CACHE_DIR": "/cache",
        "UV_HTTP_RETRIES": "2",
        "UV_LINK_MODE": "copy",
        **(served.environment if served is not None else {}),
    }


def _network_mounts(environ: Mapping[str, str]) -> list[Mount]:
    mounts = []
    for name in _NETWORK_FILES:
        # Often a link into /run, which the sandbox does not have.
        real = Path(os.path.realpath(name))
        if real.exists():
            mounts.append(Mount(host=real, inside=name))
    bundle = environ.get("SSL_CERT_FILE")
    if bundle:
        mounts.append(Mount(host=Path(os.path.realpath(bundle)), inside=_CERTIFICATES))
    return mounts
