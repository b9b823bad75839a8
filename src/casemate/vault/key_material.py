"""Reading the text of a master key or passphrase safely, and running a plug-in that has it."""

from __future__ import annotations

import base64
import binascii
import ctypes
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

from casemate.kernel.durability import sync_folder
from casemate.kernel.placing import take_name
from casemate.vault.errors import MasterKeySourceError
from casemate.vault.random_key import KEY_BYTES, new_key

COMMAND_SECONDS = 30.0
MAX_WRAPPED = 16 * 1024
_MIN_DISTINCT_BYTES = 8


def first_line(data: bytes) -> str:
    """Return the first line of `data` as text."""
    try:
        return data.decode().split("\n", 1)[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise MasterKeySourceError(
            "The passphrase is not text in UTF-8.", next_step="Write it as UTF-8."
        ) from None


def parse_key(text: bytes, where: str) -> bytes:
    """Return the 32 bytes that `text` says in base64 or hexadecimal."""
    stripped = text.strip()
    key = b""
    if re.fullmatch(rb"[0-9A-Fa-f]{64}", stripped):
        key = binascii.unhexlify(stripped)
    elif re.fullmatch(rb"[A-Za-z0-9+/]{43}=", stripped):
        key = base64.b64decode(stripped)
    if len(key) != KEY_BYTES:
        raise MasterKeySourceError(
            f"{where} holds {len(stripped)} characters, expected {KEY_BYTES} bytes as base64 (44 "
            "characters) or hexadecimal (64).",
            next_step="Make one: head -c 32 /dev/urandom | base64",
        )
    if len(set(key)) < _MIN_DISTINCT_BYTES:
        raise MasterKeySourceError(
            f"The key in {where} is not random: few of its bytes differ.",
            next_step="Make one: head -c 32 /dev/urandom | base64",
        )
    return key


def read_private(path: Path, limit: int) -> bytes:
    """Return a file that only its owner (root or this user) can read. Never follows a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise MasterKeySourceError(
            f"There is no file {path}, and without it the vault stays closed.",
            next_step="Bring the file back from where you keep a copy of it.",
        ) from error
    except OSError as error:
        raise MasterKeySourceError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Give a regular file, not a link, that the node's user can read.",
        ) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            raise MasterKeySourceError(
                f"{path} is not a regular file of at most {limit} bytes.",
                next_step="Give the file that holds the key.",
            )
        if found.st_mode & 0o077 or found.st_uid not in (0, os.geteuid()):
            raise MasterKeySourceError(
                f"{path} has mode {stat.S_IMODE(found.st_mode):04o} and owner {found.st_uid}, "
                "expected one that nobody else can read.",
                next_step=f"Run `chmod 600 {shlex.quote(str(path))}`, and have root or the node's "
                "user own it.",
            )
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def read_descriptor(descriptor: int, limit: int) -> bytes:
    """Return what a descriptor holds up to its end, and close it."""
    data = b""
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            while len(data) <= limit and (part := file.read(limit + 1 - len(data))):
                data += part
    except OSError as error:
        raise MasterKeySourceError(
            f"Descriptor {descriptor} cannot be read: {error.strerror}.",
            next_step="Open it for the node, as in `casemate serve ... 3< FILE`",
        ) from error
    if len(data) > limit:
        raise MasterKeySourceError(
            f"Descriptor {descriptor} holds more than {limit} bytes.",
            next_step="Give one that holds the passphrase only.",
        )
    return data


def has_key_file(path: Path) -> bool:
    """Tell whether something is there, other than the empty name that a kill left beside its draft.

    It is left where the file system has no better way to take a name (`take_name`).
    """
    if not os.path.lexists(path):
        return False
    found = path.lstat()
    is_claim = stat.S_ISREG(found.st_mode) and not found.st_size
    return not (is_claim and os.path.lexists(_draft_of(path)))


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def create_key_file(path: Path) -> bytes:
    """Make a key in a new file of mode 0600, durably and whole or not at all; return the key."""
    key = new_key()
    draft = _draft_of(path)
    try:
        if not has_key_file(path):
            path.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(key) + b"\n")
                file.flush()
                os.fsync(descriptor)
            take_name(draft, path)  # unlike a rename it never takes the place of another key
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise MasterKeySourceError(
            f"The master key {path} cannot be made: {error.strerror}.",
            next_step="Make its folder, or give another file.",
        ) from error
    return key


_libc = ctypes.CDLL(None)
_libc.getenv.restype = ctypes.c_void_p
_libc.getenv.argtypes = (ctypes.c_char_p,)


def take_variable(name: str) -> bytes:
    """Return a variable of the environment and wipe it there.

    Removing it alone would leave it readable in `/proc/PID/environ`, which shows the memory that
    the process was started with; so that memory is overwritten.
    """
    address = _libc.getenv(name.encode())
    if not address or name not in os.environ:
        raise MasterKeySourceError(
            f"There is no variable {name} in the environment.",
            next_step=f"Start the node with {name} set to the master key.",
        )
    value = ctypes.string_at(address)
    ctypes.memset(address, 0, len(value))
    os.environ.pop(name, None)
    return value


def run_command(command: str, verb: str, data: bytes) -> bytes:
    """Run a plug-in with `verb` as its last argument; return what it writes."""
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise MasterKeySourceError(
            f"The command cannot be split into words: {error}.",
            next_step="Quote it as for a shell.",
        ) from error
    program = Path(arguments[0])
    _require_safe_program(program)
    try:
        done = subprocess.run(
            [*arguments, verb],
            input=data,
            stdout=subprocess.PIPE,
            timeout=COMMAND_SECONDS,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        raise MasterKeySourceError(
            f"{program} {verb} took longer than {COMMAND_SECONDS:g} s.",
            next_step="See whether its key service answers.",
        ) from None
    except OSError as error:
        raise MasterKeySourceError(
            f"{program} cannot be run: {error.strerror}.", next_step="Check its path and rights."
        ) from error
    if done.returncode != 0 or len(done.stdout) > MAX_WRAPPED:
        raise MasterKeySourceError(
            f"{program} {verb} ended with code {done.returncode} and {len(done.stdout)} bytes.",
            next_step="Its own message is above; run it by hand to see why.",
        )
    return done.stdout


def _require_safe_program(program: Path) -> None:
    try:
        resolved = program.resolve(strict=True)
        # Whoever may write to a folder puts another program in the place of the one there.
        for path in dict.fromkeys((resolved, *resolved.parents, *program.parents)):
            _require_kept(path, path.stat())
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MasterKeySourceError(
            f"{program} cannot be found: {reason}.", next_step="Check its path."
        ) from error


def _require_kept(path: Path, found: os.stat_result) -> None:
    """Refuse a program, or a folder that leads to it, that others than root and this user change.

    In a folder with the sticky bit everybody changes what is their own.
    """
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if (found.st_mode & 0o022 and not sticky) or found.st_uid not in (0, os.geteuid()):
        raise MasterKeySourceError(
            f"{path} can be changed by other users (mode {stat.S_IMODE(found.st_mode):04o}, "
            f"owner {found.st_uid}).",
            next_step=f"Run `chmod go-w {shlex.quote(str(path))}`, and have root or the node's "
            "user own it.",
        )
