"""The one origin: everything clients send to Ory or to us passes here.

`app` puts it together, `routes` says which path goes where and who may, `guards` is the chain
on self-service submits where limits, lockout and password rules plug in. `canonical`,
`headers`, `client_address`, `submits`, `upstream_errors`, `keto_rules` and `outcomes` are pure.
"""
