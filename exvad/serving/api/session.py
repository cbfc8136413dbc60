"""Signing in with a browser, whose pictures, videos and events can send no header but a cookie."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from exvad.serving.api.context import Context
from exvad.serving.api.keys import COOKIE, SCOPES, given_key
from exvad.serving.api.problems import problems
from exvad.serving.schemas.analyses import Session, SessionRequest


def session_routes(context: Context) -> APIRouter:
    """Return the routes.

    Args:
        context: what the routes share.
    """
    routes, keys = APIRouter(), context.keys

    @routes.get("/v1/session", operation_id="session")
    def session(request: Request) -> Session:
        """Say whether a key is asked for, and what the one that was given allows."""
        rank = keys.rank(given_key(request))
        return Session(needed=keys.needed, scope=None if rank is None else SCOPES[rank])

    @routes.put(
        "/v1/session", operation_id="sign_in", status_code=204, responses=problems(400, 401, 422)
    )
    def sign_in(wanted: SessionRequest, request: Request, response: Response) -> None:
        """Keep a key in a cookie that no script can read and no other site makes use of."""
        if not keys.needed:
            return
        if keys.rank(wanted.key) is None:
            raise HTTPException(401, "this key is not known here", {"WWW-Authenticate": "Bearer"})
        response.set_cookie(
            COOKIE,
            wanted.key,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    @routes.delete("/v1/session", operation_id="sign_out", status_code=204)
    def sign_out(response: Response) -> None:
        """Forget the cookie."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    return routes
