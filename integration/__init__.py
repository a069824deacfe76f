"""Everything that touches the world, and the wiring.

The folder says who is calling or who is called; the file says about what.

    members/    the people: lifecycle, roles, sessions, passwords, addresses
    authority/  who may do what: permissions, grants, elevations, Keto's tuples
    tokens/     access tokens, refresh families, signing keys

    edge/       the one origin: forwards to Ory, guards on the way
    api/        our clients call in
    web/        pages people look at
    cli/        operators call in
    tasks/      the queue calls in
    db/         our database
    ory/        Kratos and Keto are called
    mail/       every mail, theirs and ours
    launch/     the embedded stack that `make up` starts
    main.py     started by every process; the only reader of the environment
"""
