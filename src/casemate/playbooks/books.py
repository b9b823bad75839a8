"""Playbooks in force: those that come with Casemate, and one's own as the vault has signed them.

What comes with Casemate is vouched for by the program. A file of one's own is in force as its
newest version says, if that is one that the vault has signed, and none is missing after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import NotFoundError
from casemate.model.playbook import Playbook
from casemate.playbooks.errors import PlaybookError, TakenError, UnverifiedError
from casemate.playbooks.reading import digest_of, read_playbook
from casemate.playbooks.shipped import SHIPPED
from casemate.playbooks.versions import Change, History, Ledger, Signer, Version
from casemate.store.errors import StoreMovedError
from casemate.store.interface import Store
from casemate.store.parts import Parts
from casemate.store.value import KeptValue

MAX_PLAYBOOKS = 128
MAX_NAMES = 256
"""Of which versions are kept: with those that are removed."""
MAX_TOLD = 1024
"""Of what is not believed, that is not told once more."""
_TRIES = 8
"""How often something is written anew, if other nodes write it at the same time."""
_LOOKS = 3
"""How often what does not fit is read again: another node may be writing it."""
_LOOK_SECONDS = 0.1
_decode_ledger = msgspec.json.Decoder(decodable(Ledger)).decode


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file of one's own as nodes of a release before versions read it: nothing acts by it."""

    name: str
    text: str
    changed_at: float
    changed_by: str


class Book(NamedTuple):
    """A playbook in force, or one that is refused."""

    name: str
    text: str
    playbook: Playbook | None
    """None: the file cannot be read, or is not vouched for."""
    problem: str
    changed_at: float
    """0: it came with Casemate."""
    changed_by: str
    version: int = 0
    """0: it came with Casemate, or nobody knows."""
    unverified: str = ""
    """Why something that is kept of it is not believed; empty: nothing is."""

    @property
    def digest(self) -> str:
        """By which the text is told from others."""
        return digest_of(self.text)

    @property
    def shipped(self) -> bool:
        """Whether it came with Casemate: then the program vouches for it."""
        return self.text == SHIPPED.get(self.name) and not self.version


class _Judged(NamedTuple):
    """What is kept of a playbook of one's own."""

    newest: Version | None
    problem: str
    """Why it is not in force; empty: it is, or is removed."""
    stray: str = ""
    """Why a row beside it is not believed, which nothing acts by."""

    @property
    def removed(self) -> bool:
        return not self.problem and self.newest is not None and self.newest.change is Change.REMOVE


def _book(name: str, version: Version, unverified: str = "") -> Book:
    found = _read(name, version.text)
    return found._replace(
        changed_at=version.at,
        changed_by=version.by,
        version=version.version,
        unverified=unverified,
    )


def _read(name: str, text: str) -> Book:
    try:
        return Book(name, text, read_playbook(text.encode(), f"{name}.toml"), "", 0.0, "")
    except PlaybookError as error:
        return Book(name, text, None, error.message, 0.0, "")


_SHIPPED = {name: _read(name, text) for name, text in SHIPPED.items()}


