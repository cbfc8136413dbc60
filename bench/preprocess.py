"""How well preprocessing keeps its encoder busy, how it spreads, and what memory it takes.

Vision: the job's pipeline with ViT-B/16 (random weights) and one actor, between its first and its
last part file, against the bare encoder on the same frames in memory, before and after.
Plain: one process reads a 1280×720 video frame by frame, every one as RGB, and encodes one picture
at a time; the pipeline does the same job on both cores. With the demo's CLIP decoding is the
larger part, as it is beside a GPU; with ViT-B/16 on a CPU encoding is nearly all, and the figure
without a goal says so.
Second node: the same job on a cluster of one and of two worker nodes of one CPU each. Two cores
can't decode for both nodes and run the rest, so decoding waits a second per chunk, as if it
computed, and the encoder is a fake.
Memory: of all processes of the job on a video of three minutes and on one of three hours, which is
the same looped 60 times.

    python -m bench.preprocess [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import av
import numpy as np
import psutil

from bench._harness import emit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
GOALS = {
    "vision_over_bare_encoder": (">=", 0.85),
    "decode_bound_over_plain": (">=", 3),
    "second_node_speedup": (">=", 1.7),
    "memory_3_hours_over_3_minutes": ("<=", 1.2),
}
VIT = ("clip.model=ViT-B-16", 'clip.pretrained=""')
ONE_ACTOR = ("stages.vision.min_actors=1", "stages.vision.max_actors=1", "stages.vision.cpus=1")
SLEEP = 1.0  # seconds that decoding a chunk waits where nodes are counted


def write_video(path: Path, frames: int, size: tuple[int, int], fps: int = 30) -> Path:
    """Write an H.264 video of a moving, noisy texture, coded as a camera's recordings are."""
    width, height = size
    noise_4HWC = np.random.default_rng(0).integers(0, 12, (4, height, width, 3), np.uint8)
    texture_HW = np.add.outer(np.arange(height) * 2, np.arange(width) * 3) % 200
    texture_HWC = np.repeat(texture_HW.astype(np.uint8)[:, :, None], 3, axis=2)
    with av.open(str(path), "w") as container:
        options = {"crf": "23", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture_HWC = np.roll(texture_HWC, number * 2, axis=1) + noise_4HWC[number % 4]
            frame = av.VideoFrame.from_ndarray(picture_HWC, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def loop_video(source: Path, target: Path, times: int) -> Path:
    """Write a video several times over without coding it anew."""
    with av.open(str(target), "w") as out:
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                assert video.duration is not None
                for packet in container.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    out.mux(packet)
                offset += video.duration
    return target


def data_set(folder: Path, videos: list[Path], *overrides: str) -> tuple[Config, Manifest]:
    """Describe some videos as a data set of one class."""
    from exvad.config import load_config
    from exvad.data.manifest import Manifest
    from exvad.data.records import Video

    rows = tuple(Video(path.stem, str(path), "train", ("Normal",)) for path in videos)
    settings = ["captioner.per_video=1", "data.short_side=256", f"run={folder}", *overrides]
    return load_config("demo", settings), Manifest(("Normal", "Other"), rows)


def see(config: Config, manifest: Manifest) -> Store:
    """Run the job's vision stage in the running Ray session."""
    from exvad.pipeline.vision import run_vision

    from exvad.aegm.vision_stage import vision_fingerprint
    from exvad.store.store import Store

    store = Store(config.store_path)
    run_vision(config, manifest, store, store.stage("vision", vision_fingerprint(config)))
    assert not store.failures.rows(), store.failures.rows()
    return store


def parts(store: Store) -> list[tuple[float, int]]:
    """List the vision stage's part files: seconds of writing, snippets."""
    import pyarrow.parquet as pq

    found = []
    for path in sorted((Path(store.root) / "vision").glob("*.parquet")):
        snippets = sum(map(len, pq.read_table(path, columns=["times"])["times"]))
        found.append((int(path.name.split("-")[0]) / 1e9, snippets))
    return found


def steady_rate(store: Store) -> float:
    """Return snippets per second from the first part file to the last."""
    written = parts(store)
    seconds = written[-1][0] - written[0][0]
    return sum(snippets for _, snippets in written[1:]) / seconds


@contextmanager
def cpus(count: int) -> Iterator[None]:
    """Run a private Ray session."""
    import ray

    from exvad.pipeline.session import ray_session

    os.environ.pop("RAY_ADDRESS", None)
    with ray_session():
        assert ray.cluster_resources()["CPU"] >= count, f"needs {count} cores"
        yield


def bare_rate(encoder: Any, frames_tHWC: NDArray[np.uint8]) -> float:
    """Return pictures per second of the encoder alone."""
    begin = time.perf_counter()
    encoder.encode_images(frames_tHWC)
    return len(frames_tHWC) / (time.perf_counter() - begin)


def vision(folder: Path, snippets: int) -> dict[str, float]:
    """Measure the pipeline against the bare encoder."""
    import torch

    from exvad.aegm.vision_stage import plan_video
    from exvad.encoders.loading import load_clip
    from exvad.video.decoding import decode_chunk

    torch.set_num_threads(1)
    videos = [
        write_video(folder / f"small{n}.mp4", snippets * 16 // 4, (320, 240)) for n in range(4)
    ]
    settings = (*VIT, *ONE_ACTOR, "data.snippets_per_chunk=8", "clip.batch_size=8")
    config, manifest = data_set(folder / "vision", videos, *settings)
    encoder = load_clip(config)
    _, tasks = plan_video("v", str(videos[0]), config)
    frames = np.concatenate([decode_chunk(task.chunk, 256).frames for task in tasks])[:32]
    rates = [bare_rate(encoder, frames)]
    with cpus(2):
        piped = steady_rate(see(config, manifest))
    rates.append(bare_rate(encoder, frames))
    plain = plain_rate(encoder, videos[0], 16)
    return {
        "bare_encoder_pictures_per_second": statistics.mean(rates),
        "vision_pictures_per_second": piped,
        "vision_over_bare_encoder": piped / statistics.mean(rates),
        "vit_on_cpu_over_plain": piped / plain,
    }


def plain_rate(encoder: Any, video: Path, most: int) -> float:
    """Return snippets per second of one process that converts every frame and sees one at once."""
    begin, seen = time.perf_counter(), 0
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "NONE"
        for number, frame in enumerate(container.decode(video=0)):
            picture_HWC = frame.to_ndarray(format="rgb24")
            if number % 16 == 0:
                encoder.encode_images(picture_HWC[None])
                seen += 1
                if seen == most:
                    break
    return seen / (time.perf_counter() - begin)


def decode_bound(folder: Path, snippets: int) -> dict[str, float]:
    """Measure the pipeline on both cores against the plain way in one process."""
    import torch

    from exvad.encoders.loading import load_clip

    torch.set_num_threads(1)
    source = write_video(folder / "large.mp4", 640, (1280, 720))
    videos = [
        loop_video(source, folder / f"large{n}.mp4", snippets * 16 // 640 // 4) for n in range(4)
    ]
    settings = (*ONE_ACTOR, "data.snippets_per_chunk=64", "stages.vision.cpus=0.5")
    config, manifest = data_set(folder / "plain", videos, *settings)
    plain = plain_rate(load_clip(config), videos[0], 120)
    with cpus(2):
        piped = steady_rate(see(config, manifest))
    return {
        "plain_snippets_per_second": plain,
        "decode_bound_snippets_per_second": piped,
        "decode_bound_over_plain": piped / plain,
    }


def slow_decode(row: Mapping[str, Any], short_side: int) -> dict[str, Any]:
    """Decode a chunk, and wait as if that had been much work."""
    from exvad.pipeline.decoding import decode

    time.sleep(SLEEP)
    return decode(row, short_side)


class FakeModels:
    """An encoder and a captioner that take no time."""

    width = 16

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the same feature for every picture."""
        return np.ones((len(frames), self.width), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same feature for every text."""
        return np.ones((len(texts), self.width), np.float32)

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return the same caption for every picture."""
        return ["a picture"] * len(frames)


def nodes(folder: Path, chunks: int) -> dict[str, float]:
    """Measure a job whose decoding takes long on one worker node and on two."""
    import ray
    from ray.cluster_utils import Cluster

    from exvad.aegm.vision_stage import VisionStage
    from exvad.pipeline import decoding, vision
    from exvad.pipeline.session import ray_session

    class FakeActor(vision.VisionActor):
        def __init__(self, _config: Config, stage: Any) -> None:
            self.stage, self.crops = stage, 1
            self.vision = VisionStage(FakeModels(), FakeModels())

    video = write_video(folder / "nodes.mp4", chunks * 8 * 16, (160, 120))
    rates = []
    for count in (1, 2):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(count):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        os.environ["RAY_ADDRESS"] = cluster.address
        settings = (
            *ONE_ACTOR, "stages.vision.cpus=0", "stages.decode_cpus=1", "data.snippets_per_chunk=8"
        )  # fmt: skip
        config, manifest = data_set(folder / f"nodes{count}", [video], *settings)
        try:
            with (
                patch.object(decoding, "decode", slow_decode),
                patch.object(vision, "VisionActor", FakeActor),
                ray_session(),
            ):
                rates.append(steady_rate(see(config, manifest)))
        finally:
            ray.shutdown()
            cluster.shutdown()
            del os.environ["RAY_ADDRESS"]
    return {
        "one_node_snippets_per_second": rates[0],
        "two_nodes_snippets_per_second": rates[1],
        "second_node_speedup": rates[1] / rates[0],
    }


def peak_memory(command: list[str]) -> int:
    """Run a command; return the most bytes all its processes held, each page counted once."""
    peak = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr) as process:
        while process.poll() is None:
            time.sleep(0.5)
            total = 0
            for member in family(process.pid):
                try:
                    total += member.memory_full_info().pss
                except psutil.Error:
                    continue
            peak = max(peak, total)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return peak


def family(pid: int) -> list[psutil.Process]:
    """List a process and its descendants, none if it has ended."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(folder: Path, seconds: int) -> dict[str, float]:
    """Measure the peak memory of the job on a short video and on one that is 60 times as long."""
    from exvad.data.world.activities import CLASSES

    short = write_video(folder / "short.mp4", 25 * seconds, (160, 120), 25)
    peaks = []
    for video in (short, loop_video(short, folder / "long.mp4", 60)):
        run = folder / f"run-{video.stem}"
        run.mkdir()
        listing = run / "videos.csv"
        listing.write_text(
            f"# classes: {', '.join(CLASSES)}\nvideo_id,path,split,labels\nv,{video},train,Normal\n"
        )
        command = [
            sys.executable, "jobs/preprocess.py", "data.kind=manifest", "data.validation=0",
            f"data.manifest={listing}", f"run={run}", *ONE_ACTOR,
            "stages.language.min_actors=1", "stages.language.max_actors=1",
        ]  # fmt: skip
        peaks.append(peak_memory(command) / 2**30)
        print(f"{video.stem}: {peaks[-1]:.3f} GiB", file=sys.stderr)
    return {
        "memory_3_minutes_gib": peaks[0],
        "memory_3_hours_gib": peaks[1],
        "memory_3_hours_over_3_minutes": peaks[1] / peaks[0],
    }


def main() -> None:
    """Measure and print one JSON line."""
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    from exvad.cli.main import QUIET

    os.environ |= QUIET
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller videos; figures mean little")
    parser.add_argument("--only", default="", help="one of vision, decode_bound, nodes, memory")
    options = parser.parse_args()
    quick = options.quick
    figures: dict[str, float] = {}
    sizes: list[tuple[Callable[[Path, int], dict[str, float]], int]] = [
        (vision, 96 if quick else 192),
        (decode_bound, 1280 if quick else 3840),
        (nodes, 24 if quick else 96),
        (memory, 18 if quick else 180),
    ]
    for measure, size in sizes:
        if options.only in ("", measure.__name__):
            with tempfile.TemporaryDirectory() as folder:
                figures |= measure(Path(folder), size)
                print(figures, file=sys.stderr)
    if not options.only:
        emit("preprocess", figures, GOALS)


if __name__ == "__main__":
    main()
