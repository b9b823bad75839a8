"""Makes sandboxes: the supervisor that owns them, and the gateway's client to it.

Not the code that runs inside one (`runner`) and no decision about when to start or stop an
instance (`dispatch`). May import `model`, `runner`, `kernel`.
"""