class Books:
    """All playbooks. On one event loop only; changes wait for each other."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        refused: Callable[[str, int, str], None],
        taken_over: Callable[[str, Version], None],
    ) -> None:
        """Keep one's own in `store`, signed by `signer`.

        `refused` is told once of what is not believed: name, version (0: unknown) and why;
        `taken_over` of what was there before versions were signed.
        """
        self._signer = signer
        self._refused = refused
        self._taken_over = taken_over
        self._copies = Parts(store, "playbooks", Kept, lambda one: one.name)
        self._histories = Parts(store, "playbook versions", History, lambda one: one.name)
        self._ledger = KeptValue(store, "playbook ledger")
        self._known: Ledger | None = None
        """The newest that was verified."""
        self._seen: dict[str, int] = {}
        """The newest version of each that was."""
        self._good: set[tuple[str, Version]] = set()
        self._judged: dict[str, _Judged] = {}
        self._told: set[tuple[str, int, str]] = set()
        self._books: dict[str, Book] = dict(_SHIPPED)
        self._lock = asyncio.Lock()

    # -- reading -----------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read and verify them; at any time. Raises StoreError, VaultError: then what was known is
        known still.
        """
        async with self._lock:
            judged: dict[str, _Judged] = {}
            for look in range(_LOOKS):
                judged = await self._read_all()
                if look == _LOOKS - 1 or not self._news(judged):
                    break
                await asyncio.sleep(_LOOK_SECONDS)
            self._judged = judged
            self._good = {
                (name, one.newest)
                for name, one in judged.items()
                if one.newest is not None and not one.problem
            }
            for news in self._news(judged):
                self._tell(*news)
            self._renew()

    def _tell(self, name: str, version: int, problem: str) -> None:
        if (name, version, problem) not in self._told:
            if len(self._told) >= MAX_TOLD:
                self._told.clear()
            self._told.add((name, version, problem))
            self._refused(name, version, problem)

    def _news(self, judged: dict[str, _Judged]) -> list[tuple[str, int, str]]:
        """Return what is not believed and was not told yet."""
        found = [
            (name, one.newest.version if one.newest is not None else 0, why)
            for name, one in judged.items()
            for why in (one.problem, one.stray)
            if why
        ]
        return [each for each in found if each not in self._told]

    async def _read_all(self) -> dict[str, _Judged]:
        # In the order opposite to that of writing, so that what is read later is no older.
        ledger, fault = await self._read_ledger()
        await self._copies.load()
        await self._histories.load()
        if ledger is None and not fault and await self._may_take_over():
            ledger = await self._take_over()
        if ledger is not None:
            self._known = ledger
        floors = {} if ledger is None else ledger.newest
        names = sorted({*floors, *self._histories.held, *self._copies.held})
        return {name: await self._judge(name, floors, fault) for name in names}

    async def _read_ledger(self) -> tuple[Ledger | None, str]:
        """Return the list of newest versions, or None and why it is not believed."""
        stored = await self._ledger.read()
        if stored is None:
            return None, "" if self._known is None else "the list of newest versions is gone"
        fault = "the list of newest versions is not what the vault has signed"
        try:
            ledger = _decode_ledger(stored)
        except DECODING_ERRORS:
            return None, fault
        if not await self._signer.verify_playbook(ledger.statement(), ledger.signature):
            return None, fault
        if self._known is not None and ledger.number < self._known.number:
            return None, "the list of newest versions is an older one"
        return ledger, ""

    async def _judge(self, name: str, floors: dict[str, int], fault: str) -> _Judged:
        history, copy = self._histories.held.get(name), self._copies.held.get(name)
        newest = None if history is None else history.newest
        stray = ""
        if copy is not None and (history is None or not history.has_text(copy.text)):
            stray = "a row of it has no signature"
        least = max(floors.get(name, 0), self._seen.get(name, 0))
        if newest is None:
            if least:
                return _Judged(None, f"version {least} of it was signed, and is gone", stray)
            return _Judged(None, "", stray)
        if not await self._verified(name, newest):
            return _Judged(newest, "it is not what the vault has signed", stray)
        if fault or name not in floors:
            return _Judged(newest, fault or "it is not in the list of newest versions", stray)
        if newest.version < least:
            was = f"version {least} of it was signed, and version {newest.version} is put back"
            return _Judged(newest, was, stray)
        self._seen[name] = newest.version
        return _Judged(newest, "", stray)

    async def _verified(self, name: str, version: Version) -> bool:
        if (name, version) in self._good:
            return True
        return await self._signer.verify_playbook(version.statement(name), version.signature)

    # -- from before versions ----------------------------------------------------------------------

    async def _may_take_over(self) -> bool:
        """Tell whether this is the first start of a release that signs, or its rest."""
        for name, history in self._histories.held.items():
            for one in history.versions:
                if one.change is not Change.TAKE_OVER or not await self._verified(name, one):
                    return False
        return True

    async def _take_over(self) -> Ledger:
        """Sign what is there from before versions were signed, once."""
        taken: dict[str, Version] = {}
        for name, copy in self._copies.held.items():
            version = await self._signed(
                name, 1, Change.TAKE_OVER, copy.text, copy.changed_at, copy.changed_by
            )
            new = History(name=name, versions=(version,))
            history = await self._histories.update(name, lambda known, new=new: known or new)  # type: ignore[misc]
            if history is new:
                taken[name] = version
        newest = {name: one.versions[-1].version for name, one in self._histories.held.items()}
        ledger = await self._list(newest)
        for name, version in taken.items():
            self._taken_over(name, version)
        return ledger

    # -- what is in force --------------------------------------------------------------------------

    def _renew(self) -> None:
        found = dict(_SHIPPED)
        for name, one in self._judged.items():
            if one.problem:
                found[name] = self._refused_book(name, one)
            elif one.newest is not None and not one.removed:
                found[name] = _book(name, one.newest, one.stray)
            elif one.stray:
                shipped = _SHIPPED.get(name)
                found[name] = (
                    self._refused_book(name, one._replace(problem=one.stray))
                    if shipped is None
                    else shipped._replace(unverified=one.stray)
                )
        self._books = dict(sorted(found.items()))

    def _refused_book(self, name: str, one: _Judged) -> Book:
        version = None if one.removed else one.newest
        if version is None:
            version = Version(version=0, change=Change.PUT, text="", at=0.0, by="")
        return Book(
            name, version.text, None, one.problem, version.at, version.by,
            version.version, one.problem,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Book]:
        """Yield all, by name."""
        return iter(self._books.values())

    def get(self, name: str) -> Book | None:
        """Return one."""
        return self._books.get(name)

    def is_own(self, name: str) -> bool:
        """Tell whether something of one's own is kept under a name, believed or not."""
        one = self._judged.get(name)
        return name in self._copies.held or (one is not None and not one.removed)

    async def require(self, book: Book) -> None:
        """Have the vault verify a playbook once more, before it acts.

        Raises UnverifiedError, TakenError if it was changed since, VaultError.
        """
        if book.shipped:
            return
        one = self._judged.get(book.name)
        version = None if one is None or one.problem else one.newest
        if version is not None and (version.version, version.text) != (book.version, book.text):
            raise TakenError(f"{book.name} was changed a moment ago.", next_step="Try again.")
        if version is not None and await self._signer.verify_playbook(
            version.statement(book.name), version.signature
        ):
            return
        problem = book.unverified or "it is not what the vault has signed"
        if version is not None:
            self._good.discard((book.name, version))
        self._tell(book.name, book.version, problem)
        raise UnverifiedError(book.name, problem)

    # -- versions ----------------------------------------------------------------------------------

    async def versions(self, name: str) -> list[tuple[Version, bool]]:
        """Return what versions are kept of a playbook, the newest first, and whether each is one
        that the vault has signed. Raises NotFoundError, VaultError.
        """
        history = self._histories.held.get(name)
        if history is None:
            raise NotFoundError(
                f"There is no version of {name[:64]}: what comes with Casemate has none.",
                next_step="`casemate playbook ls` shows what there is.",
            )
        signer = self._signer
        return [
            (one, await signer.verify_playbook(one.statement(name), one.signature))
            for one in reversed(history.versions)
        ]

    async def version(self, name: str, number: int) -> tuple[Version, bool]:
        """Return one of them, and whether the vault has signed it. Raises NotFoundError."""
        history = self._histories.held.get(name)
        found = None if history is None else history.get(number)
        if found is None:
            raise NotFoundError(
                f"There is no version {number} of {name[:64]}.",
                next_step=f"`casemate playbook history {name[:64]}` shows the kept versions.",
            )
        signed = await self._signer.verify_playbook(found.statement(name), found.signature)
        return found, signed

    def require_room(self, name: str) -> None:
        """Raise PlaybookError if there may be no more."""
        if name not in self._books and len(self._books) >= MAX_PLAYBOOKS:
            raise PlaybookError(
                f"There are {MAX_PLAYBOOKS} playbooks already, which is the most.",
                next_step="Remove one: casemate playbook rm NAME",
            )

    # -- changing ----------------------------------------------------------------------------------

    def next_version(self, name: str) -> int:
        """Return which version the next change makes, as far as this node knows."""
        history = self._histories.held.get(name)
        known = 0
        if self._known is not None:
            known = self._known.newest.get(name, self._known.forgotten)
        kept = [] if history is None else [one.version for one in history.versions]
        return max(known, self._seen.get(name, 0), *kept, 0) + 1

    async def put(self, name: str, text: str, at: float, by: str) -> None:
        """Have a file in force, as a new version. Whoever calls has read it."""
        async with self._lock:
            await self._add(name, Change.PUT, text, at, by)
            await self._copies.put(Kept(name=name, text=text, changed_at=at, changed_by=by))
            self._renew()

    async def drop(self, name: str, at: float, by: str) -> None:
        """Have a file of one's own in force no more, which is a version as well."""
        async with self._lock:
            await self._add(name, Change.REMOVE, "", at, by)
            await self._copies.drop((name,))
            self._renew()

    async def _signed(
        self, name: str, number: int, change: Change, text: str, at: float, by: str
    ) -> Version:
        bare = Version(version=number, change=change, text=text, at=at, by=by)
        signature = await self._signer.sign_playbook(bare.statement(name))
        return replace(bare, signature=signature)

    async def _add(self, name: str, change: Change, text: str, at: float, by: str) -> None:
        for _ in range(_TRIES):
            was = self._histories.held.get(name)
            version = await self._signed(name, self.next_version(name), change, text, at, by)
            history = (was or History(name=name, versions=())).with_newest(version)
            try:
                await self._histories.update(name, lambda known: _instead(was, known, history))  # noqa: B023
            except _ChangedError:
                continue  # another node has changed it; now that is known here
            break
        else:
            raise StoreMovedError(
                "Other nodes change the playbooks all the time.", next_step="Try again."
            )
        await self._note(name, version)
        self._seen[name] = version.version
        self._good.add((name, version))
        self._judged[name] = _Judged(version, "")

    async def _note(self, name: str, version: Version) -> None:
        """Have it listed as the newest; forget what was removed the longest ago beyond the bound.

        Where the list is not believed it goes on from the one that was last; where this process has
        known none, a new one begins with this playbook alone, and the others are refused until
        somebody puts them again.
        """
        for _ in range(_TRIES):
            ledger, _fault = await self._read_ledger()
            self._known = ledger or self._known
            newest = {} if self._known is None else dict(self._known.newest)
            forgotten = 0 if self._known is None else self._known.forgotten
            newest[name] = max(version.version, newest.get(name, 0))
            for each in self._beyond(newest):
                forgotten = max(forgotten, newest.pop(each))
                self._judged.pop(each, None)
                self._seen.pop(each, None)
                await self._histories.drop((each,))
            try:
                await self._write_ledger(newest, forgotten)
            except StoreMovedError:
                continue
            return
        raise StoreMovedError(
            "Other nodes change the playbooks all the time.", next_step="Try again."
        )

    def _beyond(self, newest: dict[str, int]) -> list[str]:
        removed = [
            (one.newest.at, name)
            for name, one in self._judged.items()
            if one.removed and one.newest is not None and name in newest
        ]
        return [name for _, name in sorted(removed)[: max(0, len(newest) - MAX_NAMES)]]

    async def _list(self, newest: dict[str, int]) -> Ledger:
        """Write the first list; another node's is as good."""
        try:
            return await self._write_ledger(newest)
        except StoreMovedError:
            ledger, fault = await self._read_ledger()
            if ledger is None or fault:
                raise
            return ledger

    async def _write_ledger(self, newest: dict[str, int], forgotten: int = 0) -> Ledger:
        number = 1 if self._known is None else self._known.number + 1
        bare = Ledger(number=number, newest=newest, forgotten=forgotten)
        signature = await self._signer.sign_playbook(bare.statement())
        ledger = replace(bare, signature=signature)
        await self._ledger.write(msgspec.json.encode(ledger))
        self._known = ledger
        return ledger


class _ChangedError(Exception):
    """Another node has changed a playbook meanwhile."""


def _instead(was: History | None, known: History | None, wanted: History) -> History:
    if known != was:
        raise _ChangedError
    return wanted
