"""Writing the manifest of the reviews after a request that changes them."""

from __future__ import annotations

import errno

from fastapi import HTTPException

from exvad.data.storage.errors import reason_of
from exvad.serving.api.context import Context


def write_labels(context: Context) -> None:
    """Write the manifest of the reviews, if the server has one.

    Args:
        context: the shared objects of the application.

    Raises:
        HTTPException: 500 if the manifest can't be written.
        OSError: the disk is full, which has a response of its own.
    """
    if context.settings.manifest is None:
        return
    try:
        context.reviews.write()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HTTPException(
            500, f"this is stored, but the manifest can't be written: {reason_of(error)}"
        ) from None
