from __future__ import annotations

import time

import pytest

from casemate.build.payload import payload_mark


@pytest.mark.parametrize(
    "line",
    [
        "exec(base64.b64decode('aW1wb3J0IG9z'))",
        "exec( __import__('base64') . b64decode(x))",
        "eval(compile(zlib.decompress(b'x'), 'x', 'exec'))",
        "exec(marshal.loads(data))",
        "exec(bytes.fromhex('00').decode())",
        "exec(codecs.decode('vzcbeg bf', 'rot13'))",
        "exec((lambda d: base64.b85decode(d))(x))",
    ],
)
def test_what_unpacks_and_executes_is_found(line: str) -> None:
    mark = payload_mark(f"import x\n\n{line}\n".encode())
    assert mark is not None
    assert mark.line == 3


@pytest.mark.parametrize(
    "line",
    [
        "data = base64.b64decode(text)",
        "exec(code, namespace)",
        "self.executor.exec_(zlib)",
        "re.exec(x)\ny = zlib.decompress(z)",
        "cursor.execute(base64.b64decode(x))",
        "evaluate(b64decode(x))",
    ],
)
def test_what_does_one_of_the_two_is_not(line: str) -> None:
    assert payload_mark(line.encode()) is None


@pytest.mark.parametrize(
    "text", [b"exec(" * 400_000, b"eval( " * 300_000 + b"b64decod", b"\xff" * 4_000_000]
)
def test_a_hostile_file_takes_no_time(text: bytes) -> None:
    begun = time.process_time()
    payload_mark(text)
    assert time.process_time() - begun < 4
