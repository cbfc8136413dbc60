"""Endpoints for signing in with a browser.

Images, videos and event streams of a page can't send the header `Authorization`. The page therefore
stores the API key in a cookie.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from exvad.serving.api.authorization import KEY_COOKIE, read_key
from exvad.serving.api.dependencies import KeysDep
from exvad.serving.api.problems import documented
from exvad.serving.schemas.session import Session, SessionRequest

router = APIRouter(prefix="/v1/session", tags=["session"])


@router.get("", operation_id="get_session")
def get_session(request: Request, keys: KeysDep) -> Session:
    """Return whether the server requires an API key, and what the request's key permits."""
    return Session(key_required=keys.required, scope=keys.lookup_scope(read_key(request)))


@router.put("", operation_id="sign_in", status_code=204, responses=documented(400, 401, 422))
def sign_in(
    credentials: SessionRequest, request: Request, response: Response, keys: KeysDep
) -> None:
    """Store an API key in a cookie that scripts can't read and other sites can't use."""
    if not keys.required:
        return
    if keys.lookup_scope(credentials.key) is None:
        raise HTTPException(401, "this API key is unknown", {"WWW-Authenticate": "Bearer"})
    response.set_cookie(
        KEY_COOKIE,
        credentials.key,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


@router.delete("", operation_id="sign_out", status_code=204)
def sign_out(response: Response) -> None:
    """Delete the cookie."""
    response.delete_cookie(KEY_COOKIE, httponly=True, samesite="strict")
