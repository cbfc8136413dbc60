"""Local paths and URIs as pyarrow file systems.

pyarrow and fsspec are imported on use: the decoding process of `exvad.video.sandbox` imports this
module, reads local files only, and has a limited address space.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

_URI_SAFE = "/:?=&@%+,~!*'();[]$"


def resolve_filesystem(location: str | Path) -> tuple[Any, str]:
    """Return the pyarrow file system of a local path or URI, and the path in it.

    Args:
        location: a local path, or a URI that pyarrow or an installed fsspec package supports.

    Raises:
        ValueError: neither pyarrow nor an installed fsspec package supports the URI.
    """
    import pyarrow as pa
    import pyarrow.fs as pafs
    from fsspec.core import url_to_fs

    text = os.fspath(location)
    if "://" not in text:
        return pafs.LocalFileSystem(), str(Path(text).absolute())
    try:
        # File names of real data sets contain blanks, # and letters of many scripts.
        filesystem, path = pafs.FileSystem.from_uri(quote(text, safe=_URI_SAFE))
        return filesystem, path
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    try:
        filesystem, path = url_to_fs(text)
    except (ImportError, ValueError) as error:
        raise ValueError(
            f"{text!r}: {error}. Use a local path, or a URI that pyarrow or an installed fsspec "
            "package supports (s3://, gs://, hdfs://, …)."
        ) from error
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path
