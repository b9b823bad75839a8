"""Events, and answers of capabilities, that are made to keep the sink guard at work.

Each is about as large as an event may be, and of one kind: many short texts or few long ones, with
one of the signs that decoders, searches or ways to write a text have to look at, or with all of
them. `bench.guard_handlers` measures what a question of a sink about each costs.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

SIZE = 256 * 1024
QUESTIONS = (
    "SELECT " + "a" * 500,
    "SELECT a.b, c FROM t WHERE (d = 'x;' OR e = \"y\" OR f LIKE '%z%') AND g IN ('1', '2'); -- h",
    "INSERT INTO t VALUES ('it''s', \"a\"\"b\", E'x\\n\\'y') -- b\u00e9",
)
"""Texts that nobody was seen making: one without a sign, one with many, and one in which texts can
be that code has written in another way."""
_CHANCE = random.Random(11)
_ASCII = [chr(code) for code in range(32, 127)]
_LATIN = [chr(code) for code in range(32, 0x17F)]
_ANY = [chr(code) for code in range(1, 0xD7FF)]


def _nested(times: int) -> str:
    data = b"A" * int(SIZE * 0.75**times)
    for _ in range(times):
        data = base64.b64encode(data)
    return data.decode()


def _many(make: Callable[[int], str], size: int) -> Callable[[], list[str]]:
    """Return what makes as many texts as fit, of which each takes so many bytes of JSON."""
    return lambda: [make(number) for number in range(SIZE // size)]


HOSTILE: dict[str, Callable[[], Any]] = {
    "twenty megabytes of random bytes": lambda: random.Random(3).randbytes(20 << 20),
    "runs of text in bytes": lambda: b"abcdefghij;\0\xff" * (20 << 16),
    "text as bytes": lambda: ("it's é; " * (4 << 17)).encode(),
    "random bytes": lambda: random.Random(3).randbytes(SIZE),
    "bytes as a list": lambda: list(random.Random(3).randbytes(SIZE)),
    "many bytes values": lambda: [random.Random(n).randbytes(1000) for n in range(256)],
    "base64 in base64": lambda: {"v": _nested(4)},
    "URL encoding": lambda: {"v": "%41%" * (SIZE // 4)},
    "URL encoding of itself": lambda: {"v": "%2525252541" * (SIZE // 11)},
    "URL encoding, all different": lambda: {
        "v": "".join(f"%{byte:02x}x" for byte in _CHANCE.randbytes(SIZE // 4))
    },
    "plus signs": lambda: {"v": "a+%" * (SIZE // 3)},
    "HTML entities": lambda: {"v": "&amp;amp;amp;lt;" * (SIZE // 16)},
    "HTML entities, longest": lambda: {"v": "&CounterClockwiseContourIntegra" * (SIZE // 31)},
    "ampersands": lambda: {"v": "&;" * (SIZE // 2)},
    "escapes": lambda: {"v": "\\u0041" * (SIZE // 6)},
    "backslashes": lambda: {"v": "\\" * SIZE},
    "ligatures and accents": lambda: {"v": "ﬁé\u0301" * (SIZE // 6)},
    "compatibility forms": lambda: {"v": "\ufdfa" * (SIZE // 3)},
    "marks in a row": lambda: {"v": "a" + "\u0301\u0323" * (SIZE // 4)},
    "every code point": lambda: {"v": "".join(map(chr, range(32, 0xD7FF))) * 2},
    "dotted capital I": lambda: {"v": "\u0130a" * (SIZE // 3)},
    "surrogates": lambda: {
        "v": random.Random(3).randbytes(SIZE // 2).decode(errors="surrogateescape")
    },
    "JSON in JSON": lambda: {"v": json.dumps(json.dumps(json.dumps(["'\"\\" * 9000])))},
    "JSON of many": lambda: {"v": json.dumps([f"it's {n}" for n in range(SIZE // 14)])},
    "JSON lines": lambda: {
        "v": "\n".join(json.dumps({"a": n, "b;": f"{n};"}) for n in range(SIZE // 32))
    },
    "JSON texts": lambda: [json.dumps([f"{n};"]) for n in range(SIZE // 14)],
    "JSON objects": lambda: [json.dumps({"a": f"{n}'"}) for n in range(SIZE // 20)],
    "brackets": lambda: {"v": "[" * SIZE},
    "open brackets": _many(lambda n: f"[{n}", 8),
    "braces": _many(lambda n: f"{{{n}}}", 9),
    "deep": lambda: json.loads(
        "[" * 190 + ",".join(f'"{n};"' for n in range(SIZE // 9)) + "]" * 190
    ),
    "sentences": _many(lambda n: f"{n} is; a <b> text", 22),
    "quoted texts": _many(lambda n: f"it's {n}", 13),
    "double quoted texts": _many(lambda n: f'{n}"x', 11),
    "three quotes": _many(lambda n: f"'\"`{n}", 11),
    "quotes around": _many(lambda n: f"'{n}'", 10),
    "the shortest texts": _many(lambda n: f"{n:x};", 8),
    "short texts": _many(lambda n: f"{n}a;", 9),
    "texts that begin alike": lambda: ["a" * 300 + str(n) for n in range(SIZE // 305)],
    "texts that begin like the question": lambda: [
        "SELECT " + "a" * 8 + str(n) for n in range(SIZE // 24)
    ],
    "keys": lambda: {f"k{n}": {f"a{n}": 1} for n in range(SIZE // 20)},
    "keys with signs": lambda: {f"k%{n}": {f"é{n}": 1} for n in range(SIZE // 22)},
    "small objects": lambda: [{"a;": f"{n}'"} for n in range(SIZE // 18)],
    "numbers": lambda: list(range(100_000, 100_000 + SIZE // 8)),
    "floats": lambda: [n + 0.123 for n in range(SIZE // 11)],
    "coded words": lambda: [base64.b64encode(b"word %d" % n).decode() for n in range(SIZE // 16)],
    "coded words of signs": lambda: [
        base64.b64encode(b"w;%d'" % n).decode() for n in range(SIZE // 16)
    ],
    "coded gzip": lambda: [
        base64.b64encode(gzip.compress(b"word;%d" % n)).decode() for n in range(SIZE // 50)
    ],
    "hex words": lambda: [(b"w;%d'x" % n).hex() for n in range(SIZE // 22)],
    "a form": lambda: {"v": "&".join(f"a{n}=%25{n}+b" for n in range(SIZE // 18))},
    "forms": _many(lambda n: f"a={n}&b=%27", 16),
    "queries": _many(lambda n: f"/p?q={n}+", 13),
    "percent": _many(lambda n: f"%{n}", 9),
    "percent escapes": _many(lambda n: f"%27{n}", 11),
    "percent escapes, nested": _many(lambda n: f"%252525{n}", 15),
    "plus": _many(lambda n: f"a+{n}", 10),
    "entities": _many(lambda n: f"&lt;{n}", 12),
    "no entities": _many(lambda n: f"&{n};", 10),
    "backslash": _many(lambda n: f"\\{n}", 10),
    "u escapes": _many(lambda n: f"\\u0027{n}", 15),
    "accents": _many(lambda n: f"é{n}", 10),
    "capital accents": _many(lambda n: f"É{n}", 10),
    "loose accents": _many(lambda n: f"e\u0301{n}", 11),
    "ligatures": _many(lambda n: f"ﬁ{n}", 11),
    "arabic ligatures": _many(lambda n: f"\ufdfa{n}", 11),
    "accents and quotes": _many(lambda n: f"é'{n}\"", 13),
    "emoji": _many(lambda n: f"\U0001f600{n};", 13),
    "cjk": _many(lambda n: chr(0x4E00 + n % 20000) + chr(0x4E00 + n // 7 % 20000), 9),
    "fullwidth quotes": _many(lambda n: f"\uff07{n}", 11),
    "dotted I texts": _many(lambda n: f"\u0130{n}", 10),
    "control characters": _many(lambda n: f"a\x01{n}", 11),
    "newlines": _many(lambda n: f"a\n{n}", 11),
    "tabs at the ends": _many(lambda n: f"\t{n};\t", 13),
    "blanks at the ends": _many(lambda n: f" {n}; ", 12),
    "surrogate texts": _many(lambda n: f"\udc80{n}", 10),
    "brackets of all": _many(lambda n: f"({n})[", 11),
    "mail words": _many(lambda n: f"=?utf-8?q?{n}=27?=", 24),
    "equals": _many(lambda n: f"a={n};", 12),
    "quoted printable": _many(lambda n: f"=27{n};", 12),
    "punycode": _many(lambda n: f"xn--a{n}-b;", 17),
    "utf7": _many(lambda n: f"+ACc-{n};", 14),
    "tokens": lambda: [
        f"{base64.urlsafe_b64encode(b'{%d}' % n).decode().rstrip('=')}.abcdef"
        for n in range(SIZE // 22)
    ],
    "data urls": lambda: [
        f"data:;base64,{base64.b64encode(b'w;%d' % n).decode()}" for n in range(SIZE // 30)
    ],
    "bearers": _many(lambda n: f"bearer a{n}.bcdef", 22),
    "domains": _many(lambda n: f"a{n}.b.c.d;", 16),
    "dots": _many(lambda n: f"{n}.a", 9),
    "all signs": lambda: ["'\"`;|&$<>(){}\\#*!\r\n[]" + str(n) for n in range(SIZE // 34)],
    "random ASCII texts": lambda: [
        "".join(_CHANCE.choices(_ASCII, k=7)) for _ in range(SIZE // 10)
    ],
    "random Latin texts": lambda: [
        "".join(_CHANCE.choices(_LATIN, k=6)) for _ in range(SIZE // 11)
    ],
    "random texts of anything": lambda: [
        "".join(_CHANCE.choices(_ANY, k=3)) for _ in range(SIZE // 12)
    ],
    "mixture": lambda: [
        (
            f"é{n}",
            f"%27{n}",
            f"it's {n}",
            f"\\u0027{n}",
            f"[{n}]",
            f"&lt;{n}",
            f"{n};",
            f"name {n}",
        )[n % 8]
        for n in range(SIZE // 11)
    ],
    "4000 of 60": _many(lambda n: f"{n}é'%27;[\\" + "abc'd%" * 8, 64),
    "500 of 500": _many(lambda n: f"{n}" + "é'%27;[\\&lt;" * 40, 500),
    "60 of 4090": _many(lambda n: f"{n}" + "é'%27;[\\&lt;" * 335, 4096),
    "60 of 4097": _many(lambda n: f"{n}" + "é'%27;[\\&lt;" * 350, 4220),
    "multipart": lambda: {
        "v": '--b\r\nContent-Disposition: form-data; name="q"\r\n\r\nx\r\n' * (SIZE // 60)
    },
    "base85": _many(lambda n: f"~!{n}@#$^*abc", 18),
    "base32": _many(lambda n: base64.b32encode(b"w;%d'" % n).decode(), 20),
}
