"""Errors as problem+json (RFC 9457), in the answers and in the OpenAPI document."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match, Mount

from exvad.serving.schemas.analyses import Problem

KIND = "application/problem+json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
NO_ROOM = "the server's disk is full: try again once there is room"
NO_ROOM_CODES = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE
)  # fmt: skip
RETRY = {"Retry-After": "60"}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI document describes answers with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {KIND: {"schema": schema}}}
        for status in statuses
    }


def unprocessable(error: ValueError) -> HTTPException:
    """Return the answer to a request that asks for something impossible."""
    if isinstance(error, ValidationError):
        return HTTPException(422, complaint(error.errors()[0]))
    return HTTPException(422, str(error))


def complaint(first: Mapping[str, Any]) -> str:
    """Say what is wrong with a request.

    Args:
        first: pydantic's first error.
    """
    where = ".".join(map(str, first["loc"])) or "body"
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such option"
    if first["type"] == "model_attributes_type":
        return f"{where}: send JSON, with the header Content-Type: application/json"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def answer_with_problems(api: FastAPI) -> None:
    """Let an application tell its errors as problem+json."""

    @api.exception_handler(StarletteHTTPException)
    async def told(request: Request, error: StarletteHTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers |= _allowed(request)
        return _problem(error.status_code, str(error.detail), headers)

    @api.exception_handler(OSError)
    async def full(_: Request, error: OSError) -> JSONResponse:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        return _problem(507, NO_ROOM, RETRY)

    @api.exception_handler(sqlite3.OperationalError)
    async def no_room(_: Request, error: sqlite3.OperationalError) -> JSONResponse:
        if error.sqlite_errorcode not in NO_ROOM_CODES:
            raise error
        return _problem(507, NO_ROOM, RETRY)

    @api.exception_handler(RequestValidationError)
    async def refused(_: Request, error: RequestValidationError) -> JSONResponse:
        return _problem(422, complaint(error.errors()[0]), {})


def _allowed(request: Request) -> dict[str, str]:
    """Return the header with all methods of a path: the router names those of one route."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]
    return {"Allow": ", ".join(found)} if found else {}


def _problem(status: int, detail: str, headers: dict[str, str]) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(problem.model_dump(), status, headers, media_type=KIND)
