"""Signed notes, checkpoints and proofs: what was signed opens, and nothing else does."""

from __future__ import annotations

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from casemate.journal.checkpoint import Checkpoint, opened_checkpoint
from casemate.journal.errors import JournalInputError
from casemate.journal.note import NoteKey, opened, parse_key, signed
from casemate.journal.proof import Proof, parse_proof
from support.journal import KEY, PRIVATE

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
# The example of the specification (public key: golang.org/x/mod/sumdb/note's PeterNeumann).
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_of_another_program_opens() -> None:
    text = opened(NEUMANN, parse_key(PETER))
    assert text.endswith("what your problem is.\n")
    assert parse_key(PETER).text == PETER


def test_a_signed_text_opens() -> None:
    note = signed("one\n\ntwo\n", KEY, PRIVATE.sign)
    assert opened(note, KEY) == "one\n\ntwo\n"
    assert opened_by_name(note) == KEY.name


def opened_by_name(note: str) -> str:
    return note.splitlines()[-1].split(" ")[1]


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_note_does_not_open(at: int, change: int) -> None:
    data = bytearray(signed("origin\n12\nroot\n", KEY, PRIVATE.sign).encode())
    at %= len(data)
    data[at] ^= change
    try:
        note = data.decode()
    except UnicodeDecodeError:
        return
    # What is left of the base64 may differ in bits that mean nothing: those are refused as well.
    with pytest.raises(JournalInputError):
        opened(note, KEY)


def test_a_signature_has_one_way_of_being_written() -> None:
    note = signed("text\n", KEY, PRIVATE.sign)
    assert note.endswith("=\n")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = note[-3]
    other = letters[letters.index(last) ^ 1]
    with pytest.raises(JournalInputError, match="malformed"):
        opened(f"{note[:-3]}{other}=\n", KEY)


def test_who_else_signed_does_not_matter() -> None:
    note = signed("text\n", KEY, PRIVATE.sign)
    foreign = NoteKey("elsewhere.test", OTHER.public_key().public_bytes_raw())
    line = signed("text\n", foreign, OTHER.sign).splitlines()[-1]
    assert opened(f"{note}{line}\n", KEY) == "text\n"
    with pytest.raises(JournalInputError, match="not signed by"):
        opened(note, foreign)


def test_a_signature_in_a_name_that_is_not_its_own_is_refused() -> None:
    note = signed("text\n", KEY, PRIVATE.sign)
    forged = base64.b64encode(KEY.id + OTHER.sign(b"text\n")).decode()
    with pytest.raises(JournalInputError, match="does not hold"):
        opened(f"{note}\u2014 {KEY.name} {forged}\n", KEY)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "text\n\n", "text\n\nname sig\n", f"text\n\n\u2014 {KEY.name}\n", "x" * 70_000],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(JournalInputError):
        opened(text, KEY)


@pytest.mark.parametrize("text", ["no newline", "a\x1b[0m\n", "a\r\n"])
def test_what_no_note_may_hold_is_not_signed(text: str) -> None:
    with pytest.raises(JournalInputError):
        signed(text, KEY, PRIVATE.sign)


@pytest.mark.parametrize("text", ["", "a+b", PETER[:-4], PETER.replace("c74f", "c74e"), "a+b+c+d"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(JournalInputError):
        parse_key(text)


def test_a_checkpoint_opens() -> None:
    head = Checkpoint(KEY.name, 20852163, bytes(range(32)))
    note = head.signed(KEY, PRIVATE.sign)
    assert note.splitlines()[:2] == [KEY.name, "20852163"]
    assert opened_checkpoint(note, KEY) == head


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY.name}\n1\n",
        f"{KEY.name}\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n\u0661\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n{10**17}\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{KEY.name}\n1\n***\n",
        f"{KEY.name}\n1\n\u00e9{base64.b64encode(bytes(32)).decode()}\n",
        f"elsewhere.test\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{KEY.name}\n\n1\n{base64.b64encode(bytes(32)).decode()}\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_this_journal_is_refused(text: str) -> None:
    with pytest.raises(JournalInputError):
        opened_checkpoint(signed(text, KEY, PRIVATE.sign), KEY)


def test_a_proof_is_read_as_it_was_written() -> None:
    note = Checkpoint(KEY.name, 3, bytes(32)).signed(KEY, PRIVATE.sign)
    proof = Proof(2, (bytes(range(32)), bytes(32)), note)
    assert parse_proof(proof.text) == proof
    extra = proof.text.replace("index", "extra eA==\nindex", 1)
    assert parse_proof(extra) == proof


@given(st.text(max_size=300))
def test_any_text_is_a_proof_or_refused(text: str) -> None:
    for candidate in (text, f"c2sp.org/tlog-proof@v1\nindex {text}\n\nnote"):
        with contextlib.suppress(JournalInputError):
            parse_proof(candidate)
