"""A client of the server: submit videos, wait for results, follow the work, watch streams.

with Client("http://localhost:8000") as client:
    analysis = client.analyze("clip.mp4")
"""

from exvad.client.asynchronous import AsyncClient
from exvad.client.models import (
    Categories,
    Job,
    ServerError,
    ServerEvent,
    Stream,
    StreamAlert,
    SubmitOptions,
    WatchOptions,
)
from exvad.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Categories",
    "Client",
    "Job",
    "ServerError",
    "ServerEvent",
    "Stream",
    "StreamAlert",
    "SubmitOptions",
    "WatchOptions",
]
