"""What libraries do with the rights of a function; one that is not in here may do anything."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Use(NamedTuple):
    """Actions that a call of a library needs, and where its resource is named."""

    actions: tuple[str, ...]
    place: int = 0
    names: tuple[str, ...] = ("name",)


_HARMLESS = """
    MySQLdb OpenSSL PIL PyPDF2 aenum aiofiles aiohttp alembic altair annotated_types
    anyio apig_wsgi apispec argparse ariadne arrow asgiref asyncpg attr attrs aws_cdk
    aws_lambda_powertools aws_xray_sdk awslambdaric babel backoff bcrypt binaryornot bleach
    blinker brotli bs4 bson cachetools camelot casemate cattr cattrs certifi cffi cfnresponse
    chalice chardet charset_normalizer click colorama colorlog cookiecutter crhelper croniter
    crontab cryptography cssselect ctypes cv2 cx_Oracle cycler cython dacite dataclasses_json
    datadog dateparser dateutil ddtrace deepdiff defusedxml dependency_injector
    deprecated dill discord django dns docutils docx dotenv easyocr elasticapm elasticsearch
    email_validator emoji environs exceptiongroup facebook faker fastapi fastjsonschema feedparser
    filelock firebase_admin fitz flask flask_cors flask_login flask_restful flask_sqlalchemy
    flatten_json forex_python fpdf frozendict frozenlist functions_framework fuzzywuzzy gensim
    geopy gevent github google googleapiclient gql graphene graphql greenlet gspread gunicorn h11
    h2 hashids haversine holidays honeycomb html2text html5lib http_ece httplib2 httpx humanize
    hypercorn icalendar idna imageio importlib_metadata importlib_resources inflection injector
    instaloader iso8601 isodate itsdangerous jellyfish jinja2 jmespath joblib jose joserfc
    jsbeautifier json5 jsonlines jsonpatch jsonpath jsonpath_ng jsonpickle jsonpointer jsonref
    jsonschema jwcrypto jwt keras lambda_decorators langdetect lark lightgbm
    linebot loguru lumigo_tracer lxml magic mailchimp mako mangum markdown markdown2 markdownify
    markupsafe marshmallow mashumaro matplotlib mistune mock money mongoengine more_itertools
    motor mpmath msal msgpack msgspec multidict multipart mypy_extensions mysql nacl nameparser
    networkx newrelic nltk numpy oauth2client oauthlib odmantic onnxruntime openai openpyxl
    opentelemetry orjson packaging pandas paramiko parse passlib pathspec pdfkit pdfplumber peewee
    pendulum phonenumbers pika pinecone pkg_resources playhouse plotly polars praw prettytable
    prometheus_client prompt_toolkit psutil psycopg psycopg2 pyarrow pyasn1 pycountry pycparser
    pydantic pydantic_core pydantic_settings pydash pyfiglet pygments pyjwt pyluach pymemcache
    pymongo pymssql pymysql pyodbc pyotp pyparsing pypdf pyperclip pyproj pyrsistent pysftp
    pystache pytesseract pytest pythonjsonlogger pytz pyzbar qrcode rapidfuzz ratelimit
    readability redis regex reportlab requests requests_oauthlib requests_toolbelt responses
    rfc3339 rich rollbar rsa ruamel schema scipy seaborn segno selenium sendgrid sentry_sdk
    serverless_wsgi setuptools shapely shortuuid sib_api_v3_sdk simplejson six skimage sklearn
    slack slack_bolt slack_sdk slackclient slugify sniffio snowflake sortedcontainers soupsieve
    spacy sqlalchemy sqlmodel sqlparse starlette statsmodels strawberry strictyaml stripe
    structlog svgwrite sympy tabula tabulate telebot telegram tenacity tensorflow termcolor
    text_unidecode textblob thundra tiktoken tldextract toml tomli tomlkit toolz torch tornado
    tqdm trafilatura transformers tweepy twilio typeguard typer typing_extensions typing_inspect
    tzdata tzlocal ua_parser ujson unidecode unidiff uritemplate urllib3 us usaddress user_agents
    uvicorn uvloop vaderSentiment validators voluptuous waitress watchdog weasyprint webob
    websocket websockets werkzeug whitenoise wikipedia wrapt wtforms xgboost xlrd xlsxwriter
    xmltodict xxhash yaml yarl yfinance youtube_dl yt_dlp  zeep zipp zoneinfo zstandard
