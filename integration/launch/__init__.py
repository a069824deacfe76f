"""The embedded stack: what `make up` starts, and the binaries it needs.

    stack          `up`, `down`; sequence: the order of things, from an empty folder to ready
    placement      where data, sockets and PostgreSQL's programs may lie
    credentials    generated at first start, kept in the home
    toolchain      a Go that is new enough
    binaries       Kratos and Keto, built once or given
    postgres, valkey, ory, kleis    one module for each kind of server: how it is run
    configuration  kratos.yml and keto.yml with their placeholders filled in
    supervisor     keeps the processes running; guard ends them when the launcher is killed
    openid         the OpenID providers Kratos is told of; demo_provider: one to try
    demo           the members to play with
    report         what the terminal and `stack.json` say

Nothing here is needed where PostgreSQL, Valkey, Kratos and Keto are run by somebody else.
"""
