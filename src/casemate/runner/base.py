"""The base zygote: one per interpreter, trusted code only.

Runs in a bubblewrap sandbox under an unprivileged uid and keeps, inside its own user namespace,
the rights to make namespaces and mounts. It makes blank zygotes and detached mounts when the
supervisor asks, and never sees a function's code or data.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import sys

from ..kernel import linux
from . import (
    control,
    first_process,
    instance,
    rights,
    seeding,
    sharing,
    unsettled,
    zygote,
    zygote_rehearsal,
)
from .filling import fill_holes
from .first_thread import start_first_thread
from .own_input import open_own_input
from .root import Root

_MAX_DESCRIPTOR = 1 << 16
_FIRST_PROCESS = "/tmp/first-process"  # noqa: S108 - in the base zygote's own tmpfs
_NAME = re.compile(r"z[0-9]{1,12}")
_PREPARING = frozenset(
    f"{__name__.removesuffix('runner.base')}{name}"
    for name in (
        "guard.acts",
        "guard.bytecode",
        "guard.constants",
        "guard.loading",
        "guard.package_files",
        "guard.setting_up",
        "kernel.landlock",
        "kernel.linux",
        "runner.base",
        "runner.control",
        "runner.filters",
        "runner.forked_ahead",
        "runner.handlers",
        "runner.loaded",
        "runner.network",
        "runner.own_input",
        "runner.rights",
        "runner.root",
        "runner.shared_at_import",
        "runner.sharing",
        "runner.zygote",
        "runner.zygote_rehearsal",
    )
)
"""Modules of what a zygote runs from its fork until it is at rest."""
_IMPORTS = 8
"""After so many all code of an import that can be specialised is so."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _warm() -> None:
    """Import what most handlers import, so that it is shared by all of them."""
    import base64
    import collections.abc
    import dataclasses
    import datetime
    import enum
    import functools
    import hashlib
    import hmac
    import io
    import json.decoder
    import math
    import random
    import string
    import typing
    import urllib.parse
    import uuid

    from ..guard import setting_up

    setting_up.warm()
    del base64, collections, dataclasses, datetime, enum, functools, hashlib, hmac, io, json
    del math, random, string, typing, urllib, uuid


def keep_only(descriptor: int, program: int | None = None) -> int | None:
    """Move a descriptor to SOCKET_FD and close every other but the three standard ones.

    `program` is kept behind it; returns where.
    """
    os.dup2(descriptor, instance.SOCKET_FD)
    first = instance.SOCKET_FD + 1
    kept = None if program is None else os.dup2(program, first, inheritable=False)
    os.closerange(first + (kept is not None), _MAX_DESCRIPTOR)
    return kept


