"""Handlers that read data as data."""

import hashlib
import hmac
import pickle

from support.guard_corpus import Program, b64, body


class _Evil:
    def __reduce__(self):
        return (eval, ("1+1",))


EVIL = b64(pickle.dumps(_Evil()))
YAML = "!!python/object/apply:os.getcwd []"
SIGNED = b64(pickle.dumps({"user": 1}))

PROGRAMS = {
    "safe_load": Program(
        """
import yaml
def handler(event, context):
    try: return yaml.safe_load(event["body"])
    except yaml.YAMLError: return 400
""",
        benign=[{"body": YAML}, {"body": "a: [1, 2]\nb: {c: d}"}, {"body": "x: !custom y"}],
    ),
    "SafeLoader": Program(
        """
import yaml
def handler(event, context):
    try: return yaml.load(event["body"], Loader=yaml.SafeLoader)
    except yaml.YAMLError: return 400
""",
        benign=[{"body": YAML}, {"body": "a: 1"}],
    ),
    "CSafeLoader, all": Program(
        """
import yaml
L = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
def handler(event, context):
    try: return list(yaml.load_all(event["body"], L))
    except yaml.YAMLError: return 400
""",
        benign=[{"body": YAML}, {"body": "a: 1\n---\nb: 2"}],
    ),
    "own loader": Program(
        """
import yaml
class Loader(yaml.SafeLoader): pass
Loader.add_constructor("!env", lambda l, n: "env:" + l.construct_scalar(n))
def handler(event, context): return yaml.load(event["body"], Loader)
""",
        benign=[{"body": "a: !env HOME"}, {"body": "b: [1]"}],
    ),
    "json": Program(
        """
import json
def handler(event, context): return json.loads(event["body"])
""",
        benign=[{"body": '{"py/object": "os.system", "__class__": "x"}'}, body(a=EVIL)],
    ),
    "own pickles": Program(
        """
import pickle
def handler(event, context):
    data = pickle.dumps({"name": event["name"], "n": 1})
    return pickle.loads(data)["name"]
""",
        benign=[{"name": "x"}, {"name": EVIL}, {"name": "cos\nsystem\n(S'id'\ntR."}],
    ),
    "deep copy": Program(
        """
import copy, datetime
def handler(event, context):
    e = copy.deepcopy(event); e["when"] = copy.copy(datetime.date(2024, 1, 1))
    return e
""",
        benign=[{"a": {"b": [EVIL]}}, {"a": YAML}],
    ),
    "verified": Program(
        """
import base64, hashlib, hmac, pickle
KEY = b"k3y-of-the-function"
def handler(event, context):
    data = base64.b64decode(event["d"])
    if not hmac.compare_digest(hmac.new(KEY, data, hashlib.sha256).hexdigest(), event["sig"]): return 403
    return pickle.loads(data)
""",
        benign=[
            {
                "d": SIGNED,
                "sig": hmac.new(
                    b"k3y-of-the-function", pickle.dumps({"user": 1}), hashlib.sha256
                ).hexdigest(),
            },
            {"d": EVIL, "sig": "00"},
        ],
    ),
    "restricted unpickler": Program(
        """
import base64, io, pickle
class Restricted(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in {("collections", "OrderedDict")}: raise pickle.UnpicklingError("forbidden")
        return super().find_class(module, name)
def handler(event, context):
    try: return Restricted(io.BytesIO(base64.b64decode(event["d"]))).load()
    except pickle.UnpicklingError: return 400
""",
        benign=[{"d": EVIL}, {"d": SIGNED}],
    ),
    "yaml of the code": Program(
        """
import yaml
DEFAULTS = "a: 1\\nb: !!python/tuple [1, 2]\\n"
def handler(event, context): return yaml.load(DEFAULTS, Loader=yaml.Loader), event["x"]
""",
        benign=[{"x": "a"}, {"x": "a: 1"}, {"x": YAML}],
    ),
    "dump": Program(
        """
import yaml
def handler(event, context): return yaml.safe_load(yaml.safe_dump({"v": event["v"]}))
""",
        benign=[{"v": YAML}, {"v": "x"}],
    ),
    "csv and config": Program(
        """
import configparser, csv, io, tomllib
def handler(event, context):
    c = configparser.ConfigParser(interpolation=None); c.read_string("[a]\\nb = " + event["v"])
    return c["a"]["b"], list(csv.reader(io.StringIO(event["v"]))), tomllib.loads("a = 1")
""",
        benign=[{"v": "x,y"}, {"v": YAML}],
    ),
    "numpy without pickles": Program(
        """
import base64, io
import numpy as np
def handler(event, context):
    try: return np.load(io.BytesIO(base64.b64decode(event["a"])), allow_pickle=False).tolist()
    except ValueError: return 400
""",
        benign=[{"a": EVIL}],
    ),
    "struct": Program(
        """
import base64, struct
def handler(event, context): return struct.unpack(">H", base64.b64decode(event["a"])[:2])
""",
        benign=[{"a": EVIL}],
    ),
    "full loader of plain data": Program(
        """
import yaml
def handler(event, context): return yaml.full_load(event["body"])
""",
        benign=[{"body": "a: 1\nb: [2, 3]"}, {"body": "when: 2024-01-01"}],
    ),
    "jsonpickle encodes": Program(
        """
import jsonpickle
def handler(event, context): return jsonpickle.encode({"v": event["v"]})
""",
        benign=[{"v": '{"py/object": "os.system"}'}, {"v": "a"}],
    ),
}
