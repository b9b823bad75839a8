"""The monitor process: `python -m casemate.monitor.process CONFIG`, started by the supervisor.

It opens its folder and reads its settings and the operator's rules with the rights it was started
with, gives up every right, and only then looks at what is in them. It ends with the gateway, or
when the vault is gone. Recorders come and go: the supervisor passes a connection to each.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import msgspec
import uvloop

from casemate.child.log import report
from casemate.child.process import Supervised, main
from casemate.child.protocol import admit
from casemate.decoding import decodable
from casemate.detection import rules_of, shipped_texts
from casemate.detection.documents import MAX_BYTES
from casemate.model.errors import CasemateError
from casemate.monitor.alerting import Alerting
from casemate.monitor.channels import Channels
from casemate.monitor.config import MonitorConfig
from casemate.monitor.confinement import confinement_of
from casemate.monitor.detecting import Detection, Zone, usable_rules
from casemate.monitor.findings import Findings
from casemate.monitor.memory import Memory
from casemate.monitor.noticing import Noticing
from casemate.monitor.on_call import who, zone_of
from casemate.monitor.server import Server
from casemate.monitor.settings import MonitorSettings
from casemate.monitor.telling import Telling
from casemate.recorder.reading_protocol import READER
from casemate.set_clock import believe
from casemate.vault.monitor_client import MonitorVault

MAX_RULE_FILES = 256
_HERE = Path()
_READ_BYTES = 64 * 1024

Texts = list[tuple[bytes, str]]


def own_rules(folder: str | None) -> tuple[Texts, list[str]]:
    """Return the files of rules in a folder, each with its name, and what is wrong with others."""
    if folder is None:
        return [], []
    found: Texts = []
    problems: list[str] = []
    try:
        files = sorted(each for each in Path(folder).iterdir() if each.suffix in (".yml", ".yaml"))
    except OSError as error:
        return [], [f"the folder of rules {folder} cannot be read: {error.strerror}"]
    if len(files) > MAX_RULE_FILES:
        problems.append(f"only {MAX_RULE_FILES} of {len(files)} files of rules are read")
    for file in files[:MAX_RULE_FILES]:
        try:
            # One byte more than may be: what is too large is refused when it is looked at.
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as opened:
                found.append((opened.read(MAX_BYTES + 1) or b"", file.name))
        except OSError as error:
            problems.append(f"rules are left out: {file.name} cannot be read: {error.strerror}")
    return found, problems


def told_settings(descriptor: int) -> MonitorSettings:
    """Return what the supervisor passed on. Raises OSError, ValueError."""
    with socket.socket(fileno=descriptor) as sock:
        data = b""
        while piece := sock.recv(_READ_BYTES):
            data += piece
    return msgspec.json.decode(data, type=decodable(MonitorSettings))


def _warm_up(shipped: Texts, settings: MonitorSettings) -> None:
    """Have everything loaded that would be read from files on first use."""
    rules_of(*shipped[:1])
    for rotation in settings.oncall.values():
        who(rotation, 0.0)
    zone_of(settings.zone_rules)


async def _serve(
    config: MonitorConfig,
    supervised: Supervised,
    channels: Channels,
    rules: tuple[Texts, Texts, list[str]],
    gateway: socket.socket,
) -> int:
    loop = asyncio.get_running_loop()
    supervised.heart.beat_in(loop)
    vault = MonitorVault(socket.socket(fileno=config.vault), loop)
    shipped, own, problems = rules
    try:
        usable, left_out = usable_rules(shipped, own)
        telling, findings = Telling(), Findings()
        alerting = Alerting(
            channels.outlets(vault, node=config.node, tell=telling.tell), channels.settings.oncall
        )
        detection = Detection(usable, findings, Zone.of(channels.settings))
        noticing = Noticing(
            Memory(_HERE, vault.key),
            telling,
            findings,
            alerting,
            detection,
            channels.exporting(vault, config.node),
            channels.checkpoints(vault, config.node),
            node=config.node,
            problems=(*problems, *left_out),
        )
        await noticing.begin()
    except CasemateError as error:
        report("monitor", str(error))
        return 1
    noticing.deadman = channels.deadman(noticing.well)
    ended = asyncio.Event()
    vault.lost.add_done_callback(lambda _: ended.set())
    server = Server(noticing, gateway, ended.set)
    telling_status = loop.create_task(server.tell_status())
    admit(
        supervised.control,
        frozenset({READER}),
        lambda _kind, sock: noticing.following.connect(sock),
        ended=ended.set,
    )
    await noticing.run(ended)
    telling_status.cancel()
    server.close()
    return 0


def run(config: MonitorConfig) -> int:
    """Watch until the gateway is gone; return the exit code."""
    believe(config.clock)
    supervised = Supervised(config)
    descriptor = os.open(config.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    settings = told_settings(config.settings)
    own, problems = own_rules(settings.rules)
    shipped = shipped_texts()
    # Before the filter and while files can be read: sockets to the kernel, and authorities.
    channels = Channels(settings, config.own_addresses, descriptor)
    # From here on the folder is the working directory: the monitor's user may not be able to walk
    # to it by its path.
    os.fchdir(descriptor)
    _warm_up(shipped, settings)
    held = supervised.confine(confinement_of(settings), folder=descriptor)
    supervised.ready(held)
    gateway = supervised.connection()
    return uvloop.run(_serve(config, supervised, channels, (shipped, own, problems), gateway))


if __name__ == "__main__":
    main("monitor", MonitorConfig, run)
