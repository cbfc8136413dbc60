"""TODO"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs as pafs

_URI_SAFE = "/:?=&@%+,~!*'();[]$"


def resolve(place: str | Path) -> tuple[Any, str]:
    """Return the pyarrow file system of a local path or URI, and the path there.

    Raises:
        ValueError: neither pyarrow nor an installed fsspec package knows the URI.
    """
    text = os.fspath(place)
    if "://" not in text:
        return pafs.LocalFileSystem(), str(Path(text).absolute())
    try:
        # Names of real data sets have blanks, # and letters of many scripts in them.
        filesystem, path = pafs.FileSystem.from_uri(quote(text, safe=_URI_SAFE))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        from fsspec.core import url_to_fs

        try:
            inner, path = url_to_fs(text)
        except (ImportError, ValueError) as problem:
            raise ValueError(
                f"{text!r}: {problem}. Use a local path, or a URI that pyarrow or an installed "
                "fsspec package knows (s3://, gs://, hdfs://, …)."
            ) from problem
        filesystem = pafs.PyFileSystem(pafs.FSSpecHandler(inner))
    return filesystem, path
