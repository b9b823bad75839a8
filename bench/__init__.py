"""Side-by-side measurements of Casemate and its peers: `python -m bench`.

Not a part of the product and not a test: nothing in `casemate` imports it. May import
`casemate.model` for the root of the errors; everything else of Casemate is reached through its
command line and HTTP, as a user would. `bench/peers_src` holds the handlers and the peers'
adapters, which run in environments of their own and are never imported here.
"""
