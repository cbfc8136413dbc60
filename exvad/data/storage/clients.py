"""Clients of object stores: one per process, scheme and bucket.

A client keeps its connections and its credentials, which may take a request of their own to get.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

# Settings that the query of a URI may have, and their names in the client.
URI_OPTIONS = {
    "access_key": "access_key_id",
    "secret_key": "secret_access_key",
    "region": "region",
    "endpoint_override": "endpoint",
    "anonymous": "skip_signature",
}
# Any of them gives credentials without a profile.
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_opening = Lock()


def bucket_client(scheme: str, bucket: str, options: tuple[tuple[str, str], ...]) -> Any:
    """Return the client of a bucket; the first call in a process makes it.

    Args:
        scheme: s3, gs or az.
        bucket: the bucket, or the container of Azure.
        options: settings of the client that the URI names.

    Raises:
        ValueError: a setting is missing or wrong.
    """
    with _opening:  # a cache alone may make two for threads that ask at the same time
        return _make_client(scheme, bucket, options)


@cache
def _make_client(scheme: str, bucket: str, options: tuple[tuple[str, str], ...]) -> Any:
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore, S3Store

    # Requests are retried in one place, `ObjectFileSystem`, so that the tries do not multiply.
    settings: dict[str, Any] = {"retry_config": {"max_retries": 0}}
    try:
        if scheme == "s3":
            return S3Store(bucket, **settings, **_s3_settings(dict(options)))
        return {"gs": GCSStore, "az": AzureStore}[scheme](bucket, **settings)
    except BaseError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"{scheme}://{bucket} can't be opened: {reason}.") from error


def _s3_settings(options: dict[str, str]) -> dict[str, Any]:
    environment = os.environ
    endpoint = (
        options.pop("endpoint", "")
        or environment.get("AWS_ENDPOINT_URL_S3", "")
        or environment.get("AWS_ENDPOINT_URL", "")
    )
    region = (
        options.pop("region", "")
        or environment.get("AWS_REGION", "")
        or environment.get("AWS_DEFAULT_REGION", "")
    )
    settings: dict[str, Any] = dict(options)
    if endpoint:
        settings["endpoint"] = endpoint
    if endpoint.startswith("http://"):
        settings["client_options"] = {"allow_http": True}
    if region:
        settings["region"] = region
    if "access_key_id" not in options and "skip_signature" not in options:
        settings |= _profile_settings(environment)
    return settings


def _profile_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the credentials of a profile in the files of the AWS tools, if they are used.

    Raises:
        ValueError: boto3, which reads these files, is not installed.
    """
    if any(environment.get(name) for name in _CREDENTIALS):
        return {}
    file = environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    profile = environment.get("AWS_PROFILE")
    if not profile and not Path(file).expanduser().exists():
        return {}
    used = f"AWS_PROFILE={profile}" if profile else file
    if find_spec("boto3") is None:
        raise ValueError(
            f"{used} needs the package boto3: install it, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        )
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except (BotoCoreError, ValueError) as error:
        raise ValueError(f"{used}: {str(error).rstrip('.')}.") from error
