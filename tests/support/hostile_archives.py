"""Tar archives that no honest tool would write, made header by header; none takes long to make."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib

WHEEL = b"casemate-2.0.0-py3-none-any.whl"
END = bytes(1024)
_KINDS = {
    "hard link": b"1", "symlink": b"2", "character device": b"3", "block device": b"4",
    "folder": b"5", "fifo": b"6", "contiguous": b"7", "unknown": b"Z", "dump": b"D",
    "continued": b"M", "sparse": b"S", "volume": b"V",
}  # fmt: skip
_NAMES = {
    "climb": b"../x.whl", "absolute": b"/tmp/x.whl", "dot": b".", "root": b"/", "none": b"",
    "zero": b"a\0b.whl", "line": b"a\n.whl", "backslash": b"..\\x.whl",
    "other case": b"CASEMATE-2.0.0-py3-none-any.whl", "no text": b"\xff\xfe.whl",
    "climb behind a dot": b"./../x.whl", "star": b"*.whl", "statement": b"release.json",
}  # fmt: skip
_NOTES = {
    "size below nothing": [(b"size", b"-512")],
    "size of 4000 digits": [(b"size", b"9" * 4000)],
    "another size": [(b"size", b"1000000000")],
    "climb": [(b"path", b"../../tmp/zq")],
    "long path": [(b"path", b"a" * 65536)],
    "path with a zero": [(b"path", WHEEL + b"\0/../../x")],
    "time that is none": [(b"mtime", b"nan")],
    "endless time": [(b"mtime", b"1e999")],
    "owner of 4000 digits": [(b"uid", b"1" * 4000)],
    "bytes": [(b"hdrcharset", b"BINARY"), (b"path", b"\xff\xfe")],
    "attributes": [(b"SCHILY.xattr.security.capability", b"\x01\0\0\x02")],
    "sparse 0.0": [(b"GNU.sparse.size", b"5000000000"), (b"GNU.sparse.offset", b"0"),
                   (b"GNU.sparse.numbytes", b"1")],
    "sparse 0.1": [(b"GNU.sparse.size", b"5000000000"), (b"GNU.sparse.map", b"0,0")],
    "sparse 1.0": [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                   (b"GNU.sparse.name", WHEEL), (b"GNU.sparse.realsize", b"9000000000000")],
}  # fmt: skip
_RAW_NOTES = {
    "length beyond": b"999999999999999999 path=a\n",
    "no length": b"0 path=a\n",
    "length below nothing": b"-5 path=a\n",
    "digits alone": b"1" * 60_000,
    "many": b"6 a=b\n" * 10_000,
}


def header(
    name: bytes = WHEEL,
    size: int | bytes = 0,
    kind: bytes = b"0",
    *,
    mode: bytes = b"0000644\0",
    link: bytes = b"",
    prefix: bytes = b"",
    magic: bytes = b"ustar\00000",
    checksum: bytes = b"",
) -> bytes:
    """Return a header whose checksum is right unless another is given."""
    told = size if isinstance(size, bytes) else b"%011o\0" % size
    block = b"".join((
        name[:100].ljust(100, b"\0"), mode, b"0000000\0", b"0000000\0", told, b"%011o\0" % 0,
        b" " * 8, kind, link.ljust(100, b"\0"), magic, bytes(32), bytes(32), bytes(16),
        prefix.ljust(155, b"\0"), bytes(12),
    ))  # fmt: skip
    return block[:148] + (checksum or b"%06o\0 " % sum(block)) + block[156:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def note(*pairs: tuple[bytes, bytes], kind: bytes = b"x", raw: bytes = b"") -> bytes:
    """Return a pax header with attributes, or with what stands in their place."""
    data = raw or b"".join(_pair(*each) for each in pairs)
    return header(b"pax", len(data), kind) + padded(data)


def _pair(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    size = len(rest) + 1
    while len(rest) + len(str(size)) != size:
        size = len(rest) + len(str(size))
    return str(size).encode() + rest


def wide(number: int) -> bytes:
    """Return a size as GNU writes those that octal digits do not hold, and negative ones."""
    sign = b"\x80" if number >= 0 else b"\xff"
    return sign + (number & ((1 << 88) - 1)).to_bytes(11, "big")


def _sparse(extended: bool) -> bytes:
    block = bytearray(header(WHEEL, 3, b"S", magic=b"ustar  \0"))
    block[386:410] = b"%011o\0%011o\0" % (0, 3)
    block[482] = extended
    block[483:495] = b"%011o\0" % (8 * (1 << 30) - 1)
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    return bytes(block)


def tars() -> dict[str, bytes]:
    """Return hostile archives by what is wrong with them."""
    file = header(WHEEL, 3) + padded(b"abc")
    found = {
        f"kind {name}": header(WHEEL, size, kind, link=b"/etc/passwd") + bytes(1024) + END
        for name, kind in _KINDS.items()
        for size in (0, 600)
    }
    found |= {f"name {k}": header(n, 3) + padded(b"abc") + END for k, n in _NAMES.items()}
    found |= {f"note {k}": note(*pairs) + file + END for k, pairs in _NOTES.items()}
    found |= {f"note {k}": note(raw=raw) + file + END for k, raw in _RAW_NOTES.items()}
    long = header(b"././@LongLink", 32, b"L") + padded(WHEEL + b"\0")
    far = wide(1 << 50)
    more = bytearray(512)
    more[504] = 1
    return found | {
        "climbing prefix": header(b"x.whl", 3, prefix=b"../..") + padded(b"abc") + END,
        "set user id": header(WHEEL, 3, mode=b"0006755\0") + padded(b"abc") + END,
        "size below nothing": header(WHEEL, wide(-512)) + END,
        "size of minus one": header(WHEEL, wide(-1)) + END,
        "far beyond the end": header(WHEEL, wide(1 << 60)) + END,
        "8 GiB": header(WHEEL, b"77777777777\0") + END,
        "size of letters": header(WHEEL, b"zzzzzzzzzzz\0") + END,
        "size with a sign": header(WHEEL, b"-0000001000\0") + END,
        "wrong checksum": header(WHEEL, 0, checksum=b"000000\0 ") + END,
        "folder below nothing": header(b"./", wide(-512), b"5") + END,
        "notes before notes": note((b"path", WHEEL)) * 3000 + file + END,
        "notes for all": note((b"comment", b"x"), kind=b"g") * 3000 + file + END,
        "long names before long names": long * 3000 + file + END,
        "long name far beyond": header(b"././@LongLink", far, b"L") + END,
        "note far beyond": header(b"pax", far, b"x") + END,
        "note below nothing": header(b"pax", wide(-512), b"x") + file + END,
        "long name below nothing": header(b"././@LongLink", wide(-512), b"L") + file + END,
        "old sparse": _sparse(extended=False) + padded(b"abc") + END,
        "old sparse, extended": _sparse(extended=True) + bytes(more) * 300 + END,
        "twice": file * 2 + END,
        "link to its own": file + header(b"b.whl", 3, b"1", link=WHEEL) + END,
        "many folders": header(b"./", 0, b"5") * 3000 + END,
        "many files": b"".join(header(b"f%d.txt" % n) for n in range(3000)) + END,
        "cut off": header(WHEEL, 100_000) + b"x" * 1000,
        "more behind": file + END + b"JUNK" * 1000,
        "another behind": file + END + header(b"release.json", 2) + padded(b"{}") + END,
        "nothing": b"",
        "no archive": bytes(range(256)) * 16,
        "large statement": header(b"release.json", 2 << 20) + bytes(2 << 20) + END,
        "deep statement": header(b"release.json", 51_200) + b"[" * 51_200 + END,
        "version 7": header(WHEEL, 3, magic=bytes(8)) + padded(b"abc") + END,
        "zip as well": file + END + _zip(),
    }


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("release.json", "{}")
    return made.getvalue()


def compressed() -> dict[str, bytes]:
    """Return archives that are hostile in how they are compressed."""
    plain = header(b"a.json", 2) + padded(b"{}") + END
    xz = bytearray(lzma.compress(plain))
    block = xz[12 : 12 + (xz[12] + 1) * 4]
    block[block.index(b"\x21\x01") + 2] = 40  # a dictionary of 4 GiB
    block[-4:] = zlib.crc32(bytes(block[:-4])).to_bytes(4, "little")
    xz[12 : 12 + len(block)] = block
    return {
        "xz that takes 4 GiB": bytes(xz),
        "xz that is cut": lzma.compress(plain)[:-20],
        "xz and junk": lzma.compress(plain) + b"junk",
        "gzip that is cut": gzip.compress(plain)[:40],
        "gzip in gzip": gzip.compress(gzip.compress(plain)),
        "gzip of nothing, often": gzip.compress(b"") * 2000,
    }
