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
_OF_BLOCKCHAINS = """
    bitcoinjs-lib bn.js bs58 caver-js ed25519-hd-key elliptic eth-sig-util ethereum-cryptography
    ethereumjs-tx ethereumjs-util ethereumjs-wallet ethers ethjs-unit hdkey ipfs-http-client
    js-sha256 js-sha3 js-sha512 keccak keccak256 merkletreejs moonbeam-types-bundle near-api-js
    secp256k1 siwe tronweb tweetnacl tweetnacl-util viem web3 web3-eth-abi web3-utils xrpl
"""
_OF_SERVICES_OF_OTHERS = """
    airtable algoliasearch apn asana auth0 braintree cloudconvert cloudinary coinbase contentful
    contentful-management deepl-node discord-api-types discord-reply discord.js-light
    expo-server-sdk fb firebase firebase-functions getstream gitlab gocardless-nodejs groq-sdk
    hubspot ibm-watson instagram-private-api intercom-client jira-client jsforce
    mailchimp-api-v3 mailersend mailjet mandrill-api meilisearch mercadopago messagebird
    mixpanel mollie-api-node node-mailjet node-quickbooks node-telegram-bot-api node-zendesk
    onesignal-node paypal-rest-sdk plaid posthog-node prismic-javascript pubnub razorpay
    replicate resend ringcentral sib-api-v3-sdk slack-block-builder slash-create snoowrap
    spotify-web-api-node square strava-v3 stream-chat stytch telegram tmi.js trello twit
    twitter-api-v2 twitter-lite unsplash-js vonage webflow-api whatsapp-web.js yelp-fusion
    youtubei.js ytdl-core ytpl ytsr
"""
_OF_SERVERS = """
    accepts apollo-cache-control apollo-cache-inmemory apollo-client apollo-datasource
    apollo-datasource-rest apollo-link apollo-link-http apollo-server apollo-server-core
    apollo-server-errors apollo-server-express apollo-server-plugin-base
    apollo-server-plugin-response-cache apollo-server-types apollo-tracing body-parser-xml
    bottlejs boxen celebrate clean-stack co colors connect connect-flash connect-redis consola
    content-type convict cookie-session cookie-signature cors-anywhere cors-gate csrf csurf depd
    dns-packet ejs-mate encodeurl envalid errorhandler etag express-async-errors
    express-async-handler express-basic-auth express-fileupload express-graphql
    express-handlebars express-jwt express-mongo-sanitize express-oauth2-jwt-bearer
    express-promise-router express-rate-limit express-session express-unless express-winston
    express-ws fastify-cors fastify-plugin find-my-way formidable forwarded fresh
    graphql-depth-limit graphql-middleware graphql-scalars graphql-shield graphql-subscriptions
    graphql-tools graphql-type-json graphql-ws helmet-csp hpp http-proxy-middleware
    http-terminator inversify inversify-express-utils itty-router jsonapi-serializer koa-body
    koa-compose koa-helmet koa-json koa-logger koa-mount koa-send koa-session koa-static
    lambda-router light-my-request method-override micro middy-middleware-json-error-handler
    multiparty negotiator nest-winston nestjs-pino nocache on-finished on-headers
    openapi-backend openapi-types parse-multipart-data parseurl passport-custom
    passport-facebook passport-github2 passport-google-oauth passport-google-oauth2
    passport-google-oauth20 passport-http passport-http-bearer passport-jwt passport-local
    passport-twitter path-to-regexp polka proxy-addr rate-limiter-flexible response-time restify
    restify-errors routing-controllers serve-favicon serve-static socket.io socket.io-client
    statuses swagger-ui-dist swagger-ui-express tsoa tsyringe type-graphql type-is typedi unless
    vary xss xss-clean y18n
"""
_OF_DATA = """
    alasql apicache arangojs argon2 async async-lock async-mutex async-retry avsc
    aws-lambda-fastify aws-serverless-fastify babel-polyfill babel-runtime base-64 base64-js
    bcrypt-nodejs binary-search bl bloom-filters bottleneck brotli buffer builder-pattern bytes
    cacheable-lookup camel-case camelcase camelcase-keys case cassandra-driver chance
    change-case chardet charenc chroma-js chrome-aws-lambda chromium-bidi
    class-transformer-validator cli-color cli-progress cls-hooked clsx color color-convert
    columnify combined-stream commander common-tags concat-stream conf content-disposition
    couchbase cross-env crypt crypto-secure-random-digit csv csv-writer csvtojson currency.js d3
    d3-array d3-scale d3-time-format data-uri-to-buffer date-and-time date-holidays dateformat
    decamelize decimal decompress deep-diff deep-extend deep-object-diff deepcopy defu delay
    denque destr detect-libc detect-port diff djv dns-socket docx docxtemplater dot dot-object
    dot-prop dotenv-expand dotenv-flow dotenv-safe drizzle-orm duplexify easy-soap-request
    ed2curve encoding env-ci env-var error-stack-parser es6-promise es6-promisify
    escape-string-regexp event-stream events-to-array exif-parser exif-reader exifr
    exponential-backoff extend fast-csv fast-deep-equal fast-json-patch
    fast-json-stable-stringify fast-levenshtein fast-redact fast-safe-stringify fast-sort
    fast-uri fetch-blob fetch-retry ffmpeg-static ffprobe-static figlet file-saver find-up flat
    flatted follow-redirects fp-ts from2 front-matter fuse.js fuzzball fuzzysort geo-tz
    geoip-lite geojson geolib get-stream get-value glob global globby graphlib gray-matter
    handlebars-helpers has hash-sum hash.js haversine haversine-distance heic-convert hexoid
    highlight.js hoek html-minifier htmlparser2 http2-wrapper https human-readable-ids
    humanize-duration hyper-express i18n i18n-iso-countries i18next i18next-fs-backend ical
    ical-generator icojs ignore image-size image-type imap imap-simple immer imurl inflected
    inflection influx ini inquirer intl intl-messageformat invariant io-ts ioredis-mock ip
    ip-cidr ip-regex is-docker is-my-json-valid is-plain-object is-stream is-url is-uuid
    is-valid-path iso-3166-1 iso8601-duration isomorphic-dompurify isomorphic-git isomorphic-ws
    jaro-winkler js-base64 js-beautify js-combinatorics js-cookie js-levenshtein
    js-string-escape js-tiktoken jsbi json-bigint json-logic-js json-parse-better-errors
    json-rules-engine json-schema json-schema-faker json-schema-to-ts json-schema-traverse
    json-stable-stringify json-stringify-safe json5 jsondiffpatch jsonfile jsonld jsonpatch
    jsonstream jspdf jsrsasign jstat just-clone kafkajs keyv keyword-extractor kind-of kuromoji
    latlon-geohash launchdarkly-node-server-sdk level leven libphonenumber-js lightstep-tracer
    link-preview-js linkedom linkify-it linkifyjs lodash.camelcase logform lokijs lowdb
    lower-case lunr mailcomposer mammoth map-obj markdown-to-jsx mathjs maxmind mem memoize
    memoize-one memory-cache merge merge-deep merge-options merge-stream messageformat
    metascraper micromatch mingo minimatch minimist mitt mkdirp ml-matrix moment-range
    mongo-sanitize mongodb-memory-server mongoose-paginate-v2 mongoose-unique-validator monk
    mqtt mri multistream murmurhash mysql-import namecase nano nanoevents natural ncp
    neo4j-driver neverthrow node-abort-controller node-addon-api node-cron node-emoji
    node-fetch-commonjs node-fetch-native node-geocoder node-ical node-input-validator
    node-localstorage node-machine-id node-pg-migrate node-polyglot node-rsa node-sass
    node-schedule node-sql-parser node-ssh node-stream-zip node-xlsx node-zip
    nodemailer-smtp-transport normalize-path normalize-url object-assign object-hash object-path
    object-sizeof objection ohash on-change open-graph-scraper openapi-fetch openapi-typescript
    opossum ora otpauth p-all p-debounce p-filter p-queue p-reduce p-settle p-throttle p-timeout
    p-wait-for pako param-case parse-domain parse-duration parse5 parsimmon pascal-case
    path-browserify path-exists pdf2json pdfjs-dist pdfmake performance-now pg-boss pg-mem
    pg-query-stream pg-types phone pify pikaday pino-http pino-lambda pino-std-serializers
    playwright playwright-aws-lambda playwright-core plist pluralize png-js pngjs polyline
    pretty-bytes pretty-ms prettyjson proj4 promise promise-retry promise.allsettled promised-io
    prompt prompts proper-lockfile proxy-agent psl pump pumpify punycode.js puppeteer
    puppeteer-extra puppeteer-extra-plugin-stealth pure-rand qrcode-svg qs-stringify quick-lru
    quill-delta random random-js random-seed randomatic randombytes randomstring range-parser rc
    re2 react-dom-server read-pkg readable-stream recursive-readdir redlock redux regression
    remark remarkable remove-markdown replace-in-file request-ip request-promise-core retry
    retry-axios rfdc robots-parser rrule rss rss-to-json rsvp runes safe-buffer
    safe-json-stringify safe-regex safe-stable-stringify sax scmp seedrandom semver-compare
    serialize-error serialize-javascript set-value shallowequal shell-quote shortid showdown
    signal-exit simple-oauth2 simple-statistics sinon slash slug snake-case snakecase-keys
    sns-validator soap sort-keys spdx-license-list split split2 sprintf-js sql-formatter
    sql-template-strings sql-template-tag sqlstring-sqlite squel ssh2 ssh2-sftp-client
    stack-trace statsd-client stemmer stopword stream-array stream-buffers stream-chain
    stream-json stream-to-array stream-to-promise string-format string-hash string-similarity
    string-strip-html string-template strip-ansi strip-json-comments striptags styled-components
    subscriptions-transport-ws supports-color surrealdb.js svg-captcha svgo table tabletojson
    tar-fs tar-stream tesseract.js text-encoding throat throttle-debounce through through2
    tiktoken time-ago timeago.js timespan tiny-async-pool tiny-emitter tinycolor2 title-case
    tldjs tldts tmp tmp-promise to-regex-range toml topojson-client toposort trim
    ts-case-convert ts-custom-error ts-essentials ts-md5 ts-pattern ts-results turndown tv4
    type-fest typescript-collections typescript-memoize typical ufo uglify-js uid uid-safe ulidx
    undici-types unfluff unidecode uniqid unirest universalify unorm unzip-stream uri-js
    url-join url-metadata url-parse url-pattern url-template urlsafe-base64 utf8 util-deprecate
    utility-types uuid-by-string uuid-random uuidv4 v8-compile-cache v8n valibot validate.js
    validatorjs vcards-js vcf vega vega-lite voca weaviate-ts-client web-streams-polyfill
    whatwg-fetch whatwg-url which winston-transport word-extractor word-wrap write-file-atomic
    xlsx-populate xlsx-style xml xml-crypto xml-formatter xml-js xml-parser xml2json xmlbuilder2
    xmldoc xmlhttprequest xmlserializer xpath xregexp xstate xtend yallist yamljs yargs-parser
    yauzl yazl yup-password zip-stream zlibjs zod-to-json-schema zod-validation-error zustand
"""
"""What computes, parses, writes and asks other servers: nothing in it has a client of AWS."""
_SCOPES = (
    *("@types/", "@google-cloud/", "@azure/", "@opentelemetry/", "@sentry/", "@nestjs/"),
    *("@fastify/", "@hono/", "@hapi/", "@koa/", "@octokit/", "@slack/", "@prisma/", "@trpc/"),
    *("@apollo/", "@graphql-tools/", "@graphql-codegen/", "@babel/", "@emotion/", "@mui/"),
    *("@react-email/", "@react-pdf/", "@ethersproject/", "@solana/", "@polkadot/", "@uniswap/"),
    *("@acala-network/", "@enzymefinance/", "@openzeppelin/", "@metaplex-foundation/", "@noble/"),
    *("@scure/", "@discordjs/", "@mikro-orm/", "@turf/", "@sendgrid/", "@mailchimp/", "@shopify/"),
    *("@stripe/", "@tanstack/", "@peculiar/", "@simplewebauthn/", "@auth0/", "@okta/", "@clerk/"),
    *("@notionhq/", "@line/", "@paralleldrive/", "@formatjs/", "@supabase/", "@upstash/"),
    *("@js-joda/", "@sindresorhus/", "@contentful/", "@elastic/", "@grpc/"),
    *("@pinecone-database/", "@qdrant/", "@google/", "@googleapis/", "@mistralai/", "@twilio/"),
    *("@vonage/", "@hubspot/", "@paypal/", "@mapbox/", "@tensorflow/", "@xenova/", "@zxcvbn-ts/"),
    *(
        "@tsconfig/",
        "@rollup/",
        "@swc/",
        "@sparticuz/",
        "@puppeteer/",
    ),
    *("@neondatabase/", "@databases/", "@sanity/", "@statsig/", "@segment/"),
    *("@amplitude/", "@bugsnag/", "@newrelic/", "@datadog/", "@logtail/", "@honeycombio/"),
    *("@smithy/util-", "@smithy/types", "@smithy/core", "@smithy/protocol-http", "@aws-crypto/sha"),
    *("@aws-crypto/crc", "@aws-sdk/util-", "@aws-sdk/middleware-", "@smithy/middleware-"),
    "lodash.",
)
"""Scopes of packages of which none has a client of AWS, but for those in `SERVICES`."""
_LOADING = frozenset(
    (
        *("@fastify/autoload", "@graphql-tools/load", "@graphql-tools/load-files", "@hapi/glue"),
        *("@graphql-tools/module-loader", "@graphql-tools/code-file-loader", "@babel/register"),
        *("@swc/register", "@babel/node", "@prisma/internals"),
    )
)
"""Packages that bring in files of the code by themselves: those are not read."""
_OF_MIDDY = """
    cloudformation-response cloudformation-router cloudwatch-metrics core
    do-not-wait-for-empty-event-loop error-logger event-batch-handler event-batch-parser
    event-batch-response event-normalizer http-content-encoding http-content-negotiation
    http-cors http-error-handler http-event-normalizer http-header-normalizer
    http-json-body-parser http-multipart-body-parser http-partial-response
    http-response-serializer http-router http-security-headers http-urlencode-body-parser
    http-urlencode-path-parser input-output-logger types util validator warmup
    ws-json-body-parser ws-router
"""
HARMLESS = frozenset(
    (
        *_BUILT_IN.split(),
        *_HARMLESS.split(),
        *_OF_BLOCKCHAINS.split(),
        *_OF_SERVICES_OF_OTHERS.split(),
        *_OF_SERVERS.split(),
        *_OF_DATA.split(),
        *(f"@middy/{each}" for each in _OF_MIDDY.split()),
    )
)
PROGRAMS = frozenset(("child_process", "execa", "shelljs", "cross-spawn", "worker_threads"))
"""Packages that run something that is not read."""

