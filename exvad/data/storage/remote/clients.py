"""Clients of object stores: one per process, scheme and bucket.

A client keeps its connections and its credentials, which may take a request of their own to get.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from exvad.data.storage.homes import expand_home

if TYPE_CHECKING:
    from pyarrow import fs

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
# How the variables begin that give a client its endpoint and credentials.
_VARIABLES = {
    "s3": ("AWS_",),
    "gs": ("GOOGLE_", "GCE_METADATA_HOST", "STORAGE_EMULATOR_HOST"),
    "az": ("AZURE_", "AZURITE_"),
}
# What Azurite, the emulator of Azure's storage, is by default; its key is public.
AZURITE_URL = "http://127.0.0.1:10000"
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
# Where machines, pods and functions of Google Cloud get the credentials of their service account.
GOOGLE_METADATA = ("169.254.169.254", 80)
METADATA_TIMEOUT = 1.0  # seconds, as in obstore; an answer takes milliseconds
_METADATA_TRIES = 3
_GCLOUD_FILE = "~/.config/gcloud/application_default_credentials.json"
# obstore reads them, pyarrow does not.
_OBSTORE_ONLY = (
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
)
_GOOGLE_RETRIES = timedelta(minutes=1)  # pyarrow's own limit is 15 minutes, also for a wrong key
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
        if scheme == "gs":
            return GCSStore(bucket, **settings, **_google_settings(os.environ))
        return AzureStore(bucket, **settings)
    except BaseError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"{scheme}://{bucket} can't be opened: {reason}.") from error


def arrow_client(scheme: str, options: tuple[tuple[str, str], ...]) -> fs.FileSystem:
    """Return a client of pyarrow, which finds its credentials by itself unless the URI names them.

    Args:
        scheme: s3, gs or az.
        options: settings of the client that the URI names.

    Raises:
        ValueError: a setting is missing or wrong.
    """
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem(**_arrow_google_settings(os.environ))
    if scheme == "az":
        return fs.AzureFileSystem(**_azure_settings(os.environ))
    given = dict(options)
    endpoint, region = _s3_endpoint(given), _s3_region(given)
    protocol, _, address = endpoint.rpartition("://")
    return fs.S3FileSystem(
        access_key=given.get("access_key_id"),
        secret_key=given.get("secret_access_key"),
        anonymous="skip_signature" in given,
        region=region or None,
        scheme=protocol or "https",
        endpoint_override=address or None,
    )


def variables_of(scheme: str, environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that may give a client its endpoint and credentials.

    Args:
        scheme: s3, gs, az, or another one, of which nothing is known.
        environment: the variables of a process.
    """
    prefixes = _VARIABLES.get(scheme, ())
    return sorted(name for name in environment if name.startswith(prefixes))


def _s3_settings(options: dict[str, str]) -> dict[str, Any]:
    environment, endpoint, region = os.environ, _s3_endpoint(options), _s3_region(options)
    options.pop("endpoint", None)
    options.pop("region", None)
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


def _s3_endpoint(options: Mapping[str, str]) -> str:
    """Return the URL of the service; empty for that of AWS."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return options.get("endpoint") or next(filter(None, map(os.environ.get, names)), "")


def _s3_region(options: Mapping[str, str]) -> str:
    """Return the region of the service; empty if it is not known."""
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    return options.get("region") or next(filter(None, map(os.environ.get, names)), "")


def _google_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of obstore's client that it does not read from variables by itself.

    Raises:
        ValueError: there are no credentials.
    """
    if url := _google_emulator(environment):
        # It takes any token; without one, the client would look for credentials.
        return {"base_url": url, "bearer_token": "any", "client_options": {"allow_http": True}}
    if _is_anonymous(environment):
        return {"bearer_token": "none"}  # the client signs writes all the same; this is refused
    if not _has_google_keys(environment) and not environment.get("GCE_METADATA_HOST"):
        _check_google_metadata()
    return {}


def _arrow_google_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of pyarrow's client, from the variables that obstore reads by itself.

    Raises:
        ValueError: the credentials are where pyarrow does not find them.
    """
    settings: dict[str, Any] = {"retry_time_limit": _GOOGLE_RETRIES}
    if url := _google_emulator(environment):
        protocol, _, address = url.rpartition("://")
        return settings | {"anonymous": True, "scheme": protocol, "endpoint_override": address}
    given = next(filter(environment.get, _OBSTORE_ONLY), None)
    if given and not environment.get("GOOGLE_APPLICATION_CREDENTIALS"):
        raise ValueError(f"gs:// needs GOOGLE_APPLICATION_CREDENTIALS in place of {given}.")
    return settings | {"anonymous": _is_anonymous(environment)}


def _has_google_keys(environment: Mapping[str, str]) -> bool:
    """Return whether there are credentials, without those that a machine may have."""
    names = ("GOOGLE_APPLICATION_CREDENTIALS", *_OBSTORE_ONLY)
    return any(map(environment.get, names)) or expand_home(_GCLOUD_FILE).exists()


def _is_anonymous(environment: Mapping[str, str]) -> bool:
    """Return whether Google is asked for what is public, without credentials."""
    return _is_set(environment, "GOOGLE_SKIP_SIGNATURE") and not _has_google_keys(environment)


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in ("true", "1")


def _google_emulator(environment: Mapping[str, str]) -> str:
    """Return the URL of the emulator that is used, from the variable of Google; empty for none."""
    host = environment.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    return host if "://" in host or not host else f"http://{host}"


def _check_google_metadata() -> None:
    """Refuse to ask for the credentials of a machine where nothing has any.

    The client would ask in every try of every request, and not say what is missing.

    Raises:
        ValueError: nothing answers.
    """
    for _ in range(_METADATA_TRIES):
        try:
            socket.create_connection(GOOGLE_METADATA, METADATA_TIMEOUT).close()
        except ConnectionRefusedError:  # that of a pod begins a few seconds after it
            return
        except OSError:
            continue
        return
    raise ValueError(
        "gs:// needs credentials: set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service "
        "account. Only machines of Google Cloud have some of their own."
    )


def _azure_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of pyarrow's client, from the variables that obstore reads by itself.

    Raises:
        ValueError: no variable names the account.
    """
    account = environment.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    key, endpoint = environment.get("AZURE_STORAGE_ACCOUNT_KEY"), ""
    if _is_set(environment, "AZURE_STORAGE_USE_EMULATOR"):
        endpoint = environment.get("AZURITE_BLOB_STORAGE_URL", AZURITE_URL)
        account, key = account or AZURITE_ACCOUNT, key or AZURITE_KEY
    if not account:
        raise ValueError("az:// needs AZURE_STORAGE_ACCOUNT_NAME: set it to the account.")
    settings: dict[str, Any] = {"account_name": account, "account_key": key}
    protocol, _, address = endpoint.rpartition("://")
    if address:
        for service in ("blob", "dfs"):
            settings[f"{service}_storage_authority"] = address.rstrip("/")
            settings[f"{service}_storage_scheme"] = protocol
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
    if not profile and not expand_home(file).exists():
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
