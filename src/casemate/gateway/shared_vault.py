"""The gateway's part in a vault that nodes share: it asks the database for what the vault asks.

It opens nothing of it. The database decides which of two nodes was first.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final, assert_never

from casemate.child.calls import refusal, reply
from casemate.child.channel import ENDED, FrameSocket
from casemate.model.errors import CasemateError
from casemate.nodes import Part
from casemate.store.errors import StoreCommitUnsureError, StoreCorruptError
from casemate.store.postgresql.schema import VAULT_TOPIC
from casemate.store.shared_vault import StateChange, StoredFile, StoredState, VaultRows
from casemate.vault import VaultClient, VaultUnavailableError
from casemate.vault import shared_protocol as asked
from casemate.vault.errors import VaultUnsureError
from casemate.vault.folder import MAX_FILE

STORE_SECONDS: Final = 9.0
"""How long the database may take; the vault gives the gateway up a little later."""
MAX_QUESTIONS: Final = 4
_log = logging.getLogger(__name__)
Question = asked.GetState | asked.GetFiles | asked.KeepFiles | asked.ChangeVault


class VaultKeeper:
    """Answers the vault. In the event loop's thread only."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        rows: VaultRows,
        *,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Answer what comes on the connected stream socket `sock` from `rows`.

        `lost` is called if the vault asks no more: without it no change comes here.
        """
        self._rows = rows
        self._lost = lost
        self._loop = loop
        self._answering: set[asyncio.Task[None]] = set()
        self._socket = FrameSocket(
            sock, loop, asked.KEEPING, received=self._received, ended=self._ended
        )

    def close(self) -> None:
        """Answer nothing more."""
        self._socket.close()
        for task in self._answering:
            task.cancel()

    def _ended(self, why: str) -> None:
        if why != ENDED:
            _log.error("the vault is answered no more: %s", why)
        self._lost()

    def _received(self, body: bytes) -> None:
        question = asked.decode_question(body)
        if len(self._answering) >= MAX_QUESTIONS:
            raise ValueError("too many questions")
        task = self._loop.create_task(self._answer(question))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, question: Question) -> None:
        error: VaultUnavailableError
        try:
            async with asyncio.timeout(STORE_SECONDS):
                found = await self._asked(question)
        except TimeoutError:
            kind = VaultUnavailableError
            if isinstance(question, asked.ChangeVault):
                kind = VaultUnsureError
            error = kind(
                f"The cluster's database has not answered within {STORE_SECONDS:g} s.",
                next_step="See that it runs, and try again.",
            )
        except StoreCommitUnsureError as unsure:
            error = VaultUnsureError(unsure.message, next_step=unsure.next_step)
        except CasemateError as refused:
            error = VaultUnavailableError(
                f"The vault is shared by nodes, and their database fails: {refused.message}",
                next_step=refused.next_step,
            )
        except Exception as fault:  # noqa: BLE001 - whatever it is, the vault must not wait for it
            _log.error("a fault in what the vault asks for: %s", type(fault).__name__)
            kind = VaultUnavailableError
            if isinstance(question, asked.ChangeVault):
                kind = VaultUnsureError
            error = kind(
                "The gateway could not ask the cluster's database because of a fault of its own.",
                next_step="Report it.",
            )
        else:
            self._socket.send(reply(question.n, found))
            return
        self._socket.send(refusal(question.n, asked.ERRORS.failure(error)))

    async def _asked(self, question: Question) -> object:
        rows = self._rows
        match question:
            case asked.GetState():
                state = await rows.state(question.known)
                if state is None:
                    return None
                _require_size("state's digest", state.digest, hashlib.sha256().digest_size)
                _require_size("state", state.content, MAX_FILE)
                return asked.StateFound(*state)
            case asked.GetFiles():
                files = await rows.files(question.names)
                for content in files:
                    _require_size("secret", content or b"", asked.MAX_SECRET_FILE)
                return files
            case asked.KeepFiles():
                await rows.keep_files([StoredFile(*file) for file in question.files])
                return None
            case asked.ChangeVault():
                digest = hashlib.sha256(question.content).digest()
                change = StateChange(
                    question.expected,
                    question.generation,
                    StoredState(digest, question.content),
                    [StoredFile(*file) for file in question.added],
                    question.removed,
                )
                return await rows.change(change)
            case _:
                assert_never(question)


def _require_size(what: str, content: bytes, most: int) -> None:
    """Refuse what the vault would take for no answer, and give up whoever gave it."""
    if len(content) > most:
        raise StoreCorruptError(
            f"A {what} of the vault in the database has {len(content)} bytes, expected at most "
            f"{most}.",
            next_step="Somebody has changed it: bring the database back from a backup.",
        )


def vault_part(vault: VaultClient, use_keys: Callable[[], Awaitable[None]]) -> Part:
    """Return what is followed: another node's change of the vault is taken by this node's.

    `use_keys` then has what is stored encrypted with the newest keys.
    """

    async def take() -> None:
        await vault.follow()
        await use_keys()

    return Part(name="the vault", topics=frozenset({VAULT_TOPIC}), reload=take)
