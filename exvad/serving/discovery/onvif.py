"""The streams of an ONVIF device, with the signed login of WS-Security."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx2 as httpx

from exvad.serving.discovery.probe import printable
from exvad.serving.discovery.xml import MAX_BYTES, DeviceError, find_texts, parse_xml

DEVICE, MEDIA = "http://www.onvif.org/ver10/device/wsdl", "http://www.onvif.org/ver10/media/wsdl"
SCHEMA = "http://www.onvif.org/ver10/schema"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
DIGEST = f"{SECURITY}username-token-profile-1.0#PasswordDigest"
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
    "<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
)
TOKEN = (
    f'<w:Security s:mustUnderstand="1" xmlns:w="{SECURITY}wssecurity-secext-1.0.xsd" '
    f'xmlns:u="{SECURITY}wssecurity-utility-1.0.xsd"><w:UsernameToken>'
    f'<w:Username>{{user}}</w:Username><w:Password Type="{DIGEST}">{{digest}}</w:Password>'
    "<w:Nonce>{nonce}</w:Nonce><u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
)
SECONDS = 5.0
MAX_PROFILES = 32


@dataclass(frozen=True)
class CameraStream:
    """A stream that a device offers.

    Args:
        url: RTSP, without a login.
        profile: what the device calls it.
        encoding: such as H264; empty if the device does not say.
        size: width and height, pixels; zeros if the device does not say.
    """

    url: str
    profile: str
    encoding: str
    size: tuple[int, int]


def read_streams(
    address: str, user: str = "", password: str = ""
) -> tuple[list[CameraStream], list[str]]:
    """Return the streams of a device, and for each profile without one, why.

    Args:
        address: URL of its device service.
        user: empty for a device that asks for no login.
        password: it is never sent, only a digest of it.

    Raises:
        DeviceError: the device refuses all profiles, or its answer makes no sense.
    """
    streams: list[CameraStream] = []
    problems: dict[str, DeviceError] = {}
    with httpx.Client(timeout=SECONDS, trust_env=False, follow_redirects=False) as http:
        device = _Service(http, address, user, password)
        device.set_clock()
        capabilities = device.ask(
            f'<d:GetCapabilities xmlns:d="{DEVICE}"><d:Category>Media</d:Category>'
            "</d:GetCapabilities>"
        )
        media = device.at(_media_address(capabilities, address))
        profiles = media.ask(f'<m:GetProfiles xmlns:m="{MEDIA}"/>')
        found = [item for item in profiles.iter() if item.tag.rpartition("}")[2] == "Profiles"]
        for profile in found[:MAX_PROFILES]:
            try:
                streams.append(_read_stream(media, profile))
            except DeviceError as error:
                problems[printable(profile.get("token", ""))] = error
    if problems and not streams:
        raise next(iter(problems.values()))
    return streams, [f"profile {token}: {error}" for token, error in problems.items()]


class _Service:
    """A service of a device.

    Args:
        http: the client.
        address: URL of the service.
        user: see `read_streams`.
        password: see `read_streams`.
        ahead: how far the clock of the device is ahead of this one.
    """

    def __init__(
        self,
        http: httpx.Client,
        address: str,
        user: str,
        password: str,
        ahead: timedelta = timedelta(),
    ) -> None:
        self._http, self._address = http, address
        self._user, self._password, self._ahead = user, password, ahead

    def at(self, address: str) -> _Service:
        """Return another service of the same device."""
        return _Service(self._http, address, self._user, self._password, self._ahead)

    def set_clock(self) -> None:
        """Sign by the clock of the device: it refuses what looks old."""
        body = f'<d:GetSystemDateAndTime xmlns:d="{DEVICE}"/>'
        try:
            answer = self._post(ENVELOPE.format(header="", body=body))
        except DeviceError:  # the question is optional
            return
        for item in answer.iter():
            if item.tag.rpartition("}")[2] == "UTCDateTime":
                names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
                try:
                    values = [int(find_texts(item, name)[0]) for name in names]
                    year, month, day, hour, minute, second = values
                    now = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
                except (ValueError, IndexError):
                    return
                self._ahead = now - datetime.now(UTC)

    def ask(self, body: str) -> ElementTree.Element:
        """Send a request and return the answer.

        Raises:
            DeviceError: the device refuses.
        """
        return self._post(ENVELOPE.format(header=self._token(), body=body))

    def _token(self) -> str:
        if not self._user:
            return ""
        nonce = os.urandom(16)
        created = (datetime.now(UTC) + self._ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hashlib.sha1(nonce + created.encode() + self._password.encode()).digest()
        return TOKEN.format(
            user=escape(self._user),
            digest=base64.b64encode(digest).decode(),
            nonce=base64.b64encode(nonce).decode(),
            created=created,
        )

    def _post(self, envelope: str) -> ElementTree.Element:
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        try:
            with self._http.stream(
                "POST", self._address, content=envelope.encode(), headers=headers
            ) as response:
                content = b""
                for part in response.iter_bytes():
                    content += part
                    if len(content) > MAX_BYTES:
                        raise DeviceError("the answer is too long")
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise DeviceError(f"no answer ({str(error) or type(error).__name__})") from None
        if response.status_code == 401:
            raise DeviceError(self._refusal())
        try:
            root = parse_xml(content)
        except DeviceError:
            raise DeviceError(f"it answers with status {response.status_code}") from None
        faults = [item for item in root.iter() if item.tag.rpartition("}")[2] == "Fault"]
        if faults:
            texts = " ".join([*find_texts(faults[0], "Value"), *find_texts(faults[0], "Text")])
            if "NotAuthorized" in texts or "authori" in texts.lower():
                raise DeviceError(self._refusal())
            raise DeviceError(f"it refuses the request ({printable(texts)})")
        return root

    def _refusal(self) -> str:
        if self._user:
            return "it refuses the user name or the password, or the user may not use ONVIF"
        return "it asks for a user name and a password: --user NAME"


def _media_address(capabilities: ElementTree.Element, address: str) -> str:
    """Return where the media service is: on the device itself, which must not lead elsewhere."""
    for media in capabilities.iter():
        if media.tag.rpartition("}")[2] == "Media":
            for text in find_texts(media, "XAddr"):
                parts = urlsplit(text)
                if parts.scheme in ("http", "https") and parts.path:
                    return urlsplit(address)._replace(path=parts.path, query=parts.query).geturl()
    raise DeviceError("it names no media service")


def _read_stream(media: _Service, profile: ElementTree.Element) -> CameraStream:
    token = escape(profile.get("token", ""), {'"': "&quot;"})
    answer = media.ask(
        f'<m:GetStreamUri xmlns:m="{MEDIA}" xmlns:t="{SCHEMA}"><m:StreamSetup>'
        "<t:Stream>RTP-Unicast</t:Stream><t:Transport><t:Protocol>RTSP</t:Protocol></t:Transport>"
        f"</m:StreamSetup><m:ProfileToken>{token}</m:ProfileToken></m:GetStreamUri>"
    )
    urls = find_texts(answer, "Uri")
    if not urls or not urls[0].lower().startswith(("rtsp://", "rtsps://")):
        raise DeviceError("it names no RTSP address")
    names, encodings = find_texts(profile, "Name"), find_texts(profile, "Encoding")
    sides = [find_texts(profile, side) for side in ("Width", "Height")]
    numbers = [int(texts[0]) if texts and texts[0].isdecimal() else 0 for texts in sides]
    return CameraStream(
        _without_login(urls[0]),
        printable(names[0]) if names else "",
        printable(encodings[0]) if encodings else "",
        (numbers[0], numbers[1]),
    )


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return printable(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
