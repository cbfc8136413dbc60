"""What the routes of the API share."""

from __future__ import annotations

from exvad.data.sandbox import DecodingProcess
from serve.fetch import Fetcher
from serve.keys import Keys
from serve.news import News
from serve.queue import Queue
from serve.settings import ServerSettings
from serve.spool import Spool
from serve.stream_table import Streams


class Context:
    """Where things are kept, and who may do what.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.queue = Queue(settings.database_path, settings.lease_seconds)
        self.streams = Streams(settings.database_path, settings.lease_seconds)
        self.news = News(self.queue, settings.max_followers)
        self.spool = Spool(settings.spool / "videos", settings.max_bytes)
        self.keys = Keys(settings.api_keys)
        self.fetcher = Fetcher(settings)
        self.decoder = DecodingProcess(settings.decode_bytes, settings.decode_seconds)
