"""A small OpenID provider to try logins with. Nobody proves anything here: it is a demo.

It follows OpenID Connect Core 1.0 (authorization code flow), Discovery 1.0, RFC 7636 (PKCE with
S256) and RFC 9207 (`iss` in the answer), so that Kratos treats it like any other. `kleis up` runs
it where the site itself is on loopback; tests run more of them. Nothing else ever starts it.
"""
