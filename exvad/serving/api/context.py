"""What the routes of the API share."""

from __future__ import annotations

from exvad.serving.api.keys import Keys
from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.notifier import EventNotifier
from exvad.serving.queue.streams import Streams
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.spool import Spool
from exvad.video.sandbox import DecodingProcess


class Context:
    """Where things are kept, and who may do what.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.queue = Queue(settings.database_path, settings.lease_seconds)
        self.streams = Streams(settings.database_path, settings.lease_seconds)
        self.news = EventNotifier(self.queue, settings.max_followers)
        self.spool = Spool(settings.spool / "videos", settings.max_bytes)
        self.keys = Keys(settings.api_keys)
        self.fetcher = Fetcher(settings)
        self.decoder = DecodingProcess(settings.decode_bytes, settings.decode_seconds)
