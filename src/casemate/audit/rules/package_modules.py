"""What packages are imported as where that is not their name, and what uses them unimported."""

from __future__ import annotations

_OTHER_NAMES = """
    aiobotocore=aiobotocore antlr4-python3-runtime=antlr4 argon2-cffi=argon2 attrs=attr,attrs
    awslambdaric=awslambdaric aws-requests-auth=aws_requests_auth aws-xray-sdk=aws_xray_sdk
    azure-functions=azure.functions azure-identity=azure.identity beautifulsoup4=bs4
    azure-storage-blob=azure.storage.blob biopython=Bio clickhouse-driver=clickhouse_driver
    confluent-kafka=confluent_kafka dj-database-url=dj_database_url dnspython=dns
    django-allauth=allauth django-cors-headers=corsheaders django-crispy-forms=crispy_forms
    django-debug-toolbar=debug_toolbar django-environ=environ django-extensions=django_extensions
    django-filter=django_filters django-redis=django_redis django-storages=storages
    djangorestframework=rest_framework djangorestframework-simplejwt=rest_framework_simplejwt
    docker=docker elastic-apm=elasticapm faiss-cpu=faiss ffmpeg-python=ffmpeg fonttools=fontTools
    firebase-admin=firebase_admin gitpython=git google-api-python-client=googleapiclient
    google-auth=google.auth google-cloud-bigquery=google.cloud.bigquery grpcio=grpc
    google-cloud-datastore=google.cloud.datastore google-cloud-firestore=google.cloud.firestore
    google-cloud-logging=google.cloud.logging,google.cloud.logging_v2 google-genai=google.genai
    google-cloud-pubsub=google.cloud.pubsub,google.cloud.pubsub_v1 google-cloud-kms=google.cloud.kms
    google-cloud-secret-manager=google.cloud.secretmanager,google.cloud.secretmanager_v1
    google-cloud-storage=google.cloud.storage google-cloud-tasks=google.cloud.tasks,google.cloud.tasks_v2
    google-cloud-vision=google.cloud.vision,google.cloud.vision_v1 google-generativeai=google.generativeai
    imbalanced-learn=imblearn influxdb-client=influxdb_client jaydebeapi=jaydebeapi kafka-python=kafka
    kafka-python-ng=kafka ldap3=ldap3 levenshtein=Levenshtein mysql-connector-python=mysql.connector
    mysqlclient=MySQLdb nats-py=nats oauthlib=oauthlib opencv-contrib-python=cv2 opencv-python=cv2
    opencv-contrib-python-headless=cv2 opencv-python-headless=cv2 openai=openai paho-mqtt=paho
    pdfminer-six=pdfminer pillow=PIL prometheus-client=prometheus_client protobuf=google.protobuf
    psycopg=psycopg psycopg-binary=psycopg psycopg2=psycopg2 psycopg2-binary=psycopg2 py2neo=py2neo
    pycryptodome=Crypto pycryptodomex=Cryptodome pydantic-settings=pydantic_settings pyfcm=pyfcm
    pygments=pygments pygithub=github pyjwt=jwt pymupdf=fitz,pymupdf pynacl=nacl pyopenssl=OpenSSL
    pypdf2=PyPDF2 pyserial=serial pysocks=socks,sockshandler pytelegrambotapi=telebot pyyaml=yaml
    python-barcode=barcode python-crontab=crontab python-dateutil=dateutil python-decouple=decouple
    python-docx=docx python-dotenv=dotenv python-gnupg=gnupg python-http-client=python_http_client
    python-jose=jose python-json-logger=pythonjsonlogger python-ldap=ldap python-logstash=logstash
    python-magic=magic python-memcached=memcache python-multipart=multipart,python_multipart
    python-pptx=pptx python-slugify=slugify python-socketio=socketio python-telegram-bot=telegram
    pywin32=win32api,win32con rabbitpy=rabbitpy requests-aws4auth=requests_aws4auth
    ruamel-yaml=ruamel.yaml,ruamel_yaml scikit-image=skimage scikit-learn=sklearn sendgrid=sendgrid
    sentence-transformers=sentence_transformers sentry-sdk=sentry_sdk slack-bolt=slack_bolt
    slack-sdk=slack_sdk,slack snowflake-connector-python=snowflake.connector speechrecognition=speech_recognition
    tb-nightly=tensorboard tensorflow-cpu=tensorflow typing-extensions=typing_extensions
    umap-learn=umap unidecode=unidecode websocket-client=websocket xlsxwriter=xlsxwriter
    flask-cors=flask_cors flask-jwt-extended=flask_jwt_extended flask-sqlalchemy=flask_sqlalchemy
    markdown=markdown msgpack-python=msgpack mysql-connector=mysql.connector pika=pika
    apache-airflow=airflow boto=boto tensorflow-gpu=tensorflow torchvision=torchvision
    elasticsearch-dsl=elasticsearch_dsl graphene-django=graphene_django strawberry-graphql=strawberry
    aws-lambda-powertools=aws_lambda_powertools pyre-extensions=pyre_extensions gspread=gspread
"""
OTHER_NAMES = {
    name: tuple(modules.split(","))
    for name, _, modules in (each.partition("=") for each in _OTHER_NAMES.split())
}
"""By the name of a package in its normal form."""

