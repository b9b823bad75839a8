"""The supervisor in an interpreter of its own: `casemate.cli.serving NUMBER ...`.

What reads a command line takes ten megabytes, which a node would hold for as long as it runs. So
`casemate serve` ends by becoming this (execve(2)): the same process, with what it was told in a
file in memory, whose descriptor is NUMBER. The words after it are those that it was started with.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from casemate.cli import interrupts
from casemate.decoding import decodable
from casemate.supervisor.options import ServeOptions


def become_supervisor(options: ServeOptions) -> NoReturn:
    """Go on as the supervisor, in this process. Raises OSError."""
    told = msgspec.json.encode(options, enc_hook=str)
    descriptor = os.memfd_create("options", 0)  # kept over execve(2)
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(told)
    # -P: as for the program itself, modules are not looked for where the operator stands.
    flag = "-I" if sys.flags.isolated else "-P"
    command = [sys.executable, flag, "-m", "casemate.child.program", "casemate.cli.serving"]
    command += [str(descriptor), *sys.argv[1:]]
    sys.stdout.flush()
    interrupts.hold()  # until `main`, which tells of it
    os.execv(sys.executable, command)  # noqa: S606  # nosec B606


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError


def _told(descriptor: int) -> ServeOptions:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=decodable(ServeOptions), dec_hook=_path)


def main() -> NoReturn:
    """Run a node and exit."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = _told(int(sys.argv.pop(1)))

    try:
        interrupts.let_through()
        from casemate.supervisor.serve import serve

        serve(options)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told as any command tells it
        sys.exit(_tell(error))
    sys.exit(0)


def _tell(error: BaseException) -> int:
    from casemate.cli.main import outcome

    def raise_it() -> NoReturn:
        raise error

    return outcome(raise_it)


if __name__ == "__main__":
    main()
