"""A small HTTP server that starts a new interpreter in bubblewrap for every request.

The isolation is that of a fresh process in fresh user, pid, mount, ipc, uts and network
namespaces; there is no seccomp filter, no cgroup and no limit of any kind.
Called as `adapter.py PORT CODE_DIR SITE_PACKAGES`.
"""

import asyncio
import sys
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
REASONS = {200: b"OK", 500: b"Internal Server Error"}


def sandbox(code, packages):
    """Return the command that answers one request."""
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    for folder in SYSTEM:
        path = Path(folder)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), folder]
        elif path.exists():
            command += ["--ro-bind", folder, folder]
    command += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    command += ["--ro-bind", code, "/code", "--ro-bind", packages, "/packages"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp"]
    interpreter = str(Path(sys.executable).resolve())
    return [*command, interpreter, "-I", "-S", "/code/once.py", "/packages"]


async def answer(command, body):
    """Run one interpreter; return a status and a body."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    output, _ = await child.communicate(body)
    return (200, output) if child.returncode == 0 else (500, b"")


async def converse(reader, writer, command):
    """Serve one connection until the client closes it."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = [line.split(b":", 1) for line in head.lower().split(b"\r\n") if b":" in line]
            size = next((int(value) for name, value in fields if name == b"content-length"), 0)
            status, output = await answer(command, await reader.readexactly(size))
            lines = (
                b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            writer.write(lines % (status, REASONS[status], len(output)) + output)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port, code, packages):
    """Listen on the loopback interface for ever."""
    command = sandbox(code, packages)
    server = await asyncio.start_server(lambda r, w: converse(r, w, command), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
