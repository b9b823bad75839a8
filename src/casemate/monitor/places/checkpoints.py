"""All second places of a node: made before the monitor gives up its rights, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from casemate.monitor.consumers import Happened
from casemate.monitor.places.kept_file import KeptFile
from casemate.monitor.places.posting import LoggedAt, PostedTo
from casemate.monitor.places.s3 import S3Objects
from casemate.monitor.places.sending import GetHead, Place, Remembered, Send
from casemate.monitor.places.settings import FilePlace, S3Place, WebhookPlace
from casemate.monitor.places.settings import Place as Settings
from casemate.monitor.protocol import PlaceState
from casemate.monitor.reaching import Reach
from casemate.vault.monitor_client import MonitorVault

PLACES = 2000
"""From where on they are told apart, for `Reach`."""
REOPEN_SECONDS = 300.0
"""A file that fails for as long is opened anew, by a monitor that still has the rights to."""
_LOOK_SECONDS = 5.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Remembered]).decode


class Checkpoints:
    """Sends the journal's checkpoints to all of them."""

    name = "checkpoints"

    def __init__(self, places: Sequence[Place], files: frozenset[str] = frozenset()) -> None:
        """Send to these; `files` are those that only another monitor could open anew."""
        self.places = tuple(places)
        self._files = files

    def take(self, _batch: Sequence[Happened]) -> None:
        """See nothing: heads are asked for."""

    def remembered(self) -> bytes:
        """Return what was sent where."""
        return _encode({each.name: each.remembered() for each in self.places})

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered; places that are gone are left out. ValueError."""
        found = _decode(data)
        for each in self.places:
            if each.name in found:
                each.recall(found[each.name])

    def on_change(self, changed: Callable[[], None]) -> None:
        """Tell `changed` when there is something new to remember."""
        for each in self.places:
            each.changed = changed

    def states(self) -> tuple[PlaceState, ...]:
        """Return how each is."""
        return tuple(each.state for each in self.places)

    def problems(self) -> Iterable[str]:
        """Yield which places do not take checkpoints, and why."""
        for each in self.places:
            if each.problem:
                yield f"checkpoints do not arrive at {each.name}: {each.problem}"

    async def run(self, head: GetHead) -> None:
        """Send for ever; ends where a file has to be opened anew."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.run(head)) for each in self.places]
            while not self._is_to_reopen():  # noqa: ASYNC110 - time alone tells of it
                await asyncio.sleep(_LOOK_SECONDS)
            for task in tasks:
                task.cancel()

    def _is_to_reopen(self) -> bool:
        return any(
            each.failing_for >= REOPEN_SECONDS for each in self.places if each.name in self._files
        )


class Places:
    """Makes what the settings name."""

    def __init__(self, settings: Mapping[str, Settings], own_folder: int) -> None:
        """Open the files, with the rights that there still are."""
        self._settings = settings
        self._files = {
            name: KeptFile(each, own_folder)
            for name, each in settings.items()
            if isinstance(each, FilePlace)
        }

    def checkpoints(self, reach: Reach | None, vault: MonitorVault, node: str) -> Checkpoints:
        """Return what sends to them."""
        places = [
            Place(name, each.every, self._send(number, name, each, reach, vault, node))
            for number, (name, each) in enumerate(self._settings.items(), PLACES)
        ]
        return Checkpoints(places, frozenset(self._files))

    def _send(
        self,
        number: int,
        name: str,
        settings: Settings,
        reach: Reach | None,
        vault: MonitorVault,
        node: str,
    ) -> Send:
        if isinstance(settings, FilePlace):
            return self._files[name].send
        if reach is None:
            raise RuntimeError("there is a place, and no way to it")
        if isinstance(settings, WebhookPlace):
            return PostedTo(settings, reach, number, node, vault.sign_hmac).send
        if isinstance(settings, S3Place):
            return S3Objects(settings, reach, number, vault.password).send
        return LoggedAt(settings, reach, number, node).send
