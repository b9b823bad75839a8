"""The supervisor decodes every packet into exactly one bounded type, or refuses it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.manifest.environment import MAX_VARIABLES, NAMES, check_environment
from casemate.manifest.locator import KeyLocator
from casemate.manifest.problem import ProblemCollector
from casemate.model.function import Isolation, Trust
from casemate.sandbox import protocol

decode = msgspec.json.Decoder(protocol.Request).decode

OPEN: dict[str, Any] = {
    "type": "open",
    "z": 1,
    "python": "3.11",
    "digest": "a" * 64,
    "project": "shop",
    "function": "thumbs",
    "handler": "app.main:handler",
    "isolation": "request",
    "trust": "normal",
    "memory": 1 << 28,
    "cpu": 1.0,
    "processes": 32,
    "open_files": 256,
    "beside": 7,
    "tmp": 1 << 26,
    "response": 1 << 22,
    "ports": [3128, 5432],
    "environment": {"MODE": "test"},
    "guard": [["sql", "app:query", "report"]],
    "shapes": ["0123456789abcdef"],
    "packages": [["requests", ["egress", "process"]]],
    "strict": True,
    "calls": ["unlink", "mlock2"],
    "refused": False,
    "layout": "own",
    "restorable": True,
}
SPAWN = {"type": "spawn", "z": 1, "i": 2, "restorable": True}
KILL = {"type": "kill", "z": 1, "i": 2}
MEASURE = {"type": "measure", "z": 1, "instances": [2, 3]}
CLOSE = {"type": "close", "z": 1}
PREPARE = {"type": "prepare", "python": "3.13"}
OPTIONAL = {
    *(
        "ports",
        "environment",
        "guard",
        "packages",
        "shapes",
        "strict",
        "calls",
        "refused",
        "layout",
        "restorable",
        "beside",
    ),
}
"""A function without them has neither a way out nor a variable."""
ALL = {m["type"]: m for m in (OPEN, SPAWN, KILL, MEASURE, CLOSE, PREPARE)}


def refused(message: Any) -> None:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    with pytest.raises((msgspec.MsgspecError, UnicodeError)):
        decode(data)


@pytest.mark.parametrize("message", ALL.values(), ids=ALL.keys())
def test_a_request_survives_the_way(message: dict[str, Any]) -> None:
    request = decode(json.dumps(message).encode())
    assert json.loads(msgspec.json.encode(request)) == message
    assert decode(msgspec.json.encode(request)) == request
    assert len(msgspec.json.encode(request)) < protocol.MAX_PACKET


def test_descriptors_come_with_open_and_spawn_only() -> None:
    assert {
        name: protocol.descriptors_of(decode(json.dumps(m).encode())) for name, m in ALL.items()
    } == {"open": 2, "spawn": 2, "kill": 0, "measure": 0, "close": 0, "prepare": 0}


@pytest.mark.parametrize("wrong", [[], [-1], [1 << 31], ["1"], [1.5], list(range(257)), 2, None])
def test_what_is_measured_is_bounded(wrong: Any) -> None:
    refused(MEASURE | {"instances": wrong})
    decode(json.dumps(MEASURE | {"instances": list(range(256))}).encode())


def test_typed_fields() -> None:
    request = decode(json.dumps(OPEN).encode())
    assert (request.isolation, request.trust) == (Isolation.REQUEST, Trust.NORMAL)


BOUNDS: list[tuple[str, list[Any], list[Any]]] = [
    ("z", [0, 1, 0x7FFFFFFF], [-1, 0x80000000, 1 << 64, 1.5, "1", None, True, [], {}]),
    (
        "python",
        ["3.1", "3.11", "3.99"],
        [
            "",
            "3",
            "3.",
            "3.111",
            "2.7",
            "3.11\n",
            "3.11 ",
            " 3.11",
            "3.1a",
            "../3.11",
            "\u0663.11",
            "3.\u0661\u0661",
            3.11,
            None,
        ],
    ),
    (
        "digest",
        ["0" * 64, "f" * 64, "0123456789abcdef" * 4],
        [
            "",
            "a" * 63,
            "a" * 65,
            "A" * 64,
            "g" * 64,
            "a" * 64 + "\n",
            "../" + "a" * 61,
            None,
            "a" * 63 + "/",
            "\uff41" * 64,
            "a" * 32 + "\n" + "a" * 31,
        ],
    ),
    (
        "memory",
        [1, 1 << 46],
        [0, -1, (1 << 46) + 1, 1 << 70, 1.5, "1", None],
    ),
    ("tmp", [1, 1 << 46], [0, -1, (1 << 46) + 1, None, "64m"]),
    ("response", [1, 1 << 46], [0, -1, (1 << 46) + 1, None]),
    ("cpu", [0.001, 1, 1024], [0, 0.0, -1, 1024.001, 1e308, "1", None, True]),
    ("processes", [1, 100_000], [0, -1, 100_001, None, "1", 1.5]),
    ("open_files", [16, 1_000_000], [15, 0, -1, 1_000_001, None]),
    ("isolation", ["request", "instance"], ["", "none", "Request", "request\n", None, 1]),
    ("trust", ["normal", "low"], ["", "high", "LOW", None, 0]),
    (
        "handler",
        ["a:b", "_a.b1:c_d", "a" * 200 + ":" + "b" * 200],
        [
            "",
            ":",
            "a",
            "a:",
            ":b",
            "a:b:c",
            "a.:b",
            ".a:b",
            "a..b:c",
            "1a:b",
            "a:1",
            "a b:c",
            "a:b\n",
            "a:b ",
            "a/b:c",
            "../a:b",
            "a:b()",
            "a:b.c",
            "\u00e9:b",
            "a:\u00e9",
            None,
            "a" * 256 + ":" + "b" * 256,
            "a;b:c",
            "a\x00:b",
        ],
    ),
    (
        "ports",
        [[], [1024], [65535], list(range(2000, 2032))],
        [[1023], [0], [-1], [65536], [1 << 40], ["3128"], [None], 3128, list(range(2000, 2033))],
    ),
    (
        "environment",
        [
            {},
            {"A": ""},
            {"write_debug": "x"},
            {"a" * 128: "x"},
            {"A_1": "x" * 4096},
            {f"V{n}": "x" for n in range(64)},
        ],
        [
            {"a\n": "x"},
            {"\u0430": "x"},
            {"a" * 129: "x"},
            {"1A": "x"},
            {"": "x"},
            {"_A": "x"},
            {"A\n": "x"},
            {"A=B": "x"},
            {"\u0410": "x"},
            {"A" * 129: "x"},
            {"A": "x" * 4097},
            {"A": 1},
            {"A": None},
            {f"V{n}": "x" for n in range(65)},
            [],
            None,
        ],
    ),
    (
        "guard",
        [[], [["*", "*", "block"]], [["s" * 64, "l" * 256, "report"]] * 20],
        [
            [["sql", "*", "off"]],
            [["sql", "*"]],
            [["sql", "*", "report", 1]],
            [["s" * 65, "*", "report"]],
            [["sql", "l" * 257, "report"]],
            [[None, "*", "report"]],
            [["sql", "*", "report"]] * 21,
            [{"sink": "sql", "location": "*", "mode": "report"}],
            {},
            None,
        ],
    ),
    ("layout", ["shared", "own"], ["", "OWN", "other", "own\n", 1, None, []]),
    ("beside", [0, 1, 0x7FFFFFFF, None], [-1, 0x80000000, "1", 0.5, True, []]),
    (
        "shapes",
        [[], ["0" * 16] * 128],
        [["0" * 16] * 129, ["0" * 15], ["0" * 17], ["0" * 15 + "\n"], ["G" * 16], [1], "x", None],
    ),
    (
        "packages",
        [[], [["*", []]], [["a-b", ["egress", "file"]]] * 50],
        [
            [["a", []]] * 51,
            [["A", []]],
            [["a\n", []]],
            [["a" * 101, []]],
            [["a", ["EGRESS"]]],
            [["a", ["file\n"]]],
            [["a", ["file"] * 11]],
            [["a"]],
            [{"name": "a", "deny": []}],
            None,
        ],
    ),
    ("strict", [True, False], [0, 1, "true", "", None, []]),
    ("refused", [True, False], [0, 1, "true", "", None, []]),
    (
        "calls",
        [[], ["unlink"] * 128, ["ab"], ["a" * 32]],
        [["unlink"] * 129, ["a"], ["a" * 33], ["unlink\n"], ["UNLINK"], ["a b"], [1], "x", None],
    ),
    ("restorable", [True, False], [0, 1, "true", "", None, []]),
]
NAMES_REFUSED = ["", "A", "a_b", "-a", "a-", "1a", "a.b", "a/b", "..", "a\n", "a\x00", "a b", None]
NAMES_REFUSED += ["a" * 64, "\u00e9", "a\r", "a\u2028"]
BOUNDS += [(field, ["a", "a" * 63, "a-1"], NAMES_REFUSED) for field in ("project", "function")]


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, good, _ in BOUNDS for value in good]
)
def test_the_edges_of_every_field_are_taken(field: str, value: Any) -> None:
    request = decode(json.dumps(OPEN | {field: value}).encode())
    assert json.loads(msgspec.json.encode(getattr(request, field))) == value


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, _, bad in BOUNDS for value in bad]
)
def test_what_is_beyond_the_edges_is_refused(field: str, value: Any) -> None:
    refused(OPEN | {field: value})


def test_every_field_of_open_is_tested() -> None:
    assert {field for field, _, _ in BOUNDS} == set(OPEN) - {"type"}


@pytest.mark.parametrize("message", ALL.values(), ids=ALL.keys())
def test_every_field_is_needed_and_no_other_is_taken(message: dict[str, Any]) -> None:
    for field in message:
        if field not in OPTIONAL:
            refused({k: v for k, v in message.items() if k != field})
    for extra in ("x", "", "Z", "z ", "uid", "__class__"):
        refused(message | {extra: 1})


@pytest.mark.parametrize("message", [SPAWN, KILL, CLOSE])
def test_numbers_are_bounded_everywhere(message: dict[str, Any]) -> None:
    for field in set(message) - {"type", "restorable"}:
        for value in (-1, 0x80000000, 1 << 64, "1", None, 0.5, False):
            refused(message | {field: value})


@pytest.mark.parametrize("value", ["3.11\n", "3", "x", 3, None, "3.11; rm"])
def test_prepare_takes_a_minor_version_only(value: Any) -> None:
    refused(PREPARE | {"python": value})


@pytest.mark.parametrize(
    "tag", ["", "Open", "open\n", "OPEN", "opened", "exited", "exec", 0, None, ["open"], {}]
)
def test_other_tags_are_refused(tag: Any) -> None:
    for message in ALL.values():
        refused(message | {"type": tag})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"[1,2]",
        b'"close"',
        b"{}",
        b"\xff",
        b"\x00",
        b'{"type":"close","z":1',
        b'{"type":"close","z":1}x',
        b'{"type":"close","z":1}{"type":"close","z":2}',
        b'{"type":"close","z":1,}',
        b'{"type":"close","z":01}',
        b'{"type":"close","z":1e400}',
        b'{"type":"prepare","python":"3.1\xff"}',
        b'{"type":"prepare","python":"\\ud800"}',
    ],
)
def test_what_is_no_single_json_object_is_refused(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("event", [protocol.Opened(1), protocol.Exited(1, 2, 3, False)])
def test_an_event_is_no_request(event: Any) -> None:
    refused(msgspec.json.encode(event))


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.dictionaries(st.sampled_from([*OPEN, "i", "x"]), VALUES | st.sampled_from([*ALL, "3.1"])))
def test_fuzzed_messages_are_requests_or_refused(message: dict[str, Any]) -> None:
    for base in ({}, OPEN, SPAWN, PREPARE):
        try:
            request = decode(json.dumps(base | message).encode())
        except msgspec.MsgspecError:
            continue
        assert type(request).__struct_config__.tag == (base | message)["type"]
        for value in msgspec.structs.asdict(request).values():
            assert not isinstance(value, str) or (value.isascii() and value.isprintable())


@given(st.binary(max_size=60))
def test_fuzzed_bytes_are_refused(data: bytes) -> None:
    refused(data)
    refused(json.dumps(OPEN).encode() + (data.strip() or b"x"))


DEPENDENCIES: dict[str, Any] = {
    "type": "dependencies",
    "modules": ["pandas", "google.cloud.storage"],
    "restorable": True,
    "z": 1,
    **{name: OPEN[name] for name in ("python", "digest", "project", "memory", "cpu", "processes")},
    **{name: OPEN[name] for name in ("open_files", "tmp", "ports")},
}
ALIKE = {
    **OPEN,
    "type": "become",
    "beside": None,
    "packages": [],
    "strict": False,
    "calls": [],
    "layout": "shared",
}


@pytest.mark.parametrize(
    "modules", [[], ["a b"], ["os;x"], ["a\n"], [".a"], ["a."], ["a"] * 65, ["a" * 257]]
)
def test_what_is_no_name_of_a_module_is_not_imported_ahead(modules: list[str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps({**DEPENDENCIES, "modules": modules}))


def test_a_zygote_becomes_that_of_what_is_confined_alike_and_of_nothing_else() -> None:
    prepared = decode(json.dumps(DEPENDENCIES))
    assert isinstance(prepared, protocol.PrepareDependencies)
    alike = decode(json.dumps(ALIKE))
    assert isinstance(alike, protocol.Become) and prepared.fits(alike)
    assert protocol.descriptors_of(prepared) == 2 and protocol.descriptors_of(alike) == 0
    for changed in (
        {"python": "3.12"},
        {"project": "other"},
        {"open_files": 99},
        {"tmp": 1},
        {"ports": []},
        {"restorable": False},
        {"memory": OPEN["memory"] - 1},
        {"trust": "low"},
        {"layout": "own"},
        {"beside": 3},
        {"packages": OPEN["packages"]},
        {"strict": True},
        {"calls": ["unlink"]},
    ):
        other = decode(json.dumps({**ALIKE, **changed}))
        assert isinstance(other, protocol.Become) and not prepared.fits(other), changed


# -- nothing is sent for which the gateway would be ended ------------------------------------------

_NAMES = st.from_regex(NAMES.pattern, fullmatch=True).filter(lambda n: len(n) <= NAMES.max_length)


@given(st.dictionaries(_NAMES, st.text('a\n\t"\\é😀', max_size=64), max_size=MAX_VARIABLES))
def test_what_a_manifest_takes_as_environment_the_supervisor_takes(own: dict[str, str]) -> None:
    problems = ProblemCollector("casemate.toml", KeyLocator(""))
    check_environment(dict(own), ("environment",), problems)
    if not len(problems):
        decode(json.dumps(OPEN | {"environment": own}).encode())


def opened(**changes: Any) -> protocol.Open:
    request = decode(json.dumps(OPEN).encode())
    return msgspec.structs.replace(request, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"environment": {"A-B": "x"}}, "environment"),
        ({"handler": "a:b\n"}, "handler"),
        ({"python": "2.7"}, "python"),
        ({"ports": (80,)}, "ports"),
        ({"environment": {f"V{n}": "x" * 2000 for n in range(40)}}, "at most 32768 fit"),
    ],
)
def test_a_request_that_is_not_taken_is_refused_before_it_is_sent(
    changes: dict[str, Any], says: str
) -> None:
    request = opened(**changes)
    with pytest.raises(protocol.NotTakenError, match=says) as caught:
        protocol.require_taken(request, msgspec.json.encode(request))
    assert "shop/thumbs" in caught.value.message and caught.value.next_step


def test_what_is_taken_passes() -> None:
    for message in ALL.values():
        request = decode(json.dumps(message).encode())
        protocol.require_taken(request, msgspec.json.encode(request))
