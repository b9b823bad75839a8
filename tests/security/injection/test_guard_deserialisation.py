"""Objects from data in handlers of every style; and data of the function's own, or verified."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import pickle
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from support.guard_cases import Cases, placed, run


class _Runs:
    def __reduce__(self) -> object:
        return (os.getcwd, ())


PICKLE = pickle.dumps(_Runs())
_P64 = base64.b64encode(PICKLE).decode()
_YAML = "!!python/object/apply:os.getcwd []"
_JSONPICKLE = json.dumps({"py/reduce": [{"py/function": "os.getcwd"}, {"py/tuple": []}]})
_PLAIN = base64.b64encode(pickle.dumps({"a": 1})).decode()
_HEAD = "import base64, io, json, pickle, os, tempfile, zlib, gzip, hmac, hashlib\nfrom pathlib import Path\n"


def _npy() -> str:
    import numpy

    made = io.BytesIO()
    numpy.save(made, numpy.array([{"a": 1}], dtype=object), allow_pickle=True)
    return base64.b64encode(made.getvalue()).decode()


def _numbers() -> str:
    import numpy

    made = io.BytesIO()
    numpy.save(made, numpy.arange(4))
    return base64.b64encode(made.getvalue()).decode()


VULNERABLE: Cases = {
    "pickle.loads": (_HEAD + "return pickle.loads(base64.b64decode(event['p']))", {"p": _P64}),
    "pickle.loads by name": (
        "from pickle import loads\nfrom base64 import b64decode\nreturn loads(b64decode(event['p']))",
        {"p": _P64},
    ),
    "pickle of plain data, and of more after it": (
        _HEAD + "return pickle.loads(base64.b64decode(event['p']))",
        {"p": base64.b64encode(pickle.dumps({"a": 1}) + PICKLE).decode()},
    ),
    "_pickle": (
        _HEAD + "import _pickle\nreturn _pickle.loads(base64.b64decode(event['p']))",
        {"p": _P64},
    ),
    "pickle as": (
        _HEAD
        + "import pickle as P\nreturn P.loads(data=base64.b64decode(event['p'])) if False else P.loads(base64.b64decode(event['p']))",
        {"p": _P64},
    ),
    "pickle.load of BytesIO": (
        _HEAD + "return pickle.load(io.BytesIO(base64.b64decode(event['p'])))",
        {"p": _P64},
    ),
    "pickle.load of a file": (
        _HEAD
        + "p = Path(tempfile.mkdtemp()) / 'x.pkl'\np.write_bytes(base64.b64decode(event['p']))\nwith open(p, 'rb') as f:\n    return pickle.load(f)",
        {"p": _P64},
    ),
    "Unpickler": (
        _HEAD + "return pickle.Unpickler(io.BytesIO(base64.b64decode(event['p']))).load()",
        {"p": _P64},
    ),
    "Unpickler of a subclass": (
        _HEAD
        + "class U(pickle.Unpickler):\n    pass\nreturn U(io.BytesIO(base64.b64decode(event['p']))).load()",
        {"p": _P64},
    ),
    "Unpickler in Python": (
        _HEAD + "return pickle._Unpickler(io.BytesIO(base64.b64decode(event['p']))).load()",
        {"p": _P64},
    ),
    "urlsafe base64": (
        _HEAD + "return pickle.loads(base64.urlsafe_b64decode(event['p']))",
        {"p": base64.urlsafe_b64encode(PICKLE).decode()},
    ),
    "standard base64": (
        _HEAD + "return pickle.loads(base64.standard_b64decode(event['p']))",
        {"p": _P64},
    ),
    "base64 by codecs": (
        _HEAD + "import codecs\nreturn pickle.loads(codecs.decode(event['p'].encode(), 'base64'))",
        {"p": _P64},
    ),
    "base64 by binascii": (
        _HEAD + "import binascii\nreturn pickle.loads(binascii.a2b_base64(event['p']))",
        {"p": _P64},
    ),
    "hex": (_HEAD + "return pickle.loads(bytes.fromhex(event['p']))", {"p": PICKLE.hex()}),
    "Latin-1": (
        _HEAD + "return pickle.loads(event['p'].encode('latin-1'))",
        {"p": PICKLE.decode("latin-1")},
    ),
    "text of protocol 0": (
        _HEAD + "return pickle.loads(event['p'].encode())",
        {"p": pickle.dumps(_Runs(), 0).decode()},
    ),
    "bytes()": (
        _HEAD + "return pickle.loads(bytes(event['p'], 'latin-1'))",
        {"p": PICKLE.decode("latin-1")},
    ),
    "compressed": (
        _HEAD + "return pickle.loads(zlib.decompress(base64.b64decode(event['p'])))",
        {"p": base64.b64encode(zlib.compress(PICKLE)).decode()},
    ),
    "gzip": (
        _HEAD + "return pickle.loads(gzip.decompress(base64.b64decode(event['p'])))",
        {"p": base64.b64encode(gzip.compress(PICKLE)).decode()},
    ),
    "JSON in a string": (
        _HEAD + "return pickle.loads(base64.b64decode(json.loads(event['body'])['p']))",
        {"body": json.dumps({"p": _P64})},
    ),
    "base64 body of JSON": (
        _HEAD
        + "body = json.loads(base64.b64decode(event['body']))\nreturn pickle.loads(base64.b64decode(body['p']))",
        {"body": base64.b64encode(json.dumps({"p": _P64}).encode()).decode()},
    ),
    "URL-encoded": (
        _HEAD
        + "from urllib.parse import unquote\nreturn pickle.loads(base64.b64decode(unquote(event['p'])))",
        {"p": quote(_P64, safe="")},
    ),
    "cookie": (
        _HEAD
        + "c = dict(x.split('=', 1) for x in event['headers']['cookie'].split('; '))\nreturn pickle.loads(base64.b64decode(c['session']))",
        {"headers": {"cookie": "a=b; session=" + _P64}},
    ),
    "queue": (
        _HEAD + "return [pickle.loads(base64.b64decode(r['body'])) for r in event['Records']]",
        {"Records": [{"body": _P64}]},
    ),
    "signature not checked": (
        _HEAD
        + "data = base64.b64decode(event['p'])\nhmac.new(b'k', data, 'sha256').hexdigest()\nreturn pickle.loads(data)",
        {"p": _P64},
    ),
    "in a class": (
        """
        import base64, pickle
        class Session:
            @classmethod
            def from_cookie(cls, text):
                return cls(pickle.loads(base64.b64decode(text)))
            def __init__(self, state):
                self.state = state
        def handler(event, context):
            return Session.from_cookie(event["cookie"]).state
        """,
        {"cookie": _P64},
    ),
    "marshal": (
        _HEAD + "import marshal\nreturn marshal.loads(base64.b64decode(event['p']))",
        {"p": base64.b64encode(__import__("marshal").dumps([1])).decode()},
    ),
    "shelve": (
        _HEAD
        + "import shelve\nd = tempfile.mkdtemp()\nwith shelve.open(d + '/s') as s:\n    s.dict[b'k'] = base64.b64decode(event['p'])\n    return s['k']",
        {"p": _P64},
    ),
    "yaml.Loader": ("import yaml\nreturn yaml.load(event['y'], Loader=yaml.Loader)", {"y": _YAML}),
    "yaml.UnsafeLoader": (
        "import yaml\nreturn yaml.load(event['y'], yaml.UnsafeLoader)",
        {"y": _YAML},
    ),
    "yaml.unsafe_load": ("import yaml\nreturn yaml.unsafe_load(event['y'])", {"y": _YAML}),
    "yaml.unsafe_load_all": (
        "import yaml\nreturn list(yaml.unsafe_load_all(event['y']))",
        {"y": "a: 1\n---\n" + _YAML},
    ),
    "yaml.full_load": (
        "import yaml\nreturn yaml.full_load(event['y'])",
        {"y": "!!python/name:os.getcwd"},
    ),
    "yaml in part": (
        "import yaml\nreturn yaml.load(f'name: {event[\"n\"]}', Loader=yaml.UnsafeLoader)",
        {"n": _YAML},
    ),
    "yaml of base64": (
        "import base64, yaml\nreturn yaml.load(base64.b64decode(event['y']), Loader=yaml.Loader)",
        {"y": base64.b64encode(_YAML.encode()).decode()},
    ),
    "yaml of a stream": (
        "import io, yaml\nreturn yaml.load(io.StringIO(event['y']), Loader=yaml.Loader)",
        {"y": _YAML},
    ),
    "jsonpickle": ("import jsonpickle\nreturn jsonpickle.decode(event['j'])", {"j": _JSONPICKLE}),
    "jsonpickle by name": (
        "from jsonpickle import decode\nreturn decode(event['j'])",
        {"j": _JSONPICKLE},
    ),
    "jsonpickle loads": (
        "import jsonpickle\nreturn jsonpickle.loads(event['j'])",
        {"j": _JSONPICKLE},
    ),
    "dill": (_HEAD + "import dill\nreturn dill.loads(base64.b64decode(event['p']))", {"p": _P64}),
    "numpy": (
        _HEAD
        + "import numpy\nreturn numpy.load(io.BytesIO(base64.b64decode(event['p'])), allow_pickle=True)",
        {"p": _npy()},
    ),
    "pandas": (
        _HEAD
        + "import pandas\nreturn pandas.read_pickle(io.BytesIO(base64.b64decode(event['p'])))",
        {"p": _P64},
    ),
    "pandas of a file": (
        _HEAD
        + "import pandas\np = tempfile.mkdtemp() + '/x.pkl'\nopen(p, 'wb').write(base64.b64decode(event['p']))\nreturn pandas.read_pickle(p)",
        {"p": _P64},
    ),
    "more: types.FunctionType": (
        "import types,base64,marshal\nreturn types.FunctionType(marshal.loads(base64.b64decode(event['c'])),{})()",
        {
            "c": "YwAAAAAAAAAAAAAAAAEAAAAAAAAA8wYAAACXAGQAUwApAU6pAHIBAAAA8wAAAADaAXj6CDxtb2R1bGU+cgQAAAABAAAAcwoAAADwAwEBAdgAAYABcgIAAAA="
        },
    ),
    "more: pickle chained": (
        "import pickle,base64\ndef d(s): return base64.b64decode(s.replace(' ','+'))\nreturn pickle.loads(d(event['p']))",
        {"p": "gASVFwAAAAAAAACMBXBvc2l4lIwGZ2V0Y3dklJOUKVKULg=="},
    ),
    "more: pickle padded": (
        "import pickle,base64\np=event['p']\np += '='*(-len(p)%4)\nreturn pickle.loads(base64.urlsafe_b64decode(p))",
        {"p": "gASVFwAAAAAAAACMBXBvc2l4lIwGZ2V0Y3dklJOUKVKULg"},
    ),
    "more: pickle data url": (
        "import pickle,base64\nreturn pickle.loads(base64.b64decode(event['p'].split(',')[1]))",
        {
            "p": "data:application/octet-stream;base64,gASVFwAAAAAAAACMBXBvc2l4lIwGZ2V0Y3dklJOUKVKULg=="
        },
    ),
    "more: pickle prefix strip": (
        "import pickle,base64\nreturn pickle.loads(base64.b64decode(event['p'])[4:])",
        {"p": "SERSOoAElRcAAAAAAAAAjAVwb3NpeJSMBmdldGN3ZJSTlClSlC4="},
    ),
    "more: pickle chunks": (
        "import pickle,base64\nreturn pickle.loads(b''.join(base64.b64decode(c) for c in event['c']))",
        {"c": ["gASVFwAAAAAAAACM", "BXBvc2l4lIwGZ2V0Y3dklJOUKVKULg=="]},
    ),
    "more: pickle gzip file": (
        "import pickle,base64,gzip,io\nreturn pickle.load(gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(event['p']))))",
        {"p": "H4sIADTIBmsC/2tgmSrOAAE9rAX5xZkVU3rY0lNLkstTpkyeohk0RQ8AdmVDlSIAAAA="},
    ),
    "more: pickle bytearray": (
        "import pickle,base64\nreturn pickle.loads(bytearray(base64.b64decode(event['p'])))",
        {"p": "gASVFwAAAAAAAACMBXBvc2l4lIwGZ2V0Y3dklJOUKVKULg=="},
    ),
    "more: yaml file": (
        "import yaml\nopen('/tmp/guard-.yml','w').write(event['y'])\nreturn yaml.load(open('/tmp/guard-.yml'),Loader=yaml.UnsafeLoader)",
        {"y": "!!python/object/apply:os.getcwd []"},
    ),
    "more: yaml strip": (
        "import yaml\nreturn yaml.load(event['y'].strip(),Loader=yaml.Loader)",
        {"y": "\n!!python/object/apply:os.getcwd []\n"},
    ),
    "more: yaml load_all": (
        "import yaml\nreturn list(yaml.load_all(event['y'],Loader=yaml.Loader))",
        {"y": "a: !!python/name:os.system"},
    ),
    "more: yaml custom sub": (
        "import yaml\nclass L(yaml.Loader): pass\nreturn yaml.load(event['y'],Loader=L)",
        {"y": "a: !!python/name:os.system"},
    ),
    "more: pickle via helper": (
        "import pickle,base64\nclass Codec:\n    @staticmethod\n    def decode(s): return pickle.loads(base64.b64decode(s))\nreturn Codec.decode(event['x'])",
        {"x": _P64},
    ),
    "more: pickle body isBase64": (
        "import pickle,base64\nb=base64.b64decode(event['body']) if event.get('isBase64Encoded') else event['body'].encode()\nreturn pickle.loads(b)",
        {"isBase64Encoded": True, "body": _P64},
    ),
    "more: yaml in s3 body": (
        "import yaml\ndef parse(b): return yaml.load(b, Loader=yaml.UnsafeLoader)\nreturn parse(event['body'].encode())",
        {"body": "a: !!python/object/apply:os.getcwd []"},
    ),
    "more: lines of JSON that are kept and read": (
        'import json\nclass Kept:\n    text = \'\'\n    def add(self, user): self.text += \'{{"user": "{}", "role": "guest"}}\\n\'.format(user)\n    def rows(self): return [json.loads(x) for x in self.text.splitlines()]\nkept = Kept()\nkept.add(event[\'u\'])\nreturn kept.rows()',
        {"u": 'a", "role": "admin"}\n{"user": "b'},
    ),
    "more: yaml FullLoader name": (
        "import yaml\nreturn yaml.load(event['y'],Loader=yaml.FullLoader)",
        {"y": "!!python/name:os.getcwd ''"},
    ),
}

SIGNED = "import hashlib, hmac\nKEY = b'key'\n"
_CODE = __import__("hmac").new(b"key", _P64.encode(), "sha256").hexdigest()
_RAW_CODE = __import__("hmac").new(b"key", PICKLE, "sha256").hexdigest()

BENIGN: Cases = {
    "pickle of plain data": (
        _HEAD + "return pickle.loads(base64.b64decode(event['p']))",
        {"p": _PLAIN},
    ),
    "json": ("import json\nreturn json.loads(event['j'])", {"j": _JSONPICKLE}),
    "own pickle": (
        "import pickle\nreturn pickle.loads(pickle.dumps(event))",
        {"a": "some text", "b": [1]},
    ),
    "own file": (
        "import pickle, tempfile\nwith tempfile.TemporaryFile() as f:\n    pickle.dump(event, f)\n    f.seek(0)\n    return pickle.load(f)",
        {"a": "some text"},
    ),
    "own cache": (
        "import base64, pickle\ncache = {}\ncache['k'] = base64.b64encode(pickle.dumps(event['a']))\nreturn pickle.loads(base64.b64decode(cache['k']))",
        {"a": "some text"},
    ),
    "deep copy": ("import copy\nreturn copy.deepcopy(event)", {"a": [1, {"b": 2}]}),
    "own shelf": (
        "import shelve, tempfile\nwith shelve.open(tempfile.mkdtemp() + '/s') as s:\n    s['k'] = event\n    return s['k']",
        {"a": "some text"},
    ),
    "own find_class": (
        """
        import base64, io, pickle
        class Safe(pickle.Unpickler):
            def find_class(self, module, name):
                raise pickle.UnpicklingError("refused")
        def handler(event, context):
            return Safe(io.BytesIO(base64.b64decode(event["p"]))).load()
        """,
        {"p": _PLAIN},
    ),
    "verified text": (
        SIGNED
        + "import base64, pickle\nexpected = hmac.new(KEY, event['p'].encode(), hashlib.sha256).hexdigest()\nif not hmac.compare_digest(expected, event['s']): raise ValueError\nreturn len(pickle.loads(base64.b64decode(event['p'])))",
        {"p": _P64, "s": _CODE},
    ),
    "verified bytes": (
        SIGNED
        + "import base64, pickle\ndata = base64.b64decode(event['p'])\nif not hmac.compare_digest(hmac.new(KEY, data, 'sha256').hexdigest(), event['s']): raise ValueError\nreturn len(pickle.loads(data))",
        {"p": _P64, "s": _RAW_CODE},
    ),
    "verified at once": (
        SIGNED
        + "import base64, pickle\ndata = base64.b64decode(event['p'])\nif not hmac.compare_digest(hmac.digest(KEY, data, 'sha256'), bytes.fromhex(event['s'])): raise ValueError\nreturn len(pickle.loads(data))",
        {"p": _P64, "s": _RAW_CODE},
    ),
    "verified in steps": (
        SIGNED
        + "import base64, pickle\ndata = base64.b64decode(event['p'])\nm = hmac.new(KEY, digestmod='sha256')\nm.update(data)\nif not hmac.compare_digest(m.digest(), bytes.fromhex(event['s'])): raise ValueError\nreturn len(pickle.loads(data))",
        {"p": _P64, "s": _RAW_CODE},
    ),
    "refused signature": (
        SIGNED
        + "import base64, pickle\ndata = base64.b64decode(event['p'])\nif not hmac.compare_digest(hmac.new(KEY, data, 'sha256').hexdigest(), event['s']): return 'refused'\nreturn pickle.loads(data)",
        {"p": _P64, "s": "0" * 64},
    ),
    "yaml.safe_load": ("import yaml\nreturn yaml.safe_load(event['y'])", {"y": "a: 1\nb: [x, y]"}),
    "yaml.safe_load of tags": (
        "import yaml\ntry:\n    return yaml.safe_load(event['y'])\nexcept yaml.YAMLError:\n    return 'refused'",
        {"y": _YAML},
    ),
    "yaml.SafeLoader": (
        "import yaml\nreturn yaml.load(event['y'], Loader=yaml.SafeLoader)",
        {"y": "a: 1"},
    ),
    "yaml.CSafeLoader": (
        "import yaml\nreturn yaml.load(event['y'], Loader=yaml.CSafeLoader)",
        {"y": "a: 1"},
    ),
    "yaml.BaseLoader": (
        "import yaml\nreturn yaml.load(event['y'], Loader=yaml.BaseLoader)",
        {"y": "a: 1"},
    ),
    "yaml.full_load of plain": (
        "import yaml\nreturn yaml.full_load(event['y'])",
        {"y": "a: 1\nb: 'text! with !bang'"},
    ),
    "yaml of the code": ("import yaml\nreturn yaml.load('a: 1', Loader=yaml.Loader)", {"y": _YAML}),
    "own tags": (
        "import yaml\nclass L(yaml.SafeLoader):\n    pass\nL.add_constructor('!upper', lambda l, n: n.value.upper())\nreturn yaml.load(event['y'], Loader=L)",
        {"y": "!upper a"},
    ),
    "yaml dump": ("import yaml\nreturn yaml.dump(event)", {"y": _YAML}),
    "jsonpickle of plain JSON": (
        "import jsonpickle\nreturn jsonpickle.decode(event['j'])",
        {"j": '{"a": 1}'},
    ),
    "jsonpickle of its own": (
        "import jsonpickle\nreturn jsonpickle.decode(jsonpickle.encode({'a': (1, 2)}))",
        {"j": _JSONPICKLE},
    ),
    "numpy without pickle": (
        "import base64, io, numpy\nreturn numpy.load(io.BytesIO(base64.b64decode(event['p']))).sum()",
        {"p": _numbers()},
    ),
    "numpy refuses": (
        "import base64, io, numpy\ntry:\n    return numpy.load(io.BytesIO(base64.b64decode(event['p'])))\nexcept ValueError:\n    return 'refused'",
        {"p": _npy()},
    ),
    "pandas of JSON": (
        "import io, pandas\nreturn len(pandas.read_json(io.StringIO(event['j'])))",
        {"j": '[{"a": 1}]'},
    ),
    "pandas of CSV": (
        "import io, pandas\nreturn len(pandas.read_csv(io.StringIO(event['c'])))",
        {"c": "a,b\n1,2\n"},
    ),
    "marshal of its own": (
        "import marshal\nreturn marshal.loads(marshal.dumps([event['a']]))",
        {"a": "some text"},
    ),
    "data is kept": ("import base64\nreturn len(base64.b64decode(event['p']))", {"p": _P64}),
    "multiprocessing pickler": (
        "from multiprocessing.reduction import ForkingPickler\nreturn ForkingPickler.loads(ForkingPickler.dumps(event))",
        {"a": "text"},
    ),
    "plist": (
        "import plistlib\nreturn plistlib.loads(plistlib.dumps({'a': event['a']}))",
        {"a": "text"},
    ),
    "more: yaml safe_dump roundtrip": (
        "import yaml\nreturn yaml.safe_load(yaml.safe_dump(event))",
        {"a": "!!python/object"},
    ),
    "more: pickle own cache w event key": (
        "import pickle,os\np='/tmp/guard-cache-'+event['k']+'.pkl'\npickle.dump({'k':event['k'],'v':list(range(5))},open(p,'wb'))\nreturn pickle.load(open(p,'rb'))['v']",
        {"k": "customer-12345"},
    ),
    "more: shelve own": (
        "import shelve\nwith shelve.open('/tmp/guard-shelf') as s:\n    s[event['k']]=event\n    return s[event['k']]['k']",
        {"k": "customer-12345"},
    ),
    "more: joblib-like np": (
        "import numpy\nnumpy.save('/tmp/guard-a.npy',numpy.array(event['xs']))\nreturn numpy.load('/tmp/guard-a.npy',allow_pickle=True).sum()",
        {"xs": [1, 2, 3]},
    ),
    "more: lines of JSON that are kept and read": (
        "import json\nclass Kept:\n    text = ''\n    def add(self, user): self.text += json.dumps({'user': user, 'role': 'guest'}) + '\\n'\n    def rows(self): return [json.loads(x) for x in self.text.splitlines()]\nkept = Kept()\nkept.add(event['u'])\nreturn kept.rows()",
        {"u": 'a", "role": "admin"}\n{"user": "b'},
    ),
}


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def test_objects_of_data_from_outside_are_stopped(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(VULNERABLE, tmp_path))
    missed = {n: a.result + a.trace for n, a in answers.items() if a.outcome != "blocked"}
    assert not missed
    for name, answer in answers.items():
        # Lines that are divided before they are read are judged where they are divided.
        sinks = ("deserialisation", "file") if "lines of JSON" in name else ("deserialisation",)
        assert answer.records[0]["sink"] in sinks, f"{name}: {answer}"
        assert answer.records[0]["fix"], name
        assert "could not be checked" not in str(answer.records), name


def test_own_verified_and_plain_data_passes(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(BENIGN, tmp_path))
    wrong = {
        n: (a.result, a.records, a.trace)
        for n, a in answers.items()
        if a.outcome != "ok" or a.records
    }
    assert not wrong
