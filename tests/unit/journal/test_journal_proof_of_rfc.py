"""Proofs hold for who has read RFC 6962 and C2SP's texts alone: nothing of ours verifies them here.

The same files are taken by golang.org/x/mod/sumdb (`note.Open`, `tlog.CheckRecord`).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from casemate.journal.reader import Reader
from support.journal import KEY, entry, write_journal


def _key_of(text: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Read a verifier key (C2SP signed-note): name, id, and the key behind a byte for Ed25519."""
    name, key_id, encoded = text.split("+", 2)
    kind_and_key = base64.b64decode(encoded)
    assert kind_and_key[0] == 1
    assert hashlib.sha256(name.encode() + b"\n" + kind_and_key).hexdigest()[:8] == key_id
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(kind_and_key[1:])


def _head_of(checkpoint: str, key: str) -> tuple[int, bytes]:
    """Read a checkpoint (C2SP tlog-checkpoint) whose signature holds."""
    name, key_id, public = _key_of(key)
    text, signatures = checkpoint.split("\n\n")
    for line in signatures.splitlines():
        dash, signer, encoded = line.split(" ")
        signature = base64.b64decode(encoded)
        if (dash, signer, signature[:4]) == ("\u2014", name, key_id):
            public.verify(signature[4:], f"{text}\n".encode())
            break
    else:
        pytest.fail("not signed by this key")
    origin, size, root = text.split("\n")[:3]
    assert origin == name
    return int(size), base64.b64decode(root)


def _root_by(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that an audit path leads to: RFC 6962, 2.1.1, from the top down."""
    if size == 1:
        assert not path
        return hashlib.sha256(b"\0" + leaf).digest()
    split = 1 << ((size - 1).bit_length() - 1)
    if index < split:
        left, right = _root_by(leaf, index, split, path[:-1]), path[-1]
    else:
        left, right = path[-1], _root_by(leaf, index - split, size - split, path[:-1])
    return hashlib.sha256(b"\1" + left + right).digest()


def _holds(proof: str, leaf: bytes, key: str) -> bool:
    head, checkpoint = proof.split("\n\n", 1)
    first, second, *hashes = head.split("\n")
    assert first == "c2sp.org/tlog-proof@v1"
    index = int(second.removeprefix("index "))
    size, root = _head_of(checkpoint, key)
    return _root_by(leaf, index, size, [base64.b64decode(each) for each in hashes]) == root


@pytest.mark.parametrize("size", [1, 2, 3, 7, 255, 256, 257, 700])
def test_a_proof_holds_for_who_has_read_the_texts(tmp_path: Path, size: int) -> None:
    write_journal(tmp_path, [size]).close()
    reader = Reader(tmp_path, KEY)
    for index in {0, size // 3, size // 2, size - 1}:
        text = reader.proof(index).text
        assert _holds(text, entry(index), KEY.text)
        assert not _holds(text, entry(index) + b"x", KEY.text)
        with pytest.raises(InvalidSignature):
            _holds(text.replace(f"\n{size}\n", f"\n{size + 1}\n"), entry(index), KEY.text)
