"""Errors as problem+json (RFC 9457): the responses, and their description for OpenAPI."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match, Mount

from exvad.serving.queue.database import is_full_disk
from exvad.serving.schemas.problems import Problem

MEDIA_TYPE = "application/problem+json"
DISK_FULL = "the server's disk is full: try again after space has been freed"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_RETRY_LATER = {"Retry-After": "60"}

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI document describes error responses with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error response."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(problem.model_dump(), status, headers, media_type=MEDIA_TYPE)


def unprocessable(error: ValueError) -> HTTPException:
    """Return the error 422 of a request with an invalid value."""
    if isinstance(error, ValidationError):
        return HTTPException(422, describe_error(error.errors()[0]))
    return HTTPException(422, str(error))


def describe_error(error: Mapping[str, Any]) -> str:
    """Describe an error of pydantic in one line.

    Args:
        error: one of the errors that pydantic lists.
    """
    field = ".".join(map(str, error["loc"])) or "body"
    if error["type"] == "extra_forbidden":
        return f"{field}: there is no such option"
    if error["type"] == "model_attributes_type":
        # Without the header, the body is not parsed.
        if isinstance(error["input"], bytes):
            return f"{field}: send JSON, with the header Content-Type: application/json"
        return f"{field}: send a JSON object"
    return f"{field}: {error['msg'].removeprefix('Value error, ')}"


async def handle_http_error(request: Request, error: StarletteHTTPException) -> JSONResponse:
    """Respond to an error that an endpoint or the router raised."""
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= _allow_header(request)
    return problem_response(error.status_code, str(error.detail), headers)


async def handle_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    """Respond to a request that does not fit the endpoint's parameters."""
    return problem_response(422, describe_error(error.errors()[0]))


async def handle_os_error(_: Request, error: OSError) -> JSONResponse:
    """Respond with 507 if the disk is full; raise any other error again."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return problem_response(507, DISK_FULL, _RETRY_LATER)


async def handle_database_error(_: Request, error: sqlite3.OperationalError) -> JSONResponse:
    """Respond with 507 if the database can't grow; raise any other error again."""
    if not is_full_disk(error):
        raise error
    return problem_response(507, DISK_FULL, _RETRY_LATER)


EXCEPTION_HANDLERS: dict[int | type[Exception], Handler] = {
    StarletteHTTPException: handle_http_error,
    RequestValidationError: handle_invalid_request,
    OSError: handle_os_error,
    sqlite3.OperationalError: handle_database_error,
}


def _allow_header(request: Request) -> dict[str, str]:
    """Return the header `Allow` with all methods of a path.

    The router's own header names only the methods of the first route that has the path.
    """
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    allowed_methods = [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]
    return {"Allow": ", ".join(allowed_methods)} if allowed_methods else {}
