"""Logs: one event a line, constant text, values as fields; never a trait, a token or a code."""

import logging
import sys

import structlog


def configure_logging(*, level: str, log_format: str, process: str) -> None:
    """Write every log line of this process, ours and the libraries', to standard error.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        log_format: `json`, or `console` for people.
        process: Name of the process, such as `edge`; a field of each line.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_process(process),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        # Where `rich` is installed, the usual one shows the variables of every frame.
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    # Ours go straight to the stream: by way of `logging` a line costs three times as much, and
    # the edge writes one a request.
    structlog.configure(
        processors=[*shared, *_exceptions(log_format), renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_exceptions(log_format),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # It repeats itself while PostgreSQL is away; the edge says so once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # One line a request or task is ours to write; httpx would add the URL with its query.
    for noisy in ("httpx", "httpcore", "uvicorn.access", "alembic", "celery"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _exceptions(log_format: str) -> list[structlog.typing.Processor]:
    """Return what makes text of an exception; the renderer for people does that by itself."""
    return [structlog.processors.format_exc_info] if log_format == "json" else []


def _add_process(name: str) -> structlog.typing.Processor:
    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = name
        return event

    return add
