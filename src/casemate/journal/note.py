"""Signed notes: a text and who signed it, as C2SP's signed-note writes it, with Ed25519 alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from casemate.journal.errors import JournalInputError

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 32
_ED25519 = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_DASH = "\u2014"
SIGNED = f"{_DASH} ".encode()
"""Begins the last lines of a note."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NEXT = "Give it exactly as the journal wrote it."

Sign = Callable[[bytes], bytes]
"""Returns the Ed25519 signature of a text."""


class NoteKey(msgspec.Struct, frozen=True):
    """A key that signs notes: its name, such as `casemate.example/journal`, and public half."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        """Raise JournalInputError for a name or key that no note can carry."""
        if not self.name or "+" in self.name or any(c.isspace() for c in self.name):
            raise JournalInputError(
                f"The name of a note's key is {self.name!r}, expected one without blank and +.",
                next_step="Give a host name and a path.",
            )
        if len(self.public) != _KEY_BYTES:
            raise JournalInputError(
                f"The public key has {len(self.public)} bytes, expected {_KEY_BYTES}.",
                next_step="Give an Ed25519 key.",
            )

    @property
    def id(self) -> bytes:
        """Return the 4 bytes that signatures name it by."""
        named = self.name.encode() + b"\n" + _ED25519 + self.public
        return hashlib.sha256(named).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """Return it as verifiers take it: `name+id+key`."""
        key = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"


def parse_key(text: str) -> NoteKey:
    """Return the key that `NoteKey.text` wrote. Raises JournalInputError."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:  # also what is not ASCII
        data = b""
    if data[:1] == _ED25519 and len(data) == 1 + _KEY_BYTES:
        key = NoteKey(name, data[1:])
        if key.id.hex() == key_id:
            return key
    raise JournalInputError(
        f"{text[:100]!r} is no key of an Ed25519 note, expected NAME+ID+KEY.",
        next_step="Give it as `casemate journal head` prints it.",
    )


def signed(text: str, key: NoteKey, sign: Sign) -> str:
    """Return the note of a text, which ends with a newline. Raises JournalInputError."""
    return signed_by(text, key, sign(text.encode()))


def signed_by(text: str, key: NoteKey, signature: bytes) -> str:
    """Return the note of a text with a signature that was made elsewhere."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise JournalInputError(
            "The text of a note ends without a newline or holds a control character.",
            next_step="Sign plain lines.",
        )
    encoded = base64.b64encode(key.id + signature).decode()
    return f"{text}\n{_DASH} {key.name} {encoded}\n"


def opened(note: str, key: NoteKey) -> str:
    """Return the text of a note that this key has signed. Raises JournalInputError.

    Signatures of other keys are ignored; one that claims to be of this key has to hold.
    """
    if len(note) > MAX_NOTE_BYTES or _CONTROL.search(note):
        raise JournalInputError(
            "The note is too long or holds control characters.", next_step=_NEXT
        )
    text, found, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not found or lines.pop() != "" or not 0 < len(lines) <= MAX_SIGNATURES:
        raise JournalInputError("The note has no signatures.", next_step=_NEXT)
    text += "\n"
    held = False
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        # One way of writing only: the last letter has bits that decoding leaves out.
        canonical = base64.b64encode(data).decode() == encoded
        if dash != _DASH or not name or len(data) <= _ID_BYTES or not canonical:
            raise JournalInputError("A signature of the note is malformed.", next_step=_NEXT)
        if name != key.name or data[:_ID_BYTES] != key.id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(data[_ID_BYTES:], text.encode())
        except InvalidSignature as error:
            raise JournalInputError(
                f"The signature of {key.name} does not hold.", next_step=_NEXT
            ) from error
        held = True
    if not held:
        raise JournalInputError(f"The note is not signed by {key.name}.", next_step=_NEXT)
    return text