_SAME_NAME = """
    aiofiles aiohttp aiomysql aioredis aiosmtplib aiosqlite alembic altair anthropic arrow asyncpg
    authlib babel backoff bcrypt bleach bokeh boto3 bottle cachetools celery chardet cherrypy click
    cloudscraper colorama cryptography dash dask dataclasses-json deepdiff defusedxml dill django
    docopt elasticsearch emoji fabric faker falcon fastapi feedparser fire flask folium fpdf
    fuzzywuzzy gensim geopandas geopy gradio graphene gspread h5py html5lib httpx humanize jinja2
    joblib jsonpickle jsonschema kazoo keras kombu kubernetes langchain lightgbm loguru lxml mangum
    marshmallow matplotlib mechanize mistune mlflow mongoengine moto motor msgpack nltk networkx
    numba numpy oauth2client openai openpyxl orjson pandas paramiko passlib peewee pendulum pexpect
    plotly polars praw premailer prefect psutil pyarrow pycountry pydantic pymemcache pymongo pymysql
    pyodbc pyotp pysftp pytesseract pytz qrcode rapidfuzz redis reportlab requests requests-toolbelt
    responses retrying rich rq sanic scipy scrapy seaborn selenium shapely shortuuid simplejson
    sqlalchemy sqlmodel starlette statsmodels stripe structlog sympy tabulate tenacity tensorflow
    termcolor textblob tiktoken toml torch tornado tqdm transformers tweepy twilio typer twisted
    ujson validators voluptuous weasyprint werkzeug wtforms xgboost xlrd xlwt xmltodict zeep
"""
OF_ITS_NAME = frozenset(_SAME_NAME.split())
"""Well-known packages that are imported by their own name, and by people's own code."""

