"""The objects that all endpoints of an application share."""

from __future__ import annotations

import asyncio

from exvad.serving.api.keys import ApiKeys
from exvad.serving.api.public_address import PublicAddress
from exvad.serving.labelling.reviewed_manifest import ReviewedManifest
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.notifier import EventNotifier
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.sources.spool import Spool
from exvad.video.sandbox import DecodingProcess

MAX_CONCURRENT_DECODINGS = 2


class Context:
    """The queues, the spool, the API keys and the decoder of one application.

    Args:
        settings: settings of the server.

    Raises:
        ValueError: the file of API keys can't be read, or the database has another version.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.analyses = AnalysisQueue(settings.database_path, settings.lease_seconds)
        self.streams = StreamQueue(settings.database_path, settings.lease_seconds)
        self.notifier = EventNotifier(self.analyses, settings.max_followers)
        self.reviews = ReviewedManifest(settings.manifest, self.analyses, settings.spool)
        self.spool = Spool(settings.spool / "videos", settings.max_bytes)
        self.keys = ApiKeys(settings.api_keys)
        self.address = PublicAddress(settings.public_url)
        self.fetcher = Fetcher(settings)
        self.decoder = DecodingProcess(
            settings.decode_bytes, settings.decode_seconds, mode=settings.sandbox
        )
        # One client that requests many frames must not use up the threads of all others.
        self.decoder_slots = asyncio.Semaphore(MAX_CONCURRENT_DECODINGS)

    def close(self) -> None:
        """Stop the decoding process."""
        self.decoder.close()
