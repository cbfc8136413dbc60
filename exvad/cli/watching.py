"""The work of `exvad watch`: watch streams in threads of this process, and print their alerts."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from exvad.cli.alert_output import AlertOutput
from exvad.cli.detectors import ZeroShotOptions, load_detector
from exvad.cli.exit_codes import DONE, FAILED
from exvad.live.live_explainer import explains_with_models
from exvad.pipeline.termination import EXIT_INTERRUPTED
from exvad.results.live import LiveAlert, LiveNotice
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.workers.live_stream import LiveStream, StreamEvent

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.detector.detector import Detector
    from exvad.serving.schemas.streams import StreamOptions, StreamSource
    from exvad.serving.settings import ServerSettings

Items = queue.Queue[tuple[str, StreamEvent | None]]  # None once a stream is not watched any more


def watch_sources(
    sources: Mapping[str, StreamSource],
    options: StreamOptions,
    settings: ServerSettings,
    as_json: bool,
    checkpoint: Path | Config | None = None,
    overrides: Mapping[str, Any] | None = None,
    zero_shot: ZeroShotOptions | None = None,
) -> int:
    """Watch sources until all have ended or Ctrl-C is pressed, and print their alerts.

    Args:
        sources: name → source.
        options: how they are watched.
        settings: the limits of the processes that read them.
        as_json: whether to print one JSON object per alert and notice instead of text.
        checkpoint: see `load_detector`.
        overrides: see `load_detector`.
        zero_shot: see `load_detector`.

    Returns:
        The exit code: 0 if all sources have ended, 1 if one of them could not be watched, 130
        after Ctrl-C.

    Raises:
        ValueError: there is no detector, or it can't be used for this.
    """
    notes = Console(stderr=True, highlight=False)
    detector = load_detector(checkpoint, overrides or {}, zero_shot or ZeroShotOptions(), notes)
    detector.check_encoder()
    explains = options.explain and explains_with_models(detector.checkpoint)
    _load_models(detector, explains)
    streams = {}
    for name, source in sources.items():
        stream = LiveStream(detector, options)
        spec = stream.source_spec(name, source, settings)
        if source.path is not None:  # it waits for a file to grow; what is there stays broken
            spec = replace(spec, max_retries=0)
        streams[name] = (stream, StreamProcess(spec))
    output = AlertOutput(streams, Console(highlight=False), notes, as_json)
    notes.print(f"watching {', '.join(streams)}; Ctrl-C ends it", markup=False, soft_wrap=True)
    watcher = _Watcher(streams, output)
    was_interrupted = False
    try:
        watcher.run()
    except KeyboardInterrupt:
        was_interrupted = True
        if explains:
            notes.print("an explanation in progress is finished; Ctrl-C again ends at once")
    finally:
        watcher.stop()
    watcher.print_rest()
    output.summarize()
    if unread := [name for name in output.unread if sources[name].path is not None]:
        text = f"{', '.join(unread)}: if this is a finished video, `exvad analyze` may read it"
        notes.print(text, markup=False, soft_wrap=True)
    if was_interrupted:
        return EXIT_INTERRUPTED
    return FAILED if watcher.failed or output.unread else DONE


def _load_models(detector: Detector, explains: bool) -> None:
    """Load the models before the streams: threads would load one twice, and errors come too late.

    Raises:
        ValueError: a model can't be loaded.
    """
    models = detector.models
    _ = models.clip
    if explains:
        _ = models.captioner, models.llm


class _Watcher:
    """Watches streams, one thread each; explanations take turns in one more.

    Args:
        streams: name → the stream and the process that reads it.
        output: prints their records.

    Attributes:
        failed: the streams that could not be watched to their end.
    """

    def __init__(
        self, streams: Mapping[str, tuple[LiveStream, StreamProcess]], output: AlertOutput
    ) -> None:
        self.failed: set[str] = set()
        self._streams, self._output = streams, output
        self._stopped = threading.Event()
        self._items: Items = queue.Queue()
        self._explainer = ThreadPoolExecutor(1)
        self._threads = ThreadPoolExecutor(len(streams))

    def run(self) -> None:
        """Watch the streams, and print what happens until all have ended."""
        futures = {}
        for name, (stream, process) in self._streams.items():
            futures[name] = self._threads.submit(self._follow, name, stream, process)
            futures[name].add_done_callback(partial(self._mark_over, name))
        watched = set(futures)
        while watched:
            name, event = self._items.get()
            if event is not None:
                self._output.add(name, event.record, event.happened_at)
                continue
            watched.remove(name)
            self._output.end_alerts(name)
            futures[name].result()

    def stop(self) -> None:
        """End the streams."""
        self._stopped.set()
        try:
            self._threads.shutdown()
            self._explainer.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            # A thread can't be ended, and Python would wait for it at exit.
            sys.stdout.flush()
            os._exit(EXIT_INTERRUPTED)

    def print_rest(self) -> None:
        """Print the alerts that were on their way when the streams were stopped."""
        while not self._items.empty():
            name, event = self._items.get()
            if event is not None and isinstance(event.record, LiveAlert):
                self._output.add(name, event.record, event.happened_at)
        for name in self._streams:
            self._output.end_alerts(name)

    def _mark_over(self, name: str, _: Future[None]) -> None:
        self._items.put((name, None))

    def _follow(self, name: str, stream: LiveStream, process: StreamProcess) -> None:
        try:
            for event in stream.follow(process, self._stopped, self._explainer):
                event.peak_frames.clear()  # nothing stores them
                self._items.put((name, event))
        except ValueError as error:
            self.failed.add(name)
            notice = LiveNotice(kind="ended", text=str(error))
            self._items.put((name, StreamEvent(notice, time.time(), {})))
