"""A function that reaches for the network with clients as they are: `{"client": name, ...}`."""

import io
import os

import boto3
import httpx
import psycopg
import redis
import requests
from botocore.config import Config

BODIES = (None, "x" * 100_000, None)


def use_requests(url):
    with requests.Session() as session:
        return [session.request("POST" if b else "GET", url, data=b).text for b in BODIES]


def use_httpx(url):
    with httpx.Client() as client:
        return [client.request("POST" if b else "GET", url, content=b).text for b in BODIES]


def use_boto3(url):
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    s3.put_object(Bucket="bucket", Key="small", Body=b"text")
    s3.put_object(Bucket="bucket", Key="large", Body=io.BytesIO(b"0123456789" * 200_000))
    found = [
        b"text" in s3.get_object(Bucket="bucket", Key="small")["Body"].read(),
        len(s3.get_object(Bucket="bucket", Key="large")["Body"].read()) >= 2_000_000,
    ]
    try:
        s3.get_object(Bucket="bucket", Key="none")
    except s3.exceptions.NoSuchKey:
        found.append("none")
    return found


def use_psycopg(port):
    with psycopg.connect(f"host=127.0.0.1 port={port} user=test dbname=postgres") as connection:
        connection.execute("create table if not exists t (n int)")
        with connection.cursor().copy("copy t from stdin") as copy:
            for n in range(20_000):
                copy.write_row((n,))
        return connection.execute("select count(*), sum(n) from t").fetchone()


def use_redis(port):
    client = redis.Redis(host="127.0.0.1", port=port)
    client.set("large", b"x" * 2_000_000)
    with client.pipeline() as pipe:
        for _ in range(1000):
            pipe.incr("count")
        count = pipe.execute()[-1]
    subscription = client.pubsub()
    subscription.subscribe("news")
    subscription.get_message(timeout=5)
    client.publish("news", "now")
    told = subscription.get_message(timeout=5)["data"].decode()
    return [count, len(client.get("large")), told]


CLIENTS = {
    "requests": use_requests,
    "httpx": use_httpx,
    "boto3": use_boto3,
    "psycopg": use_psycopg,
    "redis": use_redis,
}


def handler(event, context):
    try:
        return {"result": CLIENTS[event.pop("client")](**event)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
