"""A function without a grant that uses what the project has: `{"use": name}`."""

import casemate

USES = {
    "bucket_get": lambda c: c.bucket("files").get("a"),
    "bucket_put": lambda c: c.bucket("files").put("a", b"x"),
    "bucket_list": lambda c: list(c.bucket("files").list("")),
    "bucket_delete": lambda c: c.bucket("files").delete("a"),
    "table_get": lambda c: c.table("people").get("1"),
    "table_put": lambda c: c.table("people").put({"id": "1"}),
    "table_query": lambda c: list(c.table("people").query("1")),
    "table_delete": lambda c: c.table("people").delete("1"),
    "queue_send": lambda c: c.queue("jobs").send({}),
    "topic_publish": lambda c: c.topic("news").publish({}),
    "secret": lambda c: c.secret("hook"),
    "secret_third": lambda c: c.secret("third-password"),
    "secret_unknown": lambda c: c.secret("root-password"),
    "invoke": lambda c: c.invoke("inner", {}),
    "invoke_itself": lambda c: c.invoke("greedy", {}),
}


def handler(event, context):
    try:
        USES[event["use"]](context)
    except casemate.DeniedError:
        return {"denied": True}
    return {"denied": False}
