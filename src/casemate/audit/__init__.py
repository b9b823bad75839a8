"""What is wrong with an application before it is deployed, on this platform and on others.

Importers fill one model, rules are pure functions over it, reporters print what they find. Nothing
that is audited is run or imported, no server is asked. May import `advisories`, `manifest`,
`masking` and `model` of ours.
"""
