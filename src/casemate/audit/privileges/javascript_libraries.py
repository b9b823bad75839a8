"""Packages of npm that use no right of a function by themselves; one that is not in here may."""

from __future__ import annotations

_BUILT_IN = """
    assert async_hooks buffer child_process cluster console constants crypto dgram
    diagnostics_channel dns events fs http http2 https inspector module net os path perf_hooks
    process punycode querystring readline repl sqlite stream string_decoder test timers tls tty
    url util v8 vm wasi worker_threads zlib
"""
_HARMLESS = """
    @apollo/client @apollo/server @as-integrations/aws-lambda @aws-lambda-powertools/batch
    @aws-lambda-powertools/commons @aws-lambda-powertools/event-handler
    @aws-lambda-powertools/logger @aws-lambda-powertools/metrics @aws-lambda-powertools/parser
    @aws-lambda-powertools/tracer @aws-lambda-powertools/validation @aws-sdk/lib-dynamodb
    @aws-sdk/lib-storage @aws-sdk/node-http-handler @aws-sdk/s3-presigned-post
    @aws-sdk/s3-request-presigner @aws-sdk/smithy-client @aws-sdk/types @aws-sdk/util-arn-parser
    @aws-sdk/util-buffer-from @aws-sdk/util-create-request @aws-sdk/util-dynamodb
    @aws-sdk/util-format-url @aws-sdk/util-stream-node @aws-sdk/util-utf8 @aws-sdk/util-utf8-node
    @azure/identity @babel/runtime @codegenie/serverless-express @datadog/datadog-ci
    @elastic/elasticsearch @faker-js/faker @fastify/aws-lambda @fastify/cors @google-cloud/storage
    @googlemaps/google-maps-services-js @hapi/boom @hapi/joi @hono/zod-validator @koa/cors
    @koa/router @middy/core @middy/do-not-wait-for-empty-event-loop @middy/event-normalizer
    @middy/http-cors @middy/http-error-handler @middy/http-event-normalizer
    @middy/http-header-normalizer @middy/http-json-body-parser @middy/http-response-serializer
    @middy/http-security-headers @middy/input-output-logger @middy/validator @middy/warmup
    @octokit/rest @opentelemetry/api @planetscale/database @prisma/client @sendgrid/mail
    @sentry/aws-serverless @sentry/node @sentry/serverless @sinclair/typebox @slack/bolt
    @slack/web-api @slack/webhook @smithy/fetch-http-handler @smithy/node-http-handler
    @smithy/smithy-client @smithy/types @smithy/util-retry @smithy/util-stream @smithy/util-utf8
    @types/aws-lambda @vendia/serverless-express adm-zip agentkeepalive ajv ajv-formats alexa-sdk
    apollo-server-lambda archiver ask-sdk ask-sdk-core atob aws-embedded-metrics aws-lambda
    aws-lambda-multipart-parser aws-sdk aws-serverless-express aws-xray-sdk aws-xray-sdk-core axios
    axios-retry base64url bcrypt bcryptjs better-sqlite3 big.js bignumber.js bluebird body-parser
    boom btoa bunyan busboy cache-manager canvas cfn-response cfn-response-async chalk cheerio
    class-transformer class-validator clone cloudevents compression config cookie cookie-parser
    core-js cors cron-parser cross-fetch crypto-js crypto-random-string csv-parse csv-parser
    csv-stringify cuid datadog-lambda-js dataloader date-fns date-fns-tz dayjs dd-trace debug
    decimal.js deep-equal deepmerge discord-interactions discord.js dotenv ejs email-validator
    escape-html eventemitter3 exceljs express express-validator faker fast-xml-parser
    fastest-validator fastify faunadb file-type firebase-admin forecast.io form-data fs-extra gm
    google-auth-library googleapis got graphql graphql-request graphql-tag graphql-yoga handlebars
    hashids he helmet highland hono hot-shots html-entities html-escaper html-to-text http-errors
    http-proxy http-status http-status-codes https-proxy-agent iconv-lite immutable ioredis
    ipaddr.js isomorphic-fetch isomorphic-unfetch jimp joi jose js-yaml jsdom json2csv jsonpath
    jsonpath-plus jsonschema jsonwebtoken jszip jwk-to-pem jwks-rsa jwt-decode knex koa
    koa-bodyparser koa-router lambda-api lambda-log lambda-multipart-parser ledis linebot lodash
    lodash-es log4js loglevel long lru-cache luxon mailgun-js mailparser make-error mariadb
    markdown-it marked md5 memoizee mime mime-types moment moment-timezone mongodb mongoose morgan
    ms mssql multer mustache mysql mysql2 nanoid newrelic nock node-cache node-fetch node-forge
    node-html-parser node-jose node-uuid nodemailer numeral nunjucks oauth octonode openai otplib
    p-limit p-map p-retry papaparse parse-multipart passport pdf-lib pdf-parse pdfkit pg
    pg-connection-string pg-format pg-hstore pg-promise pino pino-pretty postmark prom-client
    promise-mysql pug puppeteer-core pusher qrcode qs ramda raven raw-body react react-dom redis
    redoc reflect-metadata regenerator-runtime request request-promise request-promise-native
    resolve rollbar rss-parser rxjs sanitize-filename sanitize-html semver sentiment sequelize
    serverless-express serverless-http serverless-mysql serverless-offline serverless-postgres sharp
    short-uuid slack-node slugify sodium-native source-map-support sqlite3 sqlstring stripe
    superagent superstruct tar tedious telegraf tiny-invariant tough-cookie tslib twilio twitter
    typeorm typescript ua-parser-js ulid underscore undici unzipper uuid valid-url validator
    web-push winston ws xlsx xml2js xmlbuilder xmldom yaml yargs yup zod
"""
HARMLESS = frozenset((*_BUILT_IN.split(), *_HARMLESS.split()))
PROGRAMS = frozenset(("child_process", "execa", "shelljs", "cross-spawn", "worker_threads"))
"""Packages that run something that is not read."""
