"""Objects from data in pieces, through other doors, and data that makes none."""

import io
import json
import os
import pickle

import numpy as np

from support.guard_corpus import Program, b64


class _Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return os.getpid, ()


_PICKLE = pickle.dumps([_Runs()], 0)


def _array(elements: object, **how: object) -> dict[str, str]:
    data = io.BytesIO()
    np.save(data, np.array(elements, **how), allow_pickle=True)
    return {"a": b64(data.getvalue())}


_REDUCE = '{"py/reduce": [{"py/function": "os.getpid"}, {"py/tuple": []}]}'

PROGRAMS = {
    "pickle in parts": Program(
        """
import base64, io, pickle
def handler(event, context):
    data = io.BytesIO()
    for part in sorted(event["parts"], key=lambda p: p["n"]):
        data.write(base64.b64decode(part["d"]))
    data.seek(0)
    return repr(pickle.load(data))
""",
        [{"parts": [{"n": 2, "d": b64(_PICKLE[12:])}, {"n": 1, "d": b64(_PICKLE[:12])}]}],
    ),
    "loads of multiprocessing": Program(
        """
import base64
from multiprocessing.reduction import ForkingPickler
def handler(event, context):
    return repr(ForkingPickler.loads(base64.b64decode(event["d"])))
""",
        [{"d": b64(_PICKLE)}],
    ),
    "messages of multiprocessing": Program(
        """
from multiprocessing import Pipe
def handler(event, context):
    receiver, sender = Pipe(duplex=False)
    sender.send(event)
    return receiver.recv() == event
""",
        (),
        [{"d": _PICKLE.decode()}, {"d": b64(_PICKLE), "n": [1, None]}],
    ),
    "jsonpickle restores": Program(
        """
import json, jsonpickle
def handler(event, context):
    return repr(jsonpickle.unpickler.Unpickler().restore(json.loads(event["body"])))
""",
        [{"body": _REDUCE}, {"body": '{"a": [{"py/object": "os._wrap_close", "x": 1}]}'}],
        [{"body": '{"a": 1}'}, {"body": '{"note": "py/object is no word"}'}],
    ),
    "jsonpickle decodes": Program(
        """
import jsonpickle
def handler(event, context):
    return repr(jsonpickle.decode(event["body"]))
""",
        [{"body": _REDUCE}, {"body": _REDUCE.replace("py/reduce", "\\u0070y/reduce")}],
        [{"body": '{"note": "py/object is no word"}'}, {"body": '["py/reduce"]'}],
    ),
    "jsonpickle decodes keys": Program(
        """
import jsonpickle
def handler(event, context):
    return repr(jsonpickle.decode(event["body"], keys=True))
""",
        [{"body": json.dumps({"json://" + _REDUCE: 1})}],
        [{"body": '{"a": 1}'}],
    ),
    "YAML that makes any object": Program(
        """
import yaml
def handler(event, context):
    return repr(yaml.load(event["body"], Loader=yaml.UnsafeLoader))
""",
        [
            {"body": "!!python/object/apply:os.getpid []"},
            {"body": "a:\n  - !!python/name:os.system"},
            {"body": "{a: !!python/name:os.system }"},
            {"body": "[!!%70ython/name:os.system ]"},
            {"body": "!<tag:yaml.org,2002:python/object/apply:os.getpid> []"},
            {"body": "%TAG ! tag:yaml.org,2002:\n---\n!python/object/apply:os.getpid []"},
            {"body": "%TAG !x! tag:yaml.org,2002:\n--- !x!python/object/apply:os.getpid []"},
            {"body": "--- &a !!python/object/apply:os.getpid []"},
            {"body": "\ufeff!!%70ython/name:os.system "},
            {"body": "{?!!%70ython/name:os.system : 1}"},
            {"body": "#\u2028%TAG ! tag:yaml.org,2002:pyth\n---\n!on/object/apply:os.getpid []"},
        ],
        [
            {"body": "a: 1\nb: [x, 'O''Brien']"},
            {"body": "text: 'important! do it!!'"},
            {"body": "note: python/object is a tag"},
        ],
    ),
    "YAML in bytes": Program(
        """
import base64, yaml
def handler(event, context):
    return repr(yaml.load(base64.b64decode(event["body"]), Loader=yaml.Loader))
""",
        [
            {"body": b64("!!python/object/apply:os.getpid []")},
            {"body": b64("!!python/object/apply:os.getpid []".encode("utf-16"))},
        ],
        [{"body": b64("a: 1\nb: [x, y]")}],
    ),
    "YAML in a file": Program(
        """
import base64, io, yaml
def handler(event, context):
    return repr(yaml.load(io.BytesIO(base64.b64decode(event["body"])), Loader=yaml.Loader))
""",
        [
            {"body": b64("!!python/object/apply:os.getpid []")},
            {"body": b64("!!python/object/apply:os.getpid []".encode("utf-16"))},
        ],
        [{"body": b64("a: 1\nb: [x, y]")}],
    ),
    "array": Program(
        """
import base64, io
import numpy as np
def handler(event, context):
    return repr(np.load(io.BytesIO(base64.b64decode(event["a"])), allow_pickle=True).shape)
""",
        [_array([_Runs()], dtype=object), {"a": b64(_PICKLE)}],
        [_array([1, 2, 3]), _array(["O'Brien", "x"]), _array([[1.5], [2.5]])],
    ),
}
