"""Endpoints for signing in with a browser.

Images, videos and event streams of a page can't send the header `Authorization`. The page therefore
stores the API key in a cookie.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response

from exvad.serving.api.authorization import KEY_COOKIE, read_key
from exvad.serving.api.context import Context
from exvad.serving.api.dependencies import ContextDep, KeysDep
from exvad.serving.api.problems import documented
from exvad.serving.schemas.session import Session, SessionRequest

router = APIRouter(prefix="/v1/session", tags=["session"])


@router.get("", operation_id="get_session")
def get_session(request: Request, keys: KeysDep) -> Session:
    """Return whether the server requires an API key, and what the request's key permits."""
    return Session(key_required=keys.required, scope=keys.lookup_scope(read_key(request)))


@router.put("", operation_id="sign_in", status_code=204, responses=documented(400, 401, 413, 422))
def sign_in(
    credentials: SessionRequest, request: Request, response: Response, context: ContextDep
) -> None:
    """Store an API key in a cookie that scripts can't read and other sites can't use."""
    keys, address = context.keys, context.address
    if not keys.required:
        return
    if keys.lookup_scope(credentials.key) is None:
        raise HTTPException(401, "this API key is unknown", {"WWW-Authenticate": "Bearer"})
    response.set_cookie(
        KEY_COOKIE,
        credentials.key,
        httponly=True,
        samesite="strict",
        secure=address.is_secure or request.url.scheme == "https",
        path=_cookie_path(request, context),
    )


@router.delete("", operation_id="sign_out", status_code=204)
def sign_out(request: Request, response: Response, context: ContextDep) -> None:
    """Delete the cookie."""
    response.delete_cookie(
        KEY_COOKIE, path=_cookie_path(request, context), httponly=True, samesite="strict"
    )


def _cookie_path(request: Request, context: Context) -> str:
    """Return the path below which browsers send the cookie: that of the page."""
    return urlsplit(context.address.locate(request, "/")).path