_WITH = """
    aiomysql aiosqlite asyncpg cx-oracle mysqlclient mysql-connector-python oracledb psycopg
    psycopg-binary psycopg-c psycopg2 psycopg2-binary pymssql pymysql pyodbc greenlet sqlite-vec
        : sqlalchemy flask_sqlalchemy sqlmodel django databases tortoise peewee playhouse ormar pandas polars gino piccolo masonite orator dataset alembic
    python-multipart itsdangerous jinja2 orjson ujson httptools websockets watchfiles uvloop
        : fastapi starlette uvicorn sanic litestar
    email-validator : pydantic fastapi wtforms flask_wtf marshmallow
    h2 hpack brotli brotlicffi socksio zstandard : httpx aiohttp urllib3 hypercorn requests scrapy
    aiodns cchardet : aiohttp
    lxml html5lib cchardet chardet soupsieve : bs4 pandas scrapy readability zeep docx pptx premailer
    openpyxl xlrd xlwt xlsxwriter pyarrow fastparquet numexpr bottleneck tables s3fs gcsfs fsspec
    tabulate matplotlib jinja2 odfpy pyxlsb python-calamine connectorx deltalake
        : pandas polars dask awswrangler geopandas modin
    cryptography pycryptodome rsa ecdsa : jwt jose authlib pymysql paramiko josepy snowflake jwcrypto google adal msal oracledb botocore boto3 oscrypto
    pillow : django qrcode reportlab matplotlib fpdf weasyprint docx pptx openpyxl xhtml2pdf imageio torchvision treepoem barcode pytesseract streamlit
    argon2-cffi bcrypt : passlib django pwdlib flask_bcrypt nacl paramiko
    dnspython : pymongo motor email_validator eventlet mongoengine beanie odmantic
    gevent eventlet : gunicorn celery flask_socketio socketio
    redis hiredis kombu vine billiard amqp librabbitmq pyamqp sqs : celery django redis rq flask_caching flask_session aiocache cachelib django_redis kombu channels_redis huey dramatiq limits flask_limiter slowapi
    pymemcache pylibmc python-memcached : django flask_caching aiocache cachelib limits
    boto3 botocore awscrt : storages s3fs smart_open kombu celery moto awswrangler sagemaker chalice pynamodb zappa datasets dvc
    google-cloud-storage azure-storage-blob azure-identity dropbox paramiko : storages smart_open
    numpy : pandas scipy sklearn cv2 torch tensorflow matplotlib pyarrow onnxruntime xgboost lightgbm keras transformers skimage statsmodels faiss shapely numba networkx imageio gensim spacy librosa
    scipy joblib threadpoolctl pandas : sklearn statsmodels xgboost lightgbm imblearn librosa shap prophet
    torch tensorflow sentencepiece accelerate tokenizers protobuf safetensors einops : transformers sentence_transformers spacy diffusers langchain keras
    tensorflow torch jax : keras
    protobuf grpcio : google grpc tensorflow onnx opentelemetry feast
    grpcio-status googleapis-common-protos : google grpc
    pydantic-settings python-dotenv : pydantic pydantic_settings flask uvicorn starlette decouple environs dynaconf
    click blinker markupsafe werkzeug jinja2 itsdangerous : flask quart
    simplejson ujson orjson : flask_restful marshmallow structlog pythonjsonlogger jsonpickle
    setproctitle : gunicorn celery
    pyopenssl service-identity : twisted scrapy urllib3 requests
    cffi : cairocffi weasyprint pygit2
    packaging pyparsing wheel : setuptools pkg_resources
    keyring keyrings-alt secretstorage : keyring
    libcst pycountry phonenumbers phonenumberslite : pydantic_extra_types phonenumber_field
    requests : requests_oauthlib requests_aws4auth requests_toolbelt zeep
    pygments : rich IPython django_extensions rest_framework markdown mkdocs docutils
    markdown : rest_framework flask_flatpages
    django-filter : rest_framework
    coreapi uritemplate pyyaml inflection : rest_framework drf_yasg
    pyyaml tomli toml : apispec uvicorn dynaconf omegaconf connexion flasgger logging prefect kubernetes jsonschema
    python-magic libmagic : unstructured textract
    pika aio-pika : kombu nameko dramatiq faststream celery
    aiokafka confluent-kafka nats-py : faststream faust
    flask : functions_framework connexion flask_restful flask_cors dash serverless_wsgi
    pysocks socksio : requests urllib3 httplib2 httpx httpcore telethon praw slack_sdk
    awscrt : boto3 botocore awsiot
    fastexcel pyarrow adbc-driver-postgresql adbc-driver-sqlite sqlalchemy xlsx2csv : polars
    pyarrow pandas polars numpy fsspec s3fs gcsfs adlfs : duckdb
    s3fs gcsfs adlfs pyarrowfs-adlgen2 : pyarrow xarray zarr dask polars intake pyiceberg deltalake huggingface_hub datasets
    openai anthropic cohere mistralai groq tiktoken langchain-openai langchain-anthropic langchain-aws langchain-google-genai langchain-community
        : langchain llama_index crewai haystack litellm
    netcdf4 h5netcdf zarr cfgrib rioxarray bottleneck : xarray
    faiss-cpu chromadb pinecone qdrant-client unstructured pypdf : langchain langchain_community llama_index
    tzdata pytz backports-zoneinfo : *
"""


def _with(table: str) -> dict[str, frozenset[str]]:
    """Read a table: packages, a colon, and what uses them."""
    found: dict[str, frozenset[str]] = {}
    waiting: list[str] = []
    for line in table.strip().split("\n"):
        names, colon, users = line.partition(": ")
        waiting += names.split()
        if colon:
            for name in waiting:
                found[name] = found.get(name, frozenset()) | frozenset(users.split())
            waiting = []
    return found


USED_BY = _with(_WITH)
"""Modules that use a package which the code of an application need not import."""

_BROUGHT_ALONG = """
    annotated-types anyio appdirs argcomplete asgiref asn1crypto async-timeout attrs billiard
    aiohappyeyeballs aiosignal blinker botocore certifi cffi charset-normalizer click contourpy cycler
    colorama decorator deprecated distlib distro docutils et-xmlfile exceptiongroup filelock fonttools
    flatbuffers frozenlist fsspec google-api-core google-auth google-auth-oauthlib google-cloud-core
    google-crc32c google-resumable-media googleapis-common-protos greenlet grpcio grpcio-status h11 h2
    hpack httpcore httplib2 hyperframe idna importlib-metadata importlib-resources iniconfig isodate
    itsdangerous jinja2 jiter jmespath joblib jsonpatch jsonpointer jsonschema jsonschema-specifications
    kiwisolver mako markdown-it-py markupsafe mdurl more-itertools msgpack multidict mypy-extensions
    narwhals networkx oauthlib packaging pathspec platformdirs pluggy ply propcache proto-plus protobuf
    pyasn1 pyasn1-modules pycparser pydantic-core pygments pyparsing pyrsistent python-dateutil pytz
    referencing regex requests-oauthlib rpds-py rsa s3transfer safetensors setuptools six smmap gitdb
    sniffio sortedcontainers soupsieve sqlparse starlette stack-data threadpoolctl tokenizers tomli
    toolz tornado traitlets typing-extensions typing-inspect typing-inspection tzdata tzlocal
    uritemplate urllib3 vine wcwidth webencodings websockets werkzeug wheel wrapt yarl zipp zope-interface
"""
BROUGHT_ALONG = frozenset(_BROUGHT_ALONG.split())
"""What is mostly there because other packages need it: nobody has asked for it."""