class Base:
    """Answers the supervisor's requests, one at a time."""

    def __init__(self, sock: socket.socket, prepared: zygote.Prepared) -> None:
        """Read the configuration, the first message."""
        self._sock = sock
        self._prepared = prepared
        self._cloner = linux.Cloner()
        message, _ = control.receive(sock)
        if message is None:
            sys.exit(0)
        libraries, links = message["libraries"], message["links"]
        if not isinstance(libraries, list) or not isinstance(links, dict):
            raise TypeError("the configuration names libraries and links")
        # bubblewrap's mount namespace may belong to a user namespace above this process's.
        linux.unshare(linux.CLONE_NEWNS)
        self._root = Root([(str(path), bool(filtered)) for path, filtered in libraries], links)
        self._first_process = first_process.write_program(_FIRST_PROCESS)
        self.rehearsal = zygote_rehearsal.Rehearsal(message)
        ready = {"ev": "ready", "landlock_abi": linux.landlock_abi()}
        _answer(sock, ready | {"private_files": self._root.private_files}, [])

    def run(self) -> None:
        """Serve until the supervisor goes away."""
        while True:
            message, descriptors = control.receive(self._sock)
            if message is None:
                return
            try:
                reply, sent = self._handle(message, descriptors)
            except (OSError, ValueError, KeyError, TypeError) as error:
                reply, sent = {"ev": "failed", "error": f"{type(error).__name__}: {error}"}, []
            _answer(self._sock, reply, sent)
            for descriptor in descriptors + sent:
                os.close(descriptor)

    def _handle(
        self, message: dict[str, object], descriptors: list[int]
    ) -> tuple[dict[str, object], list[int]]:
        operation = message["op"]
        if operation == "ping":
            return {"ev": "pong"}, []
        if operation == "blank":
            name = message["devices"]
            if name is not None and not _NAME.fullmatch(str(name)):
                raise ValueError("a folder of devices has the name of a zygote")
            devices = None if name is None else f"/devices/{name}"
            return {"ev": "blank", "pid": self._blank(descriptors[0], devices)}, []
        if operation == "tmpfs":
            size, inodes, count = message["size"], message["inodes"], message["count"]
            if not (isinstance(size, int) and isinstance(inodes, int) and isinstance(count, int)):
                raise TypeError("size, inodes and count are whole numbers")
            return {"ev": "tmpfs"}, [linux.new_tmpfs(size, inodes) for _ in range(count)]
        if operation in ("bundle", "dependencies"):
            digest = str(message["digest"])
            if not _DIGEST.fullmatch(digest):
                raise ValueError("a digest is 64 hexadecimal digits")
            make = self._root.bundle if operation == "bundle" else self._root.dependencies
            return {"ev": operation}, [make(digest)]
        if operation == "attach":
            self._root.attach(*descriptors)
            return {"ev": "attach"}, []
        raise ValueError(f"unknown operation {operation!r}")

    def _blank(self, descriptor: int, devices: str | None) -> int:
        """Fork a blank zygote that is controlled through `descriptor`; return its init's pid."""
        pid = self._cloner.clone(zygote.BLANK_NAMESPACES)
        if pid:
            return pid
        try:
            self._sock.detach()
            program = keep_only(descriptor, self._first_process)
            # Signals and priorities reach a process group: each sandbox has one of its own.
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # The zygote is not the first process of its pid namespace but the second: an instance
            # is the first of its own, and OpenSSL tells a fork by a changed pid. Forked before all
            # else: the first one keeps a copy of whatever was written to until then.
            child = os.fork()
            if child:
                os.close(instance.SOCKET_FD)
                first_process.wait(child, program)
            if program is not None:
                os.close(program)
            linux.die_with_parent()
            linux.sethostname("function")
            self.rehearsal.once()
            self._root.enter(devices)
            open_own_input()
            rights.give_up_first()
            zygote.Zygote(socket.socket(fileno=instance.SOCKET_FD), self._prepared).run()
        except BaseException as error:  # noqa: BLE001 - a blank that fails must not run on as base
            os.write(2, f"zygote: {type(error).__name__}: {error}\n".encode(errors="replace"))
        os._exit(1)


def _answer(sock: socket.socket, message: dict[str, object], descriptors: list[int]) -> None:
    """Send to the supervisor; end if it went away meanwhile, as at a start that is refused."""
    try:
        control.send(sock, message, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)


def main(control_descriptor: int) -> None:
    """Run the base zygote on the inherited control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Ended by init processes only; SIG_IGN has the kernel reap them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    linux.die_with_parent()
    # Functions are others to what is made here: with the operator's they might see nothing of it.
    os.umask(0o022)
    start_first_thread()
    _warm()
    prepared = zygote.Prepared()
    base = Base(socket.socket(fileno=control_descriptor), prepared)
    abi = linux.landlock_abi()
    instance.rehearse(abi)
    seeding.set_aside()
    with instance.rehearsing_calls() as once:
        unsettled.put_side_by_side(
            once, lambda: instance.rehearse(abi), base.rehearsal.once, _PREPARING
        )
    prepared.look_through_imported()
    gc.collect()
    sharing.make_all_immortal()
    gc.freeze()
    fill_holes()
    _import_beforehand(base.rehearsal, abi)
    base.run()


def _import_beforehand(rehearsal: zygote_rehearsal.Rehearsal, abi: int) -> None:
    """Have all zygotes share what an import writes on: code that is specialised by it, above all.

    After the holes were filled, and with those filled that it leaves: what zygotes and calls make
    lies together as before. What calls run is run last, since the interpreter's table of
    attributes holds what was asked for last.
    """
    for _ in range(_IMPORTS):
        rehearsal.once()
    instance.rehearse(abi)
    gc.collect()
    sharing.make_new_immortal()
    gc.freeze()
    fill_holes()