"""
_SIGNERS = ("aws_requests_auth", "requests_aws4auth", "requests_aws_sign", "opensearchpy")
HARMLESS = frozenset((*_HARMLESS.split(), *_SIGNERS))
"""Import names of libraries that use no rights by themselves, or of which `USES` says which."""

STANDARD = frozenset(sys.stdlib_module_names) | frozenset(("distutils", "imp", "asyncore"))

SDKS = frozenset(("boto3", "botocore", "aioboto3", "aiobotocore", "s3transfer", "types_boto3"))

OF_SERVICES: dict[str, tuple[str, ...]] = {
    "pynamodb": ("dynamodb",),
    "dynamodb_json": (),
    "boto3_type_annotations": (),
    "mypy_boto3": (),
    "s3fs": ("s3",),
    "s3path": ("s3",),
    "cloudpathlib": ("s3",),
    "smart_open": ("s3",),
    "storages": ("s3",),
    "watchtower": ("logs",),
    "aws_secretsmanager_caching": ("secretsmanager",),
    "aws_encryption_sdk": ("kms",),
    "dynamodb_encryption_sdk": ("kms", "dynamodb"),
    "amazondax": ("dax", "dynamodb"),
    "pyathena": ("athena", "glue", "s3"),
    "warrant": ("cognito-idp",),
    "pycognito": ("cognito-idp",),
    "aws_kinesis_agg": (),
    "zappa": ("lambda", "sns", "dynamodb", "s3"),
    "datadog_lambda": ("secretsmanager", "kms", "ssm"),
    "kombu": ("sqs",),
    "celery": ("sqs",),
    "langchain": ("bedrock",),
    "langchain_aws": ("bedrock",),
    "anthropic": ("bedrock",),
}
"""Libraries that use services by themselves; what of them is not looked into."""

_POWERTOOLS = "aws_lambda_powertools.utilities."
_DYNAMO = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
_CONFIG = ("appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration")

USES: dict[tuple[str, str], Use] = {
    (f"{_POWERTOOLS}parameters", "get_parameter"): Use(("ssm:GetParameter",)),
    (f"{_POWERTOOLS}parameters", "get_parameters"): Use(("ssm:GetParametersByPath",), 0, ("path",)),
    (f"{_POWERTOOLS}parameters", "get_parameters_by_name"): Use(
        ("ssm:GetParameters",), 0, ("parameters",)
    ),
    (f"{_POWERTOOLS}parameters", "set_parameter"): Use(("ssm:PutParameter",)),
    (f"{_POWERTOOLS}parameters", "get_secret"): Use(("secretsmanager:GetSecretValue",)),
    (f"{_POWERTOOLS}parameters", "set_secret"): Use(
        ("secretsmanager:PutSecretValue", "secretsmanager:CreateSecret")
    ),
    (f"{_POWERTOOLS}parameters", "get_app_config"): Use(_CONFIG, -1, ()),
    (f"{_POWERTOOLS}feature_flags", "AppConfigStore"): Use(_CONFIG, -1, ()),
    (f"{_POWERTOOLS}idempotency", "DynamoDBPersistenceLayer"): Use(_DYNAMO, 0, ("table_name",)),
    (f"{_POWERTOOLS}batch", "sqs_batch_processor"): Use(("sqs:DeleteMessage",), -1, ()),
    (f"{_POWERTOOLS}batch", "PartialSQSProcessor"): Use(("sqs:DeleteMessage",), -1, ()),
    (f"{_POWERTOOLS}streaming", "S3Object"): Use(("s3:GetObject",), 0, ("bucket",)),
    (f"{_POWERTOOLS}data_masking", "AWSEncryptionSDKProvider"): Use(
        ("kms:Decrypt", "kms:GenerateDataKey"), -1, ()
    ),
}
"""Calls that need actions, by the start of their names and the last part."""

PREPARED: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    (f"{_POWERTOOLS}parameters", "SSMProvider"): {
        "get": ("ssm:GetParameter",),
        "get_multiple": ("ssm:GetParametersByPath",),
        "get_parameters_by_name": ("ssm:GetParameters",),
        "set": ("ssm:PutParameter",),
    },
    (f"{_POWERTOOLS}parameters", "SecretsProvider"): {
        "get": ("secretsmanager:GetSecretValue",),
        "set": ("secretsmanager:PutSecretValue", "secretsmanager:CreateSecret"),
    },
    (f"{_POWERTOOLS}parameters", "DynamoDBProvider"): {
        "get": ("dynamodb:GetItem",),
        "get_multiple": ("dynamodb:Query",),
    },
    (f"{_POWERTOOLS}parameters", "AppConfigProvider"): {"get": _CONFIG},
}
"""Classes whose objects need actions when their methods are called."""

SIGNING = {
    "SigV4Auth": 1,
    "SigV4QueryAuth": 1,
    "S3SigV4Auth": 1,
    "AWS4Auth": 3,
    "AWSRequestsAuth": 4,
    "BotoAWSRequestsAuth": 2,
    "AWSV4SignerAuth": 2,
    "RequestsAWSV4SignerAuth": 2,
    "AWSSigV4": 0,
}
"""What signs requests by hand, and at which place it takes the service: what is asked of that is
not read."""

PASSING = frozenset(
    (
        *("map", "submit", "run_in_executor", "Thread", "partial", "partialmethod", "gather"),
        *("to_thread", "create_task", "run", "run_until_complete", "ensure_future", "wait_for"),
        *("enter_context", "enter_async_context", "closing", "aclosing", "nullcontext", "reduce"),
        *("list", "tuple", "set", "frozenset", "sorted", "iter", "next", "reversed", "enumerate"),
        *("zip", "filter", "wraps", "update_wrapper", "lru_cache", "cache", "cast", "copy"),
        *("deepcopy", "chain", "islice", "starmap", "apply", "apply_async", "register", "Timer"),
        *("max", "min", "dict", "defaultdict", "ChainMap", "OrderedDict", "deque", "from_iterable"),
        *(
            "attrgetter",
            "SimpleNamespace",
            "field",
            "as_completed",
            "wait",
            "result",
            "lazy_fixture",
        ),
        *("vars", "call_soon", "push_async_callback", "callback", "finalize", "ref", "proxy"),
    )
)
"""Last parts of names of calls that give back what they are given, or call it: nothing escapes."""

IGNORING = frozenset(
    (
        *("print", "len", "str", "repr", "isinstance", "issubclass", "type", "id", "hasattr"),
        *("bool", "callable", "dir", "hash", "format", "help", "super", "setattr", "delattr"),
        *("debug", "info", "warning", "error", "exception", "critical", "log", "append_keys"),
        *("patch", "patch_all", "patch_object", "annotate", "put_annotation", "put_metadata"),
        *("is_", "add_metadata", "instrument_boto", "put_subsegment", "getLogger", "instrument"),
        *("assert_called_once", "inject_lambda_context", "capture_lambda_handler"),
        *("eq", "ne", "lt", "lte", "gt", "gte", "begins_with", "between", "contains", "is_in"),
        *("add_dimension", "add_metric", "add_annotation", "set_default_dimensions"),
        *(
            "capture_method",
            "log_metrics",
            "logger",
            "issubset",
            "copy_config_to_registered_loggers",
        ),
    )
)
"""Last parts of names of calls that do nothing with the rights of what they are given."""
