"""Packages of npm that use no right of a function by themselves; one that is not in here may."""

from __future__ import annotations

_BUILT_IN = """
    assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel
    dns events fs http http2 https inspector module net os path perf_hooks process punycode
    querystring readline repl sqlite stream string_decoder test timers tls tty url util v8 vm wasi
    worker_threads zlib
"""
_HARMLESS = """
    @apollo/client @apollo/server @as-integrations/aws-lambda @azure/identity @elastic/elasticsearch
    @fastify/aws-lambda @fastify/cors @google-cloud/storage @googlemaps/google-maps-services-js
    @hapi/boom @hapi/joi @hono/zod-validator @middy/core @middy/http-cors @middy/http-error-handler
    @middy/http-event-normalizer @middy/http-header-normalizer @middy/http-json-body-parser
    @middy/http-response-serializer @middy/http-security-headers @middy/input-output-logger
    @middy/validator @middy/warmup @middy/do-not-wait-for-empty-event-loop @middy/event-normalizer
    @octokit/rest @opentelemetry/api @planetscale/database @prisma/client @sendgrid/mail
    @sentry/node @sentry/serverless @sentry/aws-serverless @sinclair/typebox @slack/bolt
    @slack/web-api @slack/webhook @vendia/serverless-express @codegenie/serverless-express
    @koa/router @koa/cors
    aws-lambda aws-serverless-express ajv ajv-formats alexa-sdk ask-sdk-core ask-sdk axios
    axios-retry base64url bcrypt bcryptjs better-sqlite3 big.js bignumber.js bluebird body-parser
    boom bunyan busboy cache-manager canvas chalk cheerio class-transformer class-validator clone
    compression cookie cookie-parser cors cron-parser cross-fetch crypto-js csv-parse csv-parser
    csv-stringify cuid date-fns date-fns-tz dayjs debug decimal.js deep-equal deepmerge discord.js
    discord-interactions dotenv ejs email-validator escape-html eventemitter3 exceljs express
    express-validator fast-xml-parser fastify faunadb file-type firebase-admin form-data fs-extra
    gm google-auth-library googleapis got graphql graphql-request graphql-tag handlebars hashids he
    helmet highland hono html-entities html-escaper html-to-text http-errors http-status
    http-status-codes hashids iconv-lite immutable ioredis ipaddr.js isomorphic-fetch
    isomorphic-unfetch jimp joi js-yaml jsdom json2csv jsonpath jsonschema jsonwebtoken jszip
    jwks-rsa jwt-decode jose knex koa koa-bodyparser koa-router lambda-api lambda-log ledis
    linebot lodash lodash-es log4js loglevel long lru-cache luxon mailgun-js mariadb markdown-it
    marked md5 memoizee mime mime-types moment moment-timezone mongodb mongoose morgan ms mssql
    multer mustache mysql mysql2 nanoid nock node-cache node-fetch node-forge node-html-parser
    nodemailer nunjucks oauth openai otplib p-limit p-map p-retry papaparse parse-multipart passport
    pdf-lib pdfkit pdf-parse pg pg-format pg-hstore pg-promise pino pino-pretty prom-client
    promise-mysql pug puppeteer-core pusher qrcode qs ramda raven raw-body react react-dom redis
    redoc reflect-metadata request request-promise request-promise-native resolve rollbar rss-parser
    rxjs sanitize-filename sanitize-html semver sequelize serverless-http serverless-mysql
    serverless-postgres serverless-express sharp slugify sodium-native source-map-support sqlite3
    sqlstring stripe superagent superstruct tar telegraf tedious tiny-invariant tough-cookie
    tslib twilio twitter typeorm typescript ua-parser-js ulid underscore undici uuid valid-url
    validator web-push winston ws xlsx xml2js xmldom xmlbuilder yaml yargs yup zod
    @babel/runtime core-js regenerator-runtime crypto-random-string dataloader fastest-validator
    make-error @types/aws-lambda cfn-response cfn-response-async http-proxy https-proxy-agent
    agentkeepalive @aws-lambda-powertools/logger @aws-lambda-powertools/metrics
    @aws-lambda-powertools/tracer @aws-lambda-powertools/commons @aws-lambda-powertools/batch
    @aws-lambda-powertools/event-handler @aws-lambda-powertools/validation
    @aws-lambda-powertools/parser aws-xray-sdk aws-xray-sdk-core aws-embedded-metrics
    @aws-sdk/util-dynamodb @aws-sdk/types @aws-sdk/lib-dynamodb @aws-sdk/lib-storage
    @aws-sdk/s3-request-presigner @aws-sdk/s3-presigned-post @aws-sdk/util-utf8-node
    @aws-sdk/util-utf8 @aws-sdk/util-stream-node @aws-sdk/util-format-url @aws-sdk/util-buffer-from
    @aws-sdk/util-arn-parser @smithy/node-http-handler @smithy/util-retry @smithy/types
    @smithy/util-stream @smithy/smithy-client @aws-sdk/smithy-client @aws-sdk/node-http-handler
    @aws-sdk/util-create-request @smithy/util-utf8 @smithy/fetch-http-handler aws-sdk
    hot-shots datadog-lambda-js dd-trace newrelic @datadog/datadog-ci unzipper archiver jsonpath-plus
"""
HARMLESS = frozenset((*_BUILT_IN.split(), *_HARMLESS.split()))
PROGRAMS = frozenset(("child_process", "execa", "shelljs", "cross-spawn", "worker_threads"))
"""Packages that run something that is not read."""
