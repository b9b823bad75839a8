"""Runs one build step in a bubblewrap sandbox: no host files but those named, no rights.

As root, bubblewrap itself does the mounting (so a home of mode 0700 is no obstacle) and the step
then drops to an unprivileged user id before anything of the build runs. As an ordinary user,
bubblewrap makes a user namespace and the step keeps the user's own id there. In both cases
`no_new_privs` is set, every capability is gone, and all namespaces are new but, for steps that
download, that of the network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from casemate.build import enter_script
from casemate.build.errors import BuildError, BuildTimeoutError
from casemate.build.interpreters import Interpreter
from casemate.model.errors import ProtectionMissingError

SANDBOX_UID = 65534
"""The user (and group) id of a step when the build runs as root."""
_TRUSTED_PATH = "/usr/bin:/bin:/usr/local/bin"
_ENTER = "/casemate/enter.py"
_SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")
_ENVIRONMENT = "{environment}"
"""Stands for the descriptor with a step's environment until the step is started."""
_MAX_OUTPUT = 4 * 1024 * 1024
_MAX_FILE_BYTES = 1024 * 1024 * 1024
_INSTALL_HINT = (
    "Install bubblewrap (`apt install bubblewrap`) and allow unprivileged user namespaces "
    "(`sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu an AppArmor profile for bwrap), "
    "then run `casemate doctor`."
)
_READABLE_HINT = (
    "A step runs without rights: make the interpreter and Casemate's installation readable for all "
    "users (`chmod -R a+rX`), or build as an ordinary user."
)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One host path as a step sees it. Read-only unless `writable`."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a step ended. Output is cut at 4 MiB."""

    status: int
    output: str
    errors: str


def find_bubblewrap() -> str:
    """Return the path of bubblewrap. Raises ProtectionMissingError, saying how to get it."""
    found = shutil.which("bwrap", path=_TRUSTED_PATH)
    if found is None:
        raise ProtectionMissingError(
            "Builds run in a sandbox and `bwrap` (bubblewrap) is not installed.",
            next_step=_INSTALL_HINT,
        )
    return found


def hand_over(folder: Path) -> None:
    """Give a folder that a step must write to the user it will run as."""
    if os.geteuid() == 0:
        os.chown(folder, SANDBOX_UID, SANDBOX_UID)


def run_step(
    interpreter: Interpreter,
    command: Sequence[str],
    *,
    mounts: Sequence[Mount],
    environment: Mapping[str, str],
    folder: str,
    network: bool,
    timeout: float,
    stdin: bytes = b"",
) -> Finished:
    """Run `command` (paths as seen inside) in `folder` and return how it ended.

    Raises ProtectionMissingError if the sandbox cannot be made, BuildTimeoutError after `timeout`
    seconds; then and when this process dies, everything the step started dies.
    """
    # By a descriptor: what is an argument can be read by every user of the host.
    given = ("--args", _ENVIRONMENT)
    full = _full(interpreter, command, given, mounts, folder, network=network, timeout=timeout)
    finished = _execute(full, environment, stdin=stdin, timeout=timeout)
    refused = finished.status == enter_script.REFUSED
    if refused or finished.errors.startswith("bwrap: "):
        lines = finished.errors.strip().splitlines() or ["no reason given"]
        raise ProtectionMissingError(
            f"The build sandbox cannot be made on this host: {lines[-1][:300]}.",
            next_step=_READABLE_HINT if refused else _INSTALL_HINT,
        )
    return finished


def step_command(
    interpreter: Interpreter,
    command: Sequence[str],
    *,
    mounts: Sequence[Mount],
    environment: Mapping[str, str],
    folder: str,
    network: bool,
    timeout: float,
) -> list[str]:
    """Return what starts a step in its sandbox, for who starts it. Raises ProtectionMissingError.

    Its environment is among the arguments, which every user of the host can read: nothing secret.
    """
    return _full(
        interpreter,
        command,
        _set(environment),
        mounts,
        folder,
        network=network,
        timeout=timeout,
    )


