"""Handlers that make objects of what the event brings."""

import marshal
import pickle

from support.guard_corpus import Program, b64, body, sns, sqs


class _Evil:
    def __reduce__(self):
        return (eval, ("1+1",))


EVIL = b64(pickle.dumps(_Evil()))
PLAIN0 = pickle.dumps(_Evil(), protocol=0)
YAML = "!!python/object/apply:os.getcwd []"
TUPLE = "a: !!python/name:os.system"
JP = '{"py/reduce": [{"py/function": "os.getcwd"}, {"py/tuple": []}]}'

PROGRAMS = {
    "pickle": Program(
        """
import base64, pickle
def handler(event, context):
    return str(pickle.loads(base64.b64decode(event["state"])))
""",
        [{"state": EVIL}],
    ),
    "session of a cookie": Program(
        """
import base64, pickle
class Session:
    @classmethod
    def load(cls, headers):
        for part in headers["cookie"].split(";"):
            name, _, value = part.strip().partition("=")
            if name == "session": return pickle.loads(base64.urlsafe_b64decode(value))
def handler(event, context): return str(Session.load(event["headers"]))
""",
        [{"headers": {"cookie": "a=b; session=" + EVIL.replace("+", "-").replace("/", "_")}}],
    ),
    "pickle of a stream": Program(
        """
import base64, io, json, pickle
def handler(event, context):
    raw = base64.b64decode(json.loads(event["body"])["blob"])
    return str(pickle.Unpickler(io.BytesIO(raw)).load())
""",
        [body(blob=EVIL)],
    ),
    "pickle of a file": Program(
        """
import base64, pickle, tempfile
def handler(event, context):
    with tempfile.TemporaryFile() as f:
        f.write(base64.b64decode(event["model"])); f.seek(0)
        return str(pickle.load(f))
""",
        [{"model": EVIL}],
    ),
    "text of protocol 0": Program(
        """
import pickle
def handler(event, context): return str(pickle.loads(event["p"].encode("latin-1")))
""",
        [{"p": PLAIN0.decode("latin-1")}],
    ),
    "hex": Program(
        """
import pickle
def handler(event, context): return str(pickle.loads(bytes.fromhex(event["p"])))
""",
        [{"p": pickle.dumps(_Evil()).hex()}],
    ),
    "gzip": Program(
        """
import base64, gzip, pickle
def handler(event, context): return str(pickle.loads(gzip.decompress(base64.b64decode(event["p"]))))
""",
        [{"p": __import__("gzip").compress(pickle.dumps(_Evil())).hex()}]
        and [{"p": b64(__import__("gzip").compress(pickle.dumps(_Evil())))}],
    ),
    "yaml.load with Loader": Program(
        """
import yaml
def handler(event, context): return str(yaml.load(event["body"], Loader=yaml.Loader))
""",
        [{"body": YAML}, {"body": TUPLE}],
    ),
    "yaml.unsafe_load": Program(
        """
import yaml
def parse(text): return yaml.unsafe_load(text)
def handler(event, context):
    return [str(parse(r["body"])) for r in event["Records"]]
""",
        [sqs(YAML)],
    ),
    "yaml.load_all, full": Program(
        """
import yaml
def handler(event, context): return [str(d) for d in yaml.load_all(event["docs"], yaml.UnsafeLoader)]
""",
        [{"docs": "a: 1\n---\n" + YAML}],
    ),
    "yaml in a template": Program(
        """
import yaml
def handler(event, context):
    return str(yaml.load("name: %s\\nsteps: []\\n" % event["name"], Loader=yaml.UnsafeLoader))
""",
        [{"name": YAML}, {"name": "x\nz: " + YAML}],
    ),
    "jsonpickle": Program(
        """
import jsonpickle
def handler(event, context): return str(jsonpickle.decode(event["body"]))
""",
        [{"body": JP}],
    ),
    "marshal": Program(
        """
import base64, marshal, types
def handler(event, context):
    return types.FunctionType(marshal.loads(base64.b64decode(event["code"])), {})()
""",
        [{"code": b64(marshal.dumps(compile("1+1", "x", "eval")))}],
    ),
    "dill": Program(
        """
import base64, dill
def handler(event, context): return str(dill.loads(base64.b64decode(event["fn"])))
""",
        [{"fn": EVIL}],
    ),
    "shelve-like cache": Program(
        """
import base64, json, pickle
CACHE = {}
def handler(event, context):
    m = json.loads(event["Records"][0]["Sns"]["Message"])
    CACHE[m["key"]] = base64.b64decode(m["value"])
    return {k: str(pickle.loads(v)) for k, v in CACHE.items()}
""",
        [sns({"key": "a", "value": EVIL})],
    ),
    "numpy": Program(
        """
import base64, io
import numpy as np
def handler(event, context): return np.load(io.BytesIO(base64.b64decode(event["a"])), allow_pickle=True).tolist()
""",
        [{"a": EVIL}],
    ),
    "pandas": Program(
        """
import base64, io
import pandas as pd
def handler(event, context): return str(pd.read_pickle(io.BytesIO(base64.b64decode(event["df"]))))
""",
        [{"df": EVIL}],
    ),
}