_SERVERS = "gunicorn uvicorn hypercorn daphne waitress granian uwsgi gevent meinheld bjoern"
SERVERS = frozenset(_SERVERS.split())
"""What is started by a command. Where it is not told here which, a host may start it."""

_STARTED = """
    awslambdaric functions-framework ddtrace datadog-lambda newrelic newrelic-lambda lumigo-tracer
    elastic-apm pip setuptools wheel build hatch hatchling poetry poetry-core pdm uv twine tox nox
    ipython ipdb ipykernel jupyter jupyterlab notebook black ruff isort mypy pylint pyright coverage
    bandit safety pip-audit pre-commit pytest moto cython supervisor circus honcho watchdog
    zappa chalice awscli aws-sam-cli awsebcli crhelper casemate pyinstaller nuitka debugpy debugpy-run
    watchtower scalene py-spy memory-profiler setproctitle certifi truststore pip-system-certs
"""
STARTED = frozenset(_STARTED.split())
"""What is run beside the code, or by the platform."""

UNIMPORTED = (
    *(
        "types-",
        "pytest-",
        "flake8",
        "mypy-",
        "sphinx",
        "mkdocs",
        "setuptools-",
        "hatch-",
        "poetry-",
    ),
    *(
        "opentelemetry-",
        "aws-opentelemetry-",
        "jupyter",
        "keyrings-",
        "pylint-",
        "nvidia-",
        "tree-sitter-",
    ),
    *(
        "apache-airflow-",
        "dbt-",
        "en-core-",
        "celery-",
        "sqlalchemy-",
        "pandas-stubs",
        "backports-",
    ),
)
"""Beginnings of names of what is found by its entry points, or is for tools alone."""

NODE_UNIMPORTED = (
    *(
        "@types/",
        "@babel/",
        "babel-",
        "eslint",
        "@eslint/",
        "postcss",
        "webpack",
        "@swc/",
        "rollup",
    ),
    *(
        "serverless-",
        "@serverless/",
        "prettier",
        "stylelint",
        "karma",
        "grunt",
        "gulp",
        "vite",
        "@vitejs/",
    ),
    *(
        "esbuild",
        "@rollup/",
        "@nestjs/platform-",
        "@opentelemetry/",
        "@next/",
        "jest",
        "ts-",
        "@tailwindcss/",
    ),
)
_NODE_STARTED = """
    typescript tslib tsx nodemon pm2 husky core-js regenerator-runtime source-map-support cross-env
    concurrently rimraf npm-run-all dotenv-cli prisma sharp-cli bufferutil utf-8-validate encoding
    tailwindcss autoprefixer sass less turbo lerna nx node npm yarn pnpm pino-pretty newrelic dd-trace
    datadog-lambda-js aws-lambda-ric serverless aws-cdk aws-cdk-lib parcel @parcel/core forever nan node-gyp
    node-addon-api node-pre-gyp prebuild-install react-scripts next nuxt gatsby @functions-framework
    @google-cloud/functions-framework env-cmd mocha chai vitest
"""
NODE_STARTED = frozenset(_NODE_STARTED.split())
_NODE_WITH = """
    pg pg-native pg-hstore mysql mysql2 mariadb sqlite3 better-sqlite3 tedious oracledb mssql
        : knex typeorm sequelize sequelize-typescript objection bookshelf @mikro-orm/core drizzle-orm @nestjs/typeorm @nestjs/sequelize strapi @strapi/strapi
    reflect-metadata rxjs class-validator class-transformer express fastify
        : @nestjs/core @nestjs/common typeorm tsyringe inversify type-graphql routing-controllers
    react react-dom scheduler : next react react-dom gatsby @remix-run/react react-scripts
    ejs pug hbs handlebars nunjucks : express @fastify/view fastify koa-views @hapi/vision email-templates
    graphql : @apollo/server apollo-server apollo-server-lambda type-graphql graphql-yoga @nestjs/graphql
    ioredis redis : bull bullmq connect-redis cache-manager @nestjs/bull @fastify/redis
    @aws-sdk/client-sts @aws-sdk/client-sso-oidc : @aws-sdk/credential-providers
    ajv zod joi yup : ajv-formats @hookform/resolvers @middy/validator zod-to-json-schema
    canvas : jsdom chart.js
    puppeteer-core chromium : puppeteer chrome-aws-lambda @sparticuz/chromium
    socket.io-adapter ws : socket.io graphql-ws subscriptions-transport-ws
    webpack : webpack-cli
    @prisma/client : prisma
"""


NODE_USED_BY = _with(_NODE_WITH)
"""Packages of npm that use another which the code need not import."""
