"""The XML API of Google Cloud Storage before its testbench, which speaks the JSON API.

obstore speaks the XML API, pyarrow the JSON API. Google's testbench has too little of the first:
no list, no deletion, and no ETag, without which obstore refuses an answer. The server here answers
the requests that obstore sends by those of the JSON API, and passes on those of pyarrow.
"""

from __future__ import annotations

import http.client
import json
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

from tests.helpers.http_bodies import read_body

JSON_PREFIXES = ("/storage/v1/", "/upload/", "/download/", "/batch/")
_PAGE = 1000  # names per answer
_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


@contextmanager
def xml_api(port: int) -> Iterator[int]:
    """Answer requests of both APIs by the JSON API of a testbench; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(port))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.request(method, path, body or None, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())


def _handler(port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = read_body(self)
            if self.path.startswith(JSON_PREFIXES):
                self._send(ask(port, self.command, self.path, body, dict(self.headers.items())))
                return
            parts = urlsplit(self.path)
            # obstore escapes the hyphens of a bucket.
            bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
            if name:
                self._send(_object(port, self.command, bucket, name, self.headers, body))
            else:
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                self._send(_listing(port, bucket, query))

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

        def _send(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            length = str(len(answer.body))
            for name, value in answer.headers.items():
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                elif name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def _object(
    port: int, method: str, bucket: str, name: str, headers: Message, body: bytes
) -> Answer:
    """Answer a request about one object."""
    path = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    if method == "PUT":
        query = {"uploadType": "media", "name": name}
        if match := headers.get("x-goog-if-generation-match"):
            query["ifGenerationMatch"] = match
        target = f"/upload/storage/v1/b/{bucket}/o?{urlencode(query)}"
        sent = {"Content-Type": headers.get("Content-Type", "application/octet-stream")}
        stored = ask(port, "POST", target, body, sent)
        return Answer(200, _headers(stored.value), b"") if stored.status == 200 else _error(stored)
    if method == "DELETE":
        deleted = ask(port, "DELETE", path)
        return Answer(204, {}, b"") if deleted.status == 200 else _error(deleted)
    found = ask(port, "GET", path)
    if found.status != 200:
        return _error(found)
    described = _headers(found.value)
    if headers.get("If-Match", described["ETag"]) != described["ETag"]:
        return _error(Answer(412, {}, b""))
    if method == "HEAD":
        return Answer(200, described | {"Content-Length": _size(found.value)}, b"")
    wanted = {"Range": headers["Range"]} if "Range" in headers else {}
    media = ask(
        port, "GET", f"{path}?alt=media&generation={found.value['generation']}", b"", wanted
    )
    if media.status not in (200, 206):
        return _error(media)
    ranges = {"Content-Range": media.headers["Content-Range"]} if wanted else {}
    return Answer(media.status, described | ranges, media.body)


def _listing(port: int, bucket: str, query: Mapping[str, str]) -> Answer:
    """Answer a list request: the objects and folders of a bucket that begin with a prefix."""
    asked = {name: query[name] for name in ("prefix", "delimiter") if name in query}
    found = ask(port, "GET", f"/storage/v1/b/{bucket}/o?{urlencode(asked)}")
    if found.status != 200:
        return _error(found)
    entries = {
        item["name"]: f"<Contents><Key>{escape(item['name'])}</Key><Size>{_size(item)}</Size>"
        f"<LastModified>{item['updated']}</LastModified><ETag>{_etag(item)}</ETag></Contents>"
        for item in found.value.get("items", [])
    } | {
        name: f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
        for name in found.value.get("prefixes", [])
    }
    names = sorted(name for name in entries if name > query.get("continuation-token", ""))
    text = "".join(entries[name] for name in names[:_PAGE])
    if len(names) > _PAGE:
        token = f"<NextContinuationToken>{escape(names[_PAGE - 1])}</NextContinuationToken>"
        text += f"<IsTruncated>true</IsTruncated>{token}"
    document = f"<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>{text}</ListBucketResult>"
    return Answer(200, {"Content-Type": "application/xml"}, document.encode())


def _headers(item: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ETag": _etag(item),
        "Last-Modified": format_datetime(_time(item["updated"]), usegmt=True),
        "x-goog-generation": item["generation"],
        "Content-Type": item.get("contentType", "application/octet-stream"),
    }


def _etag(item: Mapping[str, Any]) -> str:
    return f'"{b64decode(item["md5Hash"]).hex()}"'


def _size(item: Mapping[str, Any]) -> str:
    return str(item.get("size", "0"))  # the testbench leaves out what is zero


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _error(answer: Answer) -> Answer:
    codes = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed"}
    code = codes.get(answer.status, "InternalError")
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
    return Answer(answer.status, {"Content-Type": "application/xml"}, body.encode())
