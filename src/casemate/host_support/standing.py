"""Whether what a node stands on still gets security fixes, and has those that there are.

Read only, without network, and within seconds: Python, distribution, kernel, pending security
updates as the host knows of them, and whether it waits to be started again. None of it is a
protection that was tried; it is what the host says, and a dated file that comes with Casemate.
"""

from __future__ import annotations

import csv
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from casemate.build import RuntimeStatus, find_interpreters
from casemate.build.support import is_old, old_file_warning
from casemate.decoding import decodable

WARN_DAYS = 90
OLD_LISTS_DAYS = 7
"""How old what the package manager last fetched may be."""
_MAX_BYTES = 1 << 20
_APT_SECONDS = 20.0
_APT = Path("/usr/bin/apt-get")
# Simulated it fetches nothing, and without these two files it writes nothing either.
_APT_COMMAND = (
    *("--simulate", "--quiet", "-o", "Debug::NoLocking=1"),
    *("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "upgrade"),
)
_SECURITY = re.compile(r"^Inst (\S{1,200}) [^\n]{0,1000}(?:-[Ss]ecurity|/[a-z]+-security)", re.M)
_RELEASE = re.compile(r"(\d{1,3}\.\d{1,3})\.\d{1,5}(.*)", re.S)
_OF_DISTRIBUTION = re.compile(r"\+deb|-generic|\.el\d|\.fc\d|-amd64|-arm64|-cloud|-aws|-azure|-gcp")
_SAME = {"rocky": "rhel", "almalinux": "rhel", "centos": "rhel", "ol": "rhel"}


class State(StrEnum):
    """How something stands."""

    GOOD = "good"
    SOON = "soon"
    """It ends within WARN_DAYS days, or something waits to be done."""
    ENDED = "ended"
    """Nobody mends it any more."""
    OPEN = "open"
    """It has known vulnerabilities, which another version has not."""
    UNKNOWN = "unknown"
    """Nothing here says, so nobody should take it for good."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a node stands on."""

    name: str
    state: State
    detail: str
    next_step: str = ""


class _HostSupport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    checked: date
    distribution: dict[str, dict[str, date]]
    kernel: dict[str, date]


@cache
def host_support() -> _HostSupport:
    """Return the dated file that comes with this release."""
    data = Path(__file__).with_name("host_support.toml").read_bytes()
    return msgspec.toml.decode(data, type=decodable(_HostSupport))


def support(today: date, *, root: Path = Path("/"), release: str | None = None) -> list[Standing]:
    """Return how everything stands on a day. `root` is where the host's files are."""
    distribution, kernel, restart, *old = host_today(today, root=root, release=release)
    return [*_pythons(today), distribution, kernel, _updates(today, root), restart, *old]


def host_today(
    today: date, *, root: Path = Path("/"), release: str | None = None
) -> list[Standing]:
    """Return how the host stands by its files alone, at once: no program is asked."""
    release = release or platform.release()
    distribution = _distribution(today, root)
    return [
        distribution,
        _kernel(today, release, distribution),
        _restart(root, release),
        *_old_files(today),
    ]


def _until(name: str, what: str, ends: date, today: date, next_step: str) -> Standing:
    """Return how something stands whose support ends on a day."""
    left = (ends - today).days
    if left < 0:
        detail = f"{what} gets no security fixes since {ends}"
        return Standing(name=name, state=State.ENDED, detail=detail, next_step=next_step)
    if left < WARN_DAYS:
        detail = f"{what} gets security fixes until {ends}, for {left} more days"
        return Standing(name=name, state=State.SOON, detail=detail, next_step=next_step)
    return Standing(name=name, state=State.GOOD, detail=f"{what} until {ends}")


def _pythons(today: date) -> Iterator[Standing]:
    for one in find_interpreters(today=today, environ=os.environ):
        name = f"python {one.minor}"
        step = "Move its functions to a newer version (`python` in casemate.toml)."
        told = _until(name, one.version, one.end_of_life, today, step)
        if one.status is RuntimeStatus.ENDED:
            told = msgspec.structs.replace(told, detail=f"{told.detail}: it is not offered")
        yield told


def _distribution(today: date, root: Path) -> Standing:
    told = _os_release(root)
    kind, version = told.get("ID", ""), told.get("VERSION_ID", "")
    shown = told.get("PRETTY_NAME") or f"{kind} {version}".strip() or "this distribution"
    ends = _from_distro_info(root, kind, version) or _from_file(kind, version)
    if ends is None:
        return Standing(
            name="distribution",
            state=State.UNKNOWN,
            detail=f"nothing here says until when {shown} gets security fixes",
            next_step="Look it up at the distribution.",
        )
    return _until("distribution", shown, ends, today, "Upgrade the host to a newer release.")


def _os_release(root: Path) -> dict[str, str]:
    for name in ("etc/os-release", "usr/lib/os-release"):
        text = _text(root / name)
        if text:
            lines = (line.partition("=") for line in text.splitlines())
            return {key: value.strip().strip("\"'")[:100] for key, _, value in lines if key}
    return {}


def _from_file(kind: str, version: str) -> date | None:
    kind = _SAME.get(kind, kind)
    if kind == "rhel":
        version = version.partition(".")[0]
    return host_support().distribution.get(kind, {}).get(version)


def _from_distro_info(root: Path, kind: str, version: str) -> date | None:
    """Return what distro-info-data says: for Debian the end of its long-term support."""
    if kind not in ("debian", "ubuntu"):
        return None
    text = _text(root / f"usr/share/distro-info/{kind}.csv")
    for row in csv.DictReader(text.splitlines()) if text else ():
        if (row.get("version") or "").removesuffix(" LTS") == version:
            told = row.get("eol-lts" if kind == "debian" else "eol") or row.get("eol")
            try:
                return date.fromisoformat(told) if told else None
            except ValueError:
                return None
    return None


def _kernel(today: date, release: str, distribution: Standing) -> Standing:
    match = _RELEASE.fullmatch(release[:200])
    step = "Start a kernel that is kept (kernel.org lists them), or the distribution's."
    if match is not None and _OF_DISTRIBUTION.search(match.group(2)):
        detail = f"{release} is the distribution's, which keeps it"
        return Standing(name="kernel", state=distribution.state, detail=detail)
    ends = host_support().kernel.get(match.group(1)) if match else None
    if ends is None:
        detail = f"{release[:100]} is neither the distribution's nor a longterm one that is known"
        return Standing(name="kernel", state=State.UNKNOWN, detail=detail, next_step=step)
    return _until("kernel", release[:100], ends, today, step)


def _updates(today: date, root: Path) -> Standing:
    """Return what security updates the host knows of. Nothing is fetched, locked or changed."""
    name = "security updates"
    lists = sorted((root / "var/lib/apt/lists").glob("*Release"))[:500]
    if not (root / _APT.relative_to("/")).is_file() or not lists:
        detail = "this host's package manager was not asked: only apt with its lists is supported"
        return Standing(name=name, state=State.UNKNOWN, detail=detail)
    newest = max(path.lstat().st_mtime for path in lists)
    fetched = date.fromtimestamp(newest)
    try:
        done = subprocess.run(
            [str(root / _APT.relative_to("/")), *_APT_COMMAND],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_APT_SECONDS,
            check=True,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
        )
    except (OSError, subprocess.SubprocessError) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        detail = (
            f"apt-get did not say within {_APT_SECONDS:g} s"
            if late
            else f"apt-get did not say: {type(error).__name__}"
        )
        step = "`apt-get --simulate upgrade` shows them, or why not"
        return Standing(name=name, state=State.UNKNOWN, detail=detail, next_step=step)
    waiting = _SECURITY.findall(done.stdout[: 8 * _MAX_BYTES].decode("utf-8", "replace"))
    if waiting:
        more = f" and {len(waiting) - 5} more" if len(waiting) > 5 else ""
        detail = f"{len(waiting)} wait: {', '.join(waiting[:5])}{more}"
        return Standing(
            name=name, state=State.SOON, detail=detail, next_step="Run: apt-get upgrade"
        )
    if today - fetched > timedelta(days=OLD_LISTS_DAYS):
        detail = f"none is known, according to lists of {fetched}"
        return Standing(
            name=name, state=State.UNKNOWN, detail=detail, next_step="Run: apt-get update"
        )
    return Standing(
        name=name, state=State.GOOD, detail=f"none waits, according to lists of {fetched}"
    )


def _restart(root: Path, release: str) -> Standing:
    name = "restart"
    if any((root / place).exists() for place in ("run/reboot-required", "var/run/reboot-required")):
        named = _text(root / "run/reboot-required.pkgs").split()[:5]
        detail = f"the host needs a restart{': ' if named else ''}{', '.join(named)}"
        return Standing(
            name=name, state=State.SOON, detail=detail, next_step="Start the host again."
        )
    modules = root / "lib/modules"
    try:
        kernels = sorted(path.name for path in modules.iterdir())[:100]
    except OSError:
        kernels = []
    if kernels and release not in kernels:
        detail = f"{release[:100]} runs, and is no longer installed ({kernels[-1][:100]} is)"
        return Standing(
            name=name, state=State.SOON, detail=detail, next_step="Start the host again."
        )
    return Standing(name=name, state=State.GOOD, detail="nothing asks for one")


def _old_files(today: date) -> Iterator[Standing]:
    """Say so where the dates that come with Casemate may have been overtaken."""
    step = "Update Casemate."
    warning = old_file_warning(today)
    if warning is not None:
        yield Standing(name="dates", state=State.UNKNOWN, detail=warning, next_step=step)
    checked = host_support().checked
    if is_old(checked, today):
        detail = f"ends of distributions and kernels were last checked on {checked}"
        yield Standing(name="dates", state=State.UNKNOWN, detail=detail, next_step=step)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
