"""On a host that lacks something of what restoring needs, each call has a fork, and it is said why.

The results of the probes are injected; what the kernel really answers is tried by the
probe's own tests.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TextIO

import pytest

from support import read_cli
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(120)]
_GOES_ON = "\nimport runpy; runpy.run_module('casemate.cli.serving', run_name='__main__')"
_CODE = """
state = {}

def handler(event, context):
    found = len(state)
    state["x"] = event
    return found
"""
LACKS = {
    "a known machine": (
        "from casemate.kernel import machines, tracing\n"
        "def refuse(): raise machines.UnknownMachineError('known for x86_64; this is aarch64')\n"
        "tracing.require_known_machine = refuse",
        "this is aarch64",
    ),
    "somebody who may trace": (
        "import pathlib\nfrom casemate.restorer import probe\n"
        "probe._YAMA = pathlib.Path({scope!r})",
        "kernel.yama.ptrace_scope is 3",
    ),
    "WP_ASYNC": (
        "from casemate.kernel import userfault\n"
        "def create(): raise OSError(22, 'Invalid argument')\n"
        "userfault.create = create",
        "the kernel does not note which pages are written",
    ),
    "PAGEMAP_SCAN": (
        "from casemate.kernel.pagemap import Scanner\n"
        "def written(*_): raise OSError(25, 'Inappropriate ioctl for device')\n"
        "Scanner.written = written",
        "the kernel does not note which pages are written",
    ),
    "control groups": (
        "from casemate.supervisor import serve\n"
        "_restores = serve.Node._restores\n"
        "serve.Node._restores = lambda self, *, grouped: _restores(self, grouped=False)",
        "without control groups",
    ),
    "root": (
        "from casemate.restorer import probe\n"
        "from types import SimpleNamespace\n"
        "probe.os = SimpleNamespace(geteuid=lambda: 1000)",
        "the node runs as an ordinary user",
    ),
}


class Lacking(TestNode):
    """One whose probes say something else."""

    said = ""

    def _started(self, arguments: list[str], stderr: TextIO) -> subprocess.Popen[str]:
        supervisor = read_cli.read(arguments)
        assert supervisor is not None
        given = supervisor.command
        first, last = given.index("-m"), given.index("casemate.cli.serving")
        command = [*given[:first], "-c", self.said + _GOES_ON, *given[last + 1 :]]
        try:
            return subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=supervisor.environment,
                pass_fds=(supervisor.options,),
            )
        finally:
            os.close(supervisor.options)


# Every third; all of them in the long run.
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=(pytest.mark.storm,) if number % 3 else ())
        for number, row in enumerate(LACKS)
    ],
)
def test_each_call_has_a_fork(tmp_path: Path, row: str) -> None:
    (tmp_path / "scope").write_text("3\n")
    code, why = LACKS[row]
    node = Lacking(tmp_path / "data", "--restore")
    node.said = code.replace("{scope!r}", repr(str(tmp_path / "scope")))
    try:
        node.start()
        said = node.errors.read_text()
        assert "each call has a fork of its own: " in said and why in said
        assert node.part("restorer") is None
        node.deploy(_CODE, unguarded=True)
        assert [node.invoke({}).json() for _ in range(12)] == [0] * 12
        told = node.client.get(f"{node.url}/api/v1/functions/t/f/restoring").json()
        assert told["restored"] == 0 and told["forks"] >= 12
    finally:
        node.close()
