"""Packages that nothing uses are told; those that something uses unimported are not."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, function, told

from casemate.audit.rules.examples import Files, javascript, project, stack

_HANDLER = "\n\ndef handler(event, context):\n    return None\n"


def asked(packages: str, code: str = "import json", more: Files | None = None) -> Files:
    text = "".join(f"{each}==1.0\n" for each in packages.split())
    return {**function(code=code + _HANDLER), "src/requirements.txt": text, **(more or {})}


@pytest.mark.parametrize(
    ("packages", "code", "found"),
    [
        ("boto3 celery", "import json", 2),
        ("boto3", "import boto3", 0),
        ("boto3", "def f():\n    import boto3.session", 0),
        ("boto3", "# import boto3\nimport json", 1),
        ("boto3", '"""Uses boto3."""\nimport json', 1),
        ("Pillow PyYAML beautifulsoup4", "import PIL.Image, yaml, bs4", 0),
        ("Pillow PyYAML beautifulsoup4", "import json", 3),
        ("google-cloud-storage", "from google.cloud import storage", 0),
        ("google-cloud-storage", "from google.cloud import pubsub_v1", 1),
        ("psycopg2-binary", "import json", 1),
        ("psycopg2-binary", "import sqlalchemy", 0),
        ("psycopg2-binary", "URL = 'postgresql+psycopg2://db'", 0),
        ("python-multipart fastapi", "import fastapi", 0),
        ("types-requests", "import json", 0),
        ("gunicorn", "import json", 1),
        ("gunicorn", "import subprocess\nsubprocess.run(['gunicorn', 'a:b'])", 0),
        ("celery", "import subprocess\nsubprocess.run(['python', '-m', 'celery'])", 0),
        ("unheard-of", "import json", 1),
        ("unheard-of", "import some_other_name", 0),
        ("unheard-of", "import heard", 0),
        ("boto3", "import importlib, os\nimportlib.import_module(os.environ['X'])", 0),
        ("boto3", "import importlib\nimportlib.import_module('json')", 1),
        ("scikit-learn", "import joblib\nM = joblib.load('model.pkl')", 0),
        ("scikit-learn", "import joblib\nM = joblib.Parallel(2)", 1),
        ("xgboost", "import pickle\nM = pickle.loads(b'')", 0),
        ("xgboost", "from cloudpickle import load\nM = load(open('m', 'rb'))", 0),
        ("xgboost", "import pickle\nM = pickle.dumps(1)", 1),
        ("xgboost", "import json\nM = json.loads('1')", 1),
        ("boto3", "import pandas as pd\nM = pd.read_pickle('m')", 0),
        ("boto3", "import numpy as np\nM = np.load('m', allow_pickle=True)", 0),
        ("boto3", "import runpy, os\nrunpy.run_module(os.environ['X'])", 0),
        ("boto3", "import runpy\nrunpy.run_module('json')", 1),
        ("celery", "import ctypes, os\nL = ctypes.CDLL(os.environ['X'] + '/a.so')", 0),
        ("PySocks", "import requests", 0),
        ("awscrt", "import boto3", 0),
        ("fastexcel", "import polars", 0),
        ("pyarrow", "import duckdb", 0),
        ("gcsfs", "import pyarrow.dataset", 0),
        ("openai", "import langchain.chat_models", 0),
        ("requests urllib3", "import requests", 0),
        ("boto3 certifi idna urllib3 six flask", "import flask", 0),
    ],
)
def test_a_package_is_told_where_nothing_uses_it(packages: str, code: str, found: int) -> None:
    assert told(asked(packages, code), "DEP-012") == found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", 'CMD ["celery", "-A", "app"]\n'),
        ("config.yaml", "plugins: [celery.contrib]\n"),
        ("src/settings.py", "APPS = ['celery.app']\n"),
        ("src/tasks.ipynb", '{"cells": [{"source": ["import celery"]}]}\n'),
        ("other/requirements.txt", "-r ../src/requirements.txt\n"),
    ],
)
def test_what_another_file_uses_is_used(name: str, text: str) -> None:
    more = {name: text}
    if name.startswith("other/"):
        more["other/app.py"] = "import celery\n"
    assert told(asked("celery"), "DEP-012") == 1
    assert told(asked("celery", more=more), "DEP-012") == 0


def test_what_a_compiler_says_that_others_need_is_not_asked_for() -> None:
    text = "cffi==1.0\n    # via cryptography\nboto3==1.0\n    # via -r requirements.in\n"
    found = findings({**function(), "src/requirements.txt": text, **_CODE}, "DEP-012")
    assert [each.place.line for each in found] == [3]


_CODE = {"src/more.py": "import json\n"}


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("pyproject.toml", '[project]\nname = "a"\ndependencies = [\n  "boto3==1.0",\n]\n', 1),
        ("pyproject.toml", '[dependency-groups]\ndev = ["boto3==1.0"]\n', 0),
        ("Pipfile", '[packages]\nboto3 = "==1.0"\n', 1),
        ("Pipfile", '[dev-packages]\nboto3 = "==1.0"\n', 0),
        ("requirements-dev.txt", "boto3==1.0\n", 0),
    ],
)
def test_every_list_of_packages_is_looked_at(file: str, text: str, found: int) -> None:
    code = {"app.py": "import json\n" + _HANDLER}
    assert told({**project(), **code, file: text}, "DEP-012") == found


def test_a_platform_with_a_server_of_its_own_needs_no_other() -> None:
    files = {**stack(), "thing/requirements.txt": "waitress==3.0\n"}
    files["thing/handler.py"] = "import json\n" + files["thing/handler.py"]
    assert told(files, "DEP-012") == 1


_PACKAGE = '{"scripts": {"start": "node -r dotenv/config a.js"}, "dependencies": {%s}}'


@pytest.mark.parametrize(
    ("packages", "code", "found"),
    [
        ("axios", "exports.handler = 1;", 1),
        ("axios", "const axios = require('axios');", 0),
        ("axios", "import('axios').then(f);", 0),
        ("@a/b", "import c from '@a/b/c';", 0),
        ("@a/b", "import c from '@a/c';", 1),
        ("axios", "const all = require(process.env.NAME);", 0),
        ("dotenv", "exports.handler = 1;", 0),
        ("pg", "const knex = require('knex');", 0),
        ("pg", "exports.handler = 1;", 1),
        ("ejs", "app.set('view engine', 'ejs');", 0),
        ("typescript @types/node", "exports.handler = 1;", 0),
    ],
)
def test_packages_of_npm(packages: str, code: str, found: int) -> None:
    listed = ", ".join(f'"{each}": "1.0.0"' for each in packages.split())
    files = {**javascript(code), "src/package.json": _PACKAGE % listed}
    assert told(files, "DEP-012") == found
