"""Names nobody may take, written in lower case and without `_` and `-`."""

# ruff: noqa: SIM905 - list literals would be one word a line, and nobody would read them

# Whoever carries one of these would be taken for us. Names that look alike are refused too.
STAFF_NAMES: frozenset[str] = frozenset(
    """
    admin admins administrator administrators administration sysadmin sysop superadmin
    superuser siteadmin webadmin adminteam root owner founder operator
    moderator moderators moderation mod mods modteam
    staff staffteam team official verified kleis kleisteam
    support supportteam customersupport customerservice techsupport service
    help helpdesk helpcenter security securityteam trust trustandsafety safety abuse
    system compliance legal billing payments bot
    """.split()
)

# Addresses of a mail domain that others trust (Source: RFC 2142), words that are paths or host
# names of a platform, and words that programs read as "nothing".
_OTHER_NAMES: frozenset[str] = frozenset(
    """
    hostmaster postmaster webmaster usenet news uucp ftp mailerdaemon daemon noc
    info marketing sales noreply donotreply mail email smtp imap pop pop3 autoconfig
    autodiscover contact feedback jobs press media
    www web wwwdata http https ssl tls dns ns ns1 ns2 localhost localdomain local host
    api app apps cdn static assets img images files upload uploads download downloads
    dev test tests testing stage staging demo prod production internal private public
    login logout signin signout signup register registration verification verify recovery
    recover reset password passwd account accounts profile profiles settings preferences
    privacy terms tos about faq docs documentation blog status health metrics console
    dashboard oauth oidc openid sso saml auth authentication authorize authorization token
    tokens session sessions key keys jwks wellknown selfservice identity identities
    kratos keto ory relationtuples namespaces schemas hooks hook webhook webhooks
    me my self you user users member members creator creators guest guests anonymous
    anybody everybody everyone someone nobody unknown deleted deleteduser banned suspended
    active inactive pending platform channel channels content permission permissions role
    roles group groups all any none null nil undefined void nan true false yes no on off
    new create edit update delete remove search explore home index default example sample
    """.split()
)

RESERVED_NAMES: frozenset[str] = STAFF_NAMES | _OTHER_NAMES