SERVICES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            *(
                "dynamoose",
                "dynamodb-toolbox",
                "dynamodb-onetable",
                "electrodb",
                "connect-dynamodb",
            ),
            *("@aws/dynamodb-data-mapper", "@baselinejs/dynamodb", "@typedorm/core", "vogels"),
            *(
                "@aws/dynamodb-data-mapper-annotations",
                "dynogels",
                "dynamo-easy",
                "@shiftcoders/dynamo-easy",
            ),
            *("@aws-lambda-powertools/idempotency", "dynamodb-lock-client", "@middy/dynamodb"),
            *(
                "@auth/dynamodb-adapter",
                "@next-auth/dynamodb-adapter",
                "ask-sdk-dynamodb-persistence-adapter",
            ),
        ),
        ("dynamodb",),
    ),
    **dict.fromkeys(("multer-s3", "multer-s3-transform", "s3-files", "@middy/s3"), ("s3",)),
    **dict.fromkeys(("@middy/s3-object-response",), ("s3", "s3-object-lambda")),
    **dict.fromkeys(("sqs-consumer", "sqs-producer", "@middy/sqs-partial-batch-failure"), ("sqs",)),
    **dict.fromkeys(("winston-cloudwatch", "winston-aws-cloudwatch", "pino-cloudwatch"), ("logs",)),
    "@shopify/shopify-app-session-storage-dynamodb": ("dynamodb",),
    "lambda-warmer": ("lambda:InvokeFunction",),
    "data-api-client": ("rds-data", "secretsmanager:GetSecretValue"),
    "amazon-dax-client": ("dax", "dynamodb"),
    "ask-sdk-s3-persistence-adapter": ("s3",),
    "middy": ("ssm", "secretsmanager"),
    "@middy/ssm": ("ssm:GetParameters", "ssm:GetParametersByPath", "kms:Decrypt"),
    "@middy/secrets-manager": (
        *("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "kms:Decrypt"),
    ),
    "@middy/appconfig": ("appconfig",),
    "@middy/service-discovery": ("servicediscovery",),
    "@middy/ws-response": ("execute-api:ManageConnections",),
    "@ai-sdk/amazon-bedrock": ("bedrock",),
    "@anthropic-ai/bedrock-sdk": ("bedrock",),
    "@langchain/aws": ("bedrock",),
    "cohere-ai": ("bedrock", "sagemaker"),
    "aws-appsync": ("appsync",),
    "@aws-lambda-powertools/parameters": ("ssm", "secretsmanager", "appconfig", "dynamodb"),
    "@aws/dynamodb-expressions": (),
    "@aws/dynamodb-auto-marshaller": (),
    "aws-jwt-verify": (),
    "amazon-cognito-identity-js": (),
    "cognito-express": (),
    "@langchain/core": (),
    "@langchain/openai": (),
    "@ai-sdk/openai": (),
    "@ai-sdk/anthropic": (),
    "@ai-sdk/google": (),
    "@anthropic-ai/sdk": (),
    "@aws-sdk/cloudfront-signer": (),
    "@aws-sdk/eventstream-marshaller": (),
    "@aws-sdk/url-parser": (),
    "@aws-sdk/protocol-http": (),
    "@smithy/url-parser": (),
    "ai": (),
    "zod-openapi": (),
}
"""Packages that use services by themselves, or single actions of them: of the others they say
nothing. What asks Cognito for a user, signs with a key of one's own or checks a token asks as
nobody."""

_OF_PAGES = ("react-", "vue-", "ngx-", "@angular/", "@react-native/", "@vue/", "@svelte/")
_WORDS_OF_AWS = ("aws", "s3", "amplify", "dynamo", "cognito", "lambda", "upload")
"""In names of packages for pages, which have no rights but those that they bring with them."""


def uses(package: str) -> tuple[str, ...] | None:
    """Return the services whose rights a package may use; None if it may use any."""
    found = SERVICES.get(package)
    if found is not None:
        return found
    if package in HARMLESS or (package.startswith(_SCOPES) and package not in _LOADING):
        return ()
    if package.startswith(_OF_PAGES) and not any(word in package for word in _WORDS_OF_AWS):
        return ()
    return None


def loads_files(package: str) -> bool:
    """Tell whether a package brings in files of the code by itself."""
    return package in _LOADING
