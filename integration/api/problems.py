"""Errors as problem details. The map is complete: a test compares it with `errors`."""

from http import HTTPStatus

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from integration import errors
from integration.limits.header_fields import fields_of

log = structlog.get_logger()

STATUS_OF: dict[type[errors.KleisError], HTTPStatus] = {
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.ForbiddenError: HTTPStatus.FORBIDDEN,
    errors.SecondFactorNeededError: HTTPStatus.FORBIDDEN,
    errors.ReauthenticationRequiredError: HTTPStatus.FORBIDDEN,
    errors.WrongPasswordError: HTTPStatus.FORBIDDEN,
    errors.DeniedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.LimitedError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.UpstreamUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.UpstreamRefusedError: HTTPStatus.BAD_GATEWAY,
    errors.BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StackError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_RETRY_AFTER = {"Retry-After": "1"}


def problem(
    status: HTTPStatus,
    code: str,
    title: str,
    *,
    headers: dict[str, str] | None = None,
    **members: object,
) -> JSONResponse:
    """Return one problem. Source: RFC 9457."""
    body = {"type": f"urn:kleis:problem:{code}", "title": title, "status": int(status), **members}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {**_RETRY_AFTER, **(headers or {})}
    if status is HTTPStatus.UNAUTHORIZED:
        # Source: RFC 9110, section 15.5.2; RFC 6750, section 3.
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Turn every error of a request into a problem; each is logged here, once."""

    @app.exception_handler(errors.KleisError)
    def of_ours(_: Request, error: errors.KleisError) -> JSONResponse:
        log.info("refused", code=error.problem, detail=error.detail or None)
        status = STATUS_OF[type(error)]
        return problem(status, error.problem, error.message, headers=None, **error.facts)

    @app.exception_handler(errors.DeniedError)
    def of_a_policy(_: Request, error: errors.DeniedError) -> JSONResponse:
        log.info("refused", code=error.code, detail=error.detail)
        faults = [
            {"pointer": reason.pointer or "#/", "code": reason.code, "detail": reason.text}
            for reason in error.reasons
        ]
        # One reason names the problem; several are told apart by their codes.
        code = error.reasons[0].code if len(faults) == 1 else error.code
        return problem(STATUS_OF[type(error)], code, error.message, errors=faults)

    @app.exception_handler(errors.LimitedError)
    def of_a_limit(_: Request, error: errors.LimitedError) -> JSONResponse:
        headers = {"Retry-After": error.retry_after} if error.retry_after else {}
        if error.limit is not None:
            name, most, seconds = error.limit
            headers = fields_of(name, [(most, seconds)], int(error.retry_after))
        return problem(
            STATUS_OF[type(error)], error.problem, error.message, headers=headers or None
        )

    @app.exception_handler(RequestValidationError)
    def of_input(_: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent stays out of the answer and of the log: it may be a secret.
        fields = [
            {
                "pointer": "#/" + "/".join(map(str, item["loc"][1:])),
                "detail": item["msg"],
                "code": item["type"],
            }
            for item in error.errors()
        ]
        log.info("refused", code="invalid_input", fields=[field["pointer"] for field in fields])
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid_input",
            "Some of what was sent cannot be used.",
            errors=fields,
        )

    @app.exception_handler(HTTPException)
    def of_routing(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        code = status.name.lower()
        headers = dict(error.headers) if error.headers else None
        return problem(status, code, status.phrase, headers=headers)

    @app.exception_handler(psycopg.Error)
    @app.exception_handler(DBAPIError)
    @app.exception_handler(PoolTimeoutError)
    def of_database(_: Request, error: Exception) -> JSONResponse:
        # The statement's values may be traits: only the kind of error is told.
        cause = getattr(error, "orig", None) or error
        log.error("database_failed", error=type(cause).__name__)
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", "Please try again in a moment."
        )
