"""The route that takes videos: uploaded, or named by a URL or a path below the allowed root."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import ValidationError

from exvad.serving.api.analyses import ENDED, LONGEST_WAIT, finished
from exvad.serving.api.context import Context
from exvad.serving.api.links import leads_to
from exvad.serving.api.problems import problems, unprocessable
from exvad.serving.queue.analyses import FullError
from exvad.serving.schemas.analyses import (
    CATEGORIES,
    AnalysisOptions,
    AnalysisStatus,
    Categories,
    SourceRequest,
)
from exvad.serving.sources.spool import TooLargeError, path_below, read_small, safe_name

RETRY_AFTER = "5"
OPTIONS = ("wait", "name", "categories", "threshold", "explain", "webhook")
EXAMPLE = '{"shoplifting": ["someone hides goods in a bag"]}'
BINARY = {"type": "string", "format": "binary"}
FORM = {
    "type": "object",
    "required": ["video"],
    "properties": {"video": BINARY},
    "additionalProperties": False,
}


def submission_routes(context: Context) -> APIRouter:
    """Return the route.

    Args:
        context: what the routes share.
    """
    routes, queue, settings = APIRouter(), context.queue, context.settings
    further = leads_to("get", "triage", "delete", "follow", "report", "video")

    @routes.post(
        "/v1/analyses",
        operation_id="submit",
        status_code=202,
        dependencies=[Depends(context.keys.require("submit"))],
        openapi_extra={
            "requestBody": {
                "content": {
                    "multipart/form-data": {"schema": FORM},
                    "application/json": {"schema": SourceRequest.model_json_schema()},
                    "application/octet-stream": {"schema": BINARY},
                }
            }
        },
        responses={
            200: {"description": "It has ended", "model": AnalysisStatus, **further},
            202: further,
            **problems(401, 403, 413, 422, 429, 507),
        },
    )
    async def submit(
        request: Request,
        response: Response,
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for the answer")
        ] = 0,
        name: Annotated[
            str, Query(max_length=200, description="file name of a video sent as the body")
        ] = "video",
        categories: Annotated[
            str,
            Query(
                max_length=20_000,
                description="classes to look for besides, as JSON: "
                f"{EXAMPLE}; "
                "servers take URLs of 64 KiB in all",
            ),
        ] = "{}",
        threshold: Annotated[
            float | None,
            Query(ge=0, le=1, description="snippets above it are abnormal; absent: as calibrated"),
        ] = None,
        explain: Annotated[
            bool, Query(description="false: no captions, no explanation, much faster")
        ] = True,
        webhook: Annotated[
            str | None,
            Query(max_length=2000, description="URL that is posted the analysis at its end"),
        ] = None,
    ) -> AnalysisStatus:
        """Take a video: as form field `video`, as the body, or as `{"path": …}` or `{"url": …}`.

        Answers 202 with the analysis' id, or 200 with the result if it is ready within `wait`.
        """
        check_options(request)
        if await asyncio.to_thread(queue.waiting) >= settings.max_waiting:
            raise await full()
        try:
            options = AnalysisOptions(
                categories=described(categories),
                threshold=threshold,
                explain=explain,
                webhook=webhook,
            )
            wanted = None
            if request.headers.get("content-type", "").startswith("application/json"):
                wanted = SourceRequest.model_validate_json(await read_small(request))
                own = wanted.model_dump(include=wanted.model_fields_set - {"path", "url"})
                options = options.model_copy(update=own)
            await check_webhook(context, options.webhook)
            shown, path, uploaded = await stored(request, name, wanted)
            most = settings.max_waiting
            try:
                number = await asyncio.to_thread(queue.add, shown, path, uploaded, options, most)
            except FullError:  # others were quicker
                if uploaded:
                    path.unlink(missing_ok=True)
                raise await full() from None
        except TooLargeError as error:
            raise HTTPException(413, str(error)) from None
        except ValueError as error:
            raise unprocessable(error) from None
        response.headers["Location"] = f"/v1/analyses/{number}"
        found = await finished(context, number, wait, request)
        response.status_code = 200 if found.state in ENDED else 202
        return found

    async def full() -> HTTPException:
        await asyncio.to_thread(queue.refused)
        return HTTPException(
            429,
            f"{settings.max_waiting} analyses are waiting already: try again later",
            {"Retry-After": RETRY_AFTER},
        )

    async def stored(
        request: Request, name: str, wanted: SourceRequest | None
    ) -> tuple[str, Path, bool]:
        """Return the name to show, the file, and whether it is the server's own copy."""
        if wanted is None:
            return *await context.spool.take(request, name), True
        if wanted.url is not None:
            async with context.fetcher.open(wanted.url) as parts:
                path = await context.spool.keep(parts)
            return safe_name(urlsplit(wanted.url).path), path, True
        path = path_below(settings.allowed_root, str(wanted.path))
        return path.name, path, False

    return routes


def check_options(request: Request) -> None:
    """Answer 422 where the URL asks for something that is not known: it would go unnoticed."""
    for name in request.query_params:
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, 1)
            hint = f": did you mean {near[0]!r}?" if near else f"; known are {', '.join(OPTIONS)}"
            raise HTTPException(422, f"there is no option {name[:64]!r}{hint}")


def described(categories: str) -> Categories:
    """Return the classes of the query.

    Raises:
        ValueError: they are not written as they must be.
    """
    try:
        return CATEGORIES.validate_json(categories)
    except ValidationError as error:
        raise ValueError(f"categories: {error.errors()[0]['msg']}; write {EXAMPLE}") from None


async def check_webhook(context: Context, url: str | None) -> None:
    """Refuse a webhook that can't be signed or leads where the server does not go.

    Raises:
        ValueError: says why.
    """
    if url is None:
        return
    if context.settings.webhook_secret is None:
        raise ValueError("webhook: this server has no secret to sign it with: set webhook_secret")
    await context.fetcher.check(url)
