"""A client of the server: submit a video, wait for the answer, follow the work, watch a stream.

client = Client("http://localhost:8000")
answer = client.analyze("clip.mp4")
"""

from exvad.client.asynchronous import AsyncClient
from exvad.client.protocol import Categories, Job, ServerError, ServerEvent, Stream, StreamAlert
from exvad.client.synchronous import Client

__all__ = [
    "AsyncClient", "Categories", "Client", "Job", "ServerError", "Stream", "StreamAlert", "ServerEvent"
]  # fmt: skip