def _set(environment: Mapping[str, str]) -> list[str]:
    """Return an environment as options of bubblewrap."""
    return [part for key, value in environment.items() for part in ("--setenv", key, value)]


def _full(
    interpreter: Interpreter,
    command: Sequence[str],
    environment: Sequence[str],
    mounts: Sequence[Mount],
    folder: str,
    *,
    network: bool,
    timeout: float,
) -> list[str]:
    as_root = os.geteuid() == 0
    shown = [
        *_system_mounts(),
        *(Mount(host=p, inside=str(p)) for p in interpreter.visible_paths()),
        Mount(host=Path(enter_script.__file__).resolve(), inside=_ENTER),
        *mounts,
    ]
    return [
        find_bubblewrap(),
        *_namespace_options(as_root=as_root, network=network),
        *_mount_options(shown),
        *environment,
        "--",
        *(str(interpreter.path), "-I", "-S", _ENTER),
        *(str(SANDBOX_UID) if as_root else "-", str(int(timeout) + 1), str(_MAX_FILE_BYTES)),
        folder,
        *command,
    ]


def _execute(
    command: Sequence[str], environment: Mapping[str, str], *, stdin: bytes, timeout: float
) -> Finished:
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _in_memory(environment) as given,
    ):
        try:
            done = subprocess.run(
                [str(given) if part == _ENVIRONMENT else part for part in command],
                input=stdin,
                stdout=out,
                stderr=err,
                timeout=timeout,
                check=False,
                env={},
                pass_fds=(given,),
            )
        except subprocess.TimeoutExpired as error:
            raise BuildTimeoutError(
                f"A step of the build took longer than {timeout:g} s.",
                next_step="Try again; if it recurs, use fewer or smaller dependencies.",
            ) from error
        except OSError as error:
            raise BuildError(f"A step of the build could not be started: {error}.") from error
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(_MAX_OUTPUT).decode("utf-8", "replace"))
        return Finished(status=done.returncode, output=texts[0], errors=texts[1])


@contextlib.contextmanager
def _in_memory(environment: Mapping[str, str]) -> Iterator[int]:
    """Hold a descriptor with an environment as bubblewrap reads its options."""
    descriptor = os.memfd_create("environment", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, "".join(f"{part}\0" for part in _set(environment)).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _namespace_options(*, as_root: bool, network: bool) -> Iterator[str]:
    yield from ("--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL")
    if as_root:
        # No user namespace: it would map the step to host root. These two go with the id.
        yield from ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
        yield from ("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try")
        if not network:
            yield "--unshare-net"
    else:
        yield from ("--unshare-user", "--unshare-all")
        if network:
            yield "--share-net"
    yield from ("--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp")  # noqa: S108  # nosec B108


def _system_mounts() -> Iterator[Mount]:
    """Yield the dynamic linker and the libraries that it and the interpreter load."""
    for path in map(Path, _SYSTEM_LIBRARIES):
        if path.exists():
            yield Mount(host=path, inside=str(path))


def _mount_options(mounts: Sequence[Mount]) -> Iterator[str]:
    made: set[str] = set()
    for position, mount in enumerate(mounts):
        if mount.inside == str(mount.host) and _covered(mount.inside, mounts[:position]):
            continue
        # bubblewrap makes missing parents with mode 0700, which the unprivileged id cannot enter.
        for parent in reversed(Path(mount.inside).parents[:-1]):
            if str(parent) not in made and not _covered(str(parent), mounts):
                made.add(str(parent))
                yield from ("--dir", str(parent))
        with contextlib.suppress(OSError):
            if mount.host.is_symlink() and not mount.writable and mount.inside == str(mount.host):
                yield from ("--symlink", str(mount.host.readlink()), mount.inside)
                continue
        yield from ("--bind" if mount.writable else "--ro-bind", str(mount.host), mount.inside)
    yield from ("--remount-ro", "/")


def _covered(path: str, mounts: Sequence[Mount]) -> bool:
    return any(path == m.inside or path.startswith(m.inside + "/") for m in mounts)
