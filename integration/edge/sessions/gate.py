"""What a session must be worth before Kratos is asked: for lists of sessions and for settings."""

from dataclasses import replace

from integration.edge.asgi import Answer
from integration.edge.exchange import Exchange
from integration.edge.flows import oidc_callback
from integration.edge.flows.guards import Submit
from integration.edge.flows.submit_answers import has_credentials
from integration.edge.headers import wants_html, without_session
from integration.edge.problems import Refusal
from integration.edge.requests import Request
from integration.edge.routes import Route
from integration.edge.sessions import member_status, second_factor_required
from integration.edge.sessions.current import Sessions

_SETTINGS = "/self-service/settings"
_FOR_STRANGERS = (
    *(f"/self-service/{flow}" for flow in ("login", "registration", "recovery", "verification")),
    oidc_callback.PATH,
)


class SessionGate:
    """Answers instead of Kratos where our tables know better."""

    def __init__(self, exchange: Exchange, sessions: Sessions, *, public_url: str) -> None:
        self._exchange = exchange
        self._sessions = sessions
        self._public_url = public_url.rstrip("/")

    async def instead(self, request: Request) -> Answer | None:
        """Return what Kratos would say of a session that is held or means nothing any more.

        None: Kratos is to be asked, which also says so to whoever has no session.

        Raises:
            RefusedError: Kratos or the database does not answer.
        """
        look = await self._sessions.look(request)
        if look.answer.status != 200:
            return None
        if look.known is None:
            return member_status.no_session(request.id)
        return second_factor_required.as_json(self._public_url) if look.known.is_held else None

    async def seen_by_kratos(self, request: Request) -> Request:
        """Return a request to a flow without a session that means nothing any more.

        What ended with us ends at Kratos a moment later. Until then Kratos would say to somebody
        who has to log in that somebody is logged in.

        Raises:
            RefusedError: as `instead`.
        """
        if not request.path.startswith(_FOR_STRANGERS) or not has_credentials(request):
            return request
        look = await self._sessions.look(request)
        if look.answer.status != 200 or look.known is not None:
            return request
        return replace(request, headers=without_session(request.headers))

    async def read_sessions(self, request: Request, route: Route) -> Answer:
        """Answer reads below `/sessions`. Raises as `instead`."""
        instead = await self.instead(request)
        return instead or self._exchange.judged(await self._exchange.ask(request, route))

    async def instead_of_settings(self, request: Request) -> Answer | None:
        """As `instead`, for reads of settings flows; None for all others.

        Raises:
            RefusedError: as `instead`.
        """
        if not request.path.startswith(_SETTINGS):
            return None
        instead = await self.instead(request)
        if instead is None or not _shows_page(request):
            return instead
        if instead.status == 401:
            return self._to_login()
        return second_factor_required.as_redirect(self._public_url, self._address(request))

    async def before(self, submit: Submit) -> Refusal | None:
        """Refuse settings of a session that is held or means nothing any more: a guard of submits.

        What ended with us Kratos would still take, for as long as its end is on its way there.
        """
        if submit.flow != "settings":
            return None
        instead = await self.instead(submit.request)
        if instead is None:
            return None
        if instead.status == 401:
            if _shows_page(submit.request) and not submit.is_json:
                instead = self._to_login()
            return Refusal(401, "session_ended", "Please log in.", instead=instead)
        if _shows_page(submit.request) and not submit.is_json:
            back = f"{self._public_url}/account/settings?flow={submit.flow_id}"
            instead = second_factor_required.as_redirect(self._public_url, back)
        sentence = "This session needs a second factor first."
        return Refusal(403, second_factor_required.CODE, sentence, instead=instead)

    async def after(self, submit: Submit, answer: Answer | None) -> None:
        return None

    def _to_login(self) -> Answer:
        location = f"{self._public_url}/self-service/login/browser"
        return Answer(303, [(b"location", location.encode())], b"")

    def _address(self, request: Request) -> str:
        query = f"?{request.query}" if request.query else ""
        return f"{self._public_url}{request.path}{query}"


def _shows_page(request: Request) -> bool:
    return wants_html(request.header(b"accept"))
