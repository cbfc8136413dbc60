"""Buckets of S3, Google Cloud Storage and Azure: every write is one request, and is atomic."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, cast

from exvad.data.storage.errors import StorageError
from exvad.data.storage.remote.clients import arrow_client, bucket_client
from exvad.data.storage.remote.reading import RANDOM, SEQUENTIAL, RangeReader, ReadAhead
from exvad.data.storage.remote.retries import TransientError, call_with_retries

if TYPE_CHECKING:
    from obstore import GetOptions
    from pyarrow import fs as pa_fs

PutMode = Literal["create", "overwrite"]

_NO_SUCH_BUCKET = "there is no such bucket"
_MAX_REASON = 300  # characters of the client's message
# A request for credentials: the tokens of Google Cloud and Azure, and what machines and pods have.
_CREDENTIALS = r"token request|//169\.254\."
# Answers that another try does not change. The client has errors of their own for them, but not
# where it lists objects or asks for credentials.
_REFUSAL = re.compile(
    rf"status code: 40[134]\b|({_CREDENTIALS}).*status code: 400\b|redirect without LOCATION"
    r"|<Code>(ExpiredToken|InvalidToken|TokenRefreshRequired|AuthorizationHeaderMalformed"
    r"|IllegalLocationConstraintException|InvalidBucketName|InvalidResourceName)<",
    re.DOTALL,
)
_NO_BUCKET = re.compile("<Code>(NoSuchBucket|ContainerNotFound)<")
_BODILESS = re.compile(r"status code: 40[03] [A-Za-z ]+:?\s*(\n\nDebug source|$)")
_T = TypeVar("_T")


@dataclass(frozen=True)
class ObjectFileSystem:
    """A bucket; see `FileSystem`.

    Args:
        scheme: s3, gs or az.
        bucket: the bucket, or the container of Azure.
        options: settings of the client that the URI names; they may hold secrets.
    """

    scheme: str
    bucket: str
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def client(self) -> Any:
        """The client of the bucket in this process."""
        return bucket_client(self.scheme, self.bucket, self.options)

    def describe(self, path: str) -> str:
        """Return the URI of a path."""
        return f"{self.scheme}://{self.bucket}/{path}"

    def read_bytes(self, path: str) -> bytes:
        """Return the content of an object."""
        import obstore

        return self._request(path, lambda: bytes(obstore.get(self.client, path).bytes()))

    def write_bytes(self, path: str, data: bytes | memoryview) -> None:
        """Write an object."""
        self._put(path, data, "overwrite")

    def create_bytes(self, path: str, data: bytes | memoryview) -> bool:
        """Write an object unless it exists, by a conditional request."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            self._put(path, data, "create")
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def exists(self, path: str) -> bool:
        """Return whether there is an object of this name."""
        try:
            self._request(path, lambda: self._head(path))
        except FileNotFoundError:
            return False
        return True

    def list_files(self, path: str, recursive: bool = False) -> list[str]:
        """Return the names of the objects below a prefix, sorted."""
        import obstore

        prefix = path or None

        def find() -> Sequence[Any]:
            if recursive:
                return cast("Sequence[Any]", obstore.list(self.client, prefix).collect())
            found = obstore.list_with_delimiter(self.client, prefix)
            return cast("Sequence[Any]", found["objects"])

        folder = f"{path}/" if path else ""
        found_paths = (item["path"] for item in self._request(path, find))
        # Other programs mark folders by an empty object of the same name.
        return sorted(item.removeprefix(folder) for item in found_paths if item != path)

    def list_folders(self, path: str) -> list[str]:
        """Return the parts of names that follow a prefix and end at the next slash, sorted."""
        import obstore

        found = self._request(path, lambda: obstore.list_with_delimiter(self.client, path or None))
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found["common_prefixes"])

    def delete(self, paths: Sequence[str]) -> None:
        """Delete those of some objects that exist, many per request where the service can."""
        import obstore

        if not paths:
            return
        try:
            self._request(paths[0], lambda: obstore.delete(self.client, list(paths)))
        except FileNotFoundError:
            # Services but S3 report what is not there, and may have left out what comes after it.
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    self._request(path, partial(obstore.delete, self.client, path))

    def open_sequential(self, path: str) -> IO[bytes]:
        """Open an object to read it in order, with read-ahead."""
        return cast("IO[bytes]", self._open(path, SEQUENTIAL))

    def open_random(self, path: str) -> Any:
        """Open an object to read pieces of it."""
        return self._open(path, RANDOM)

    def to_arrow(self, path: str) -> tuple[pa_fs.FileSystem, str]:
        """Return pyarrow's client of the same service, and the path with the bucket."""
        return arrow_client(self.scheme, self.options), f"{self.bucket}/{path}"

    def _open(self, path: str, ahead: ReadAhead) -> RangeReader:
        import obstore

        head = self._request(path, lambda: self._head(path))

        def receive(start: int, end: int) -> Any:
            options: GetOptions = {"range": (start, end)}
            if head["e_tag"]:
                options["if_match"] = head["e_tag"]  # the ranges are of one version of the file
            return obstore.get(self.client, path, options=options).bytes()

        def fetch(start: int, end: int) -> Any:
            from obstore.exceptions import PreconditionError

            try:
                return self._request(path, lambda: receive(start, end))
            except (PreconditionError, FileNotFoundError) as error:
                reason = "the file was changed while it was read"
                raise StorageError(self.describe(path), reason, changed=True) from error

        return RangeReader(head["size"], fetch, ahead)

    def _head(self, path: str) -> Any:
        """Ask for the size of an object; if that is refused, also for the reason."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            return obstore.head(self.client, path)
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            if _BODILESS.search(str(error)):  # as all answers to this request
                obstore.get(self.client, path, options={"range": (0, 1)})
            raise

    def _put(self, path: str, data: bytes | memoryview, mode: PutMode) -> None:
        import obstore

        content = memoryview(data).cast("B")
        # Without the flag, data of more than 5 MiB are sent in pieces, by several requests.
        try:
            self._request(
                path,
                lambda: obstore.put(self.client, path, content, mode=mode, use_multipart=False),
            )
        except FileNotFoundError as error:  # of an object that is written only this can be missing
            raise StorageError(self.describe(path), _NO_SUCH_BUCKET) from error

    def _request(self, path: str, call: Callable[[], _T]) -> _T:
        """Call the client, several times if need be.

        Raises:
            FileNotFoundError: there is no such object; where the answer does not say why, also if
                there is no such bucket.
            AlreadyExistsError, PreconditionError: of obstore, for conditional requests.
            StorageError: storage does not answer or refuses.
        """
        from obstore import exceptions as failures

        denied = (
            PermissionError,
            failures.PermissionDeniedError,
            failures.UnauthenticatedError,
            failures.NotSupportedError,
            failures.UnknownConfigurationKeyError,
        )

        def attempt() -> _T:
            try:
                return call()
            except (FileNotFoundError, failures.AlreadyExistsError, failures.PreconditionError):
                raise
            except denied as error:
                raise StorageError(self.describe(path), _reason(error)) from error
            except (failures.BaseError, OSError) as error:
                if _REFUSAL.search(str(error)):
                    raise StorageError(self.describe(path), _reason(error)) from error
                raise TransientError(_reason(error)) from error

        try:
            return call_with_retries(attempt)
        except TransientError as error:
            raise StorageError(self.describe(path), error.reason) from error
        except FileNotFoundError as error:
            place = self.describe(path)
            if _NO_BUCKET.search(str(error)):
                raise StorageError(place, _NO_SUCH_BUCKET) from error
            raise FileNotFoundError(errno.ENOENT, "there is no such file", place) from error


def _reason(error: Exception) -> str:
    """Return the client's message as part of one sentence, without what only developers read."""
    text = " ".join(str(error).partition("\n\nDebug source")[0].split())
    if _NO_BUCKET.search(text):
        return _NO_SUCH_BUCKET
    request, _, answer = text.partition(" - ")  # which request, and how long it took
    text = _without_tags(answer or text)
    if "redirect without LOCATION" in text:
        text = "the bucket is in another region: set AWS_REGION to it"
    if re.search(_CREDENTIALS, request):
        text = f"no credentials: {text}"
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"


def _without_tags(text: str) -> str:
    """Return a message with the code and the message of an XML answer in place of the answer."""
    status, mark, _ = text.partition("<")
    if not mark:
        return text
    code = re.search(r"<Code>([^<]*)<", text)
    if code is None:  # the page of a proxy, for example
        return " ".join(re.sub(r"<[^>]*>", " ", text).split())
    message = re.search(r"<Message>([^<]*)<", text)
    # Azure adds the number of the request and the time.
    said = message[1].partition("RequestId:")[0].strip().rstrip(".") if message else ""
    return f"{status}{unescape(said)} ({code[1]})" if said else f"{status}{code[1]}"
