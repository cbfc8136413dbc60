"""How busy preprocessing keeps its encoder, how it scales, and how much memory it takes.

Precision: ViT-B/16 (random weights) in the precision that `clip.dtype=auto` chooses, and in
float32, alternately on all cores; the smallest cosine of their features.
Vision: the job's pipeline with ViT-B/16 (random weights) and one actor, from its first part file to
its last, compared with the encoder alone on the same frames in memory, before and after.
Decoding: one plain process reads a 1280×720 video frame by frame, converts every frame to RGB, and
encodes one frame at a time. The pipeline does the same work on both cores. With the demo's CLIP
most of the work is decoding, as it is beside a GPU. With ViT-B/16 on a CPU nearly all of the work
is encoding; that metric has no goal.
Nodes: the same job on a cluster of one and of two worker nodes of one CPU each. Two cores can't
decode for both nodes and run everything else, so decoding sleeps a second per chunk, and the
encoder is a fake.
Host: milliseconds per chunk of 256 snippets that the vision actor takes beside its models: the
frames out of shared memory, the clips to caption, and the row into the store. The models are fakes
that return at once.
Memory: of all processes of the job, on a video of three minutes and on the same video repeated 60
times, which is three hours.

    python -m bench.preprocess [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import av
import numpy as np
import open_clip
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import torch
from ray.cluster_utils import Cluster
from safetensors.torch import save_file

from bench._harness import ROOT, emit
from bench._host_time import FakeActor, measure_host_time
from exvad.aegm.vision_stage import plan_video, vision_fingerprint
from exvad.cli.main import QUIET
from exvad.config import Config, load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Video
from exvad.data.world.activities import CLASSES
from exvad.encoders.loading import load_clip
from exvad.pipeline.session import ray_session
from exvad.pipeline.stages import decoding, vision
from exvad.pipeline.stages.decoding import decode_rows
from exvad.store.store import Store
from exvad.store.survey import Survey
from exvad.video.decoding import decode_chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOALS = {
    "auto_precision_over_float32": (">=", 2),
    "auto_precision_cosine": (">=", 0.999),
    "vision_over_bare_encoder": (">=", 0.85),
    "decode_bound_over_plain": (">=", 3),
    "second_node_speedup": (">=", 1.7),
    "host_ms_per_chunk": ("<=", 20),
    "memory_3_hours_over_3_minutes": ("<=", 1.2),
}
ONE_ACTOR = ("stages.vision.min_actors=1", "stages.vision.max_actors=1", "stages.vision.cpus=1")
DECODE_SECONDS = 1.0  # that decoding a chunk sleeps where nodes are compared
REPEATS = 60  # of the short video in the long one


def write_video(path: Path, frames: int, size: tuple[int, int], fps: int = 30) -> Path:
    """Write an H.264 video of a moving, noisy texture, encoded like the recording of a camera."""
    width, height = size
    noise_4HWC = np.random.default_rng(0).integers(0, 12, (4, height, width, 3), np.uint8)
    texture_HW = np.add.outer(np.arange(height) * 2, np.arange(width) * 3) % 200
    texture_HWC = np.repeat(texture_HW.astype(np.uint8)[:, :, None], 3, axis=2)
    with av.open(str(path), "w") as container:
        options = {"crf": "23", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            frame_HWC = np.roll(texture_HWC, index * 2, axis=1) + noise_4HWC[index % 4]
            frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def repeat_video(source: Path, target: Path, times: int) -> Path:
    """Write a video several times in a row without encoding it again."""
    with av.open(str(target), "w") as output:
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or output.add_stream_from_template(video)
                assert video.duration is not None
                for packet in container.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    output.mux(packet)
                offset += video.duration
    return target


def make_dataset(folder: Path, videos: list[Path], *overrides: str) -> tuple[Config, Manifest]:
    """Return the configuration and the data set of videos of one class."""
    rows = tuple(Video(path.stem, str(path), "train", ("Normal",)) for path in videos)
    settings = ["captioner.per_video=1", "data.short_side=256", f"run={folder}", *overrides]
    return load_config("demo", settings), Manifest(("Normal", "Other"), rows)


def run_vision(config: Config, manifest: Manifest) -> Store:
    """Run the job's vision stage in the running Ray session; return the store."""
    store = Store(config.store_path)
    stage = store.stage("vision", vision_fingerprint(config))
    survey = Survey(store, [video.video_id for video in manifest.videos])
    vision.run_vision(config, manifest, survey, stage)
    assert not store.failures.rows(), store.failures.rows()
    return store


def list_parts(store: Store) -> list[tuple[float, int]]:
    """List the part files of the vision stage: time of writing in seconds, number of snippets."""
    parts = []
    for path in sorted((Path(store.root) / "vision").glob("*.parquet")):
        snippets = sum(map(len, pq.read_table(path, columns=["times"])["times"]))
        parts.append((int(path.name.split("-")[0]) / 1e9, snippets))
    return parts


def steady_rate(store: Store) -> float:
    """Return snippets per second from the first part file to the last."""
    parts = list_parts(store)
    seconds = parts[-1][0] - parts[0][0]
    return sum(snippets for _, snippets in parts[1:]) / seconds


@contextmanager
def private_session(cpus: int) -> Iterator[None]:
    """Run a private Ray session that needs some CPUs."""
    os.environ.pop("RAY_ADDRESS", None)
    with ray_session():
        assert ray.cluster_resources()["CPU"] >= cpus, f"needs {cpus} cores"
        yield


def bare_rate(encoder: Any, frames_tHWC: NDArray[np.uint8]) -> float:
    """Return frames per second of the encoder alone."""
    start = time.perf_counter()
    encoder.encode_images(frames_tHWC)
    return len(frames_tHWC) / (time.perf_counter() - start)


def plain_rate(encoder: Any, video: Path, max_snippets: int) -> float:
    """Return snippets per second of one process that encodes one frame at a time."""
    start, snippets = time.perf_counter(), 0
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "NONE"
        for index, frame in enumerate(container.decode(video=0)):
            frame_HWC = frame.to_ndarray(format="rgb24")
            if index % 16 == 0:
                encoder.encode_images(frame_HWC[None])
                snippets += 1
                if snippets == max_snippets:
                    break
    return snippets / (time.perf_counter() - start)


def write_vit(folder: Path) -> tuple[str, ...]:
    """Write a ViT-B/16 of OpenAI's architecture with random weights; return its settings."""
    name = "ViT-B-16-quickgelu"
    torch.manual_seed(0)
    network = open_clip.create_model(name)
    folder.mkdir()
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    config = {
        "model_cfg": open_clip.get_model_config(name),
        "preprocess_cfg": open_clip.get_model_preprocess_cfg(network),
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return (f"clip.model=local-dir:{folder}", 'clip.pretrained=""')


def measure_precision(folder: Path, frames: int) -> dict[str, float]:
    """Compare the automatic precision with float32."""
    settings = write_vit(folder / "vit")
    automatic, exact = (
        load_clip(load_config("demo", [*settings, f"clip.dtype={dtype}"]))
        for dtype in ("auto", "float32")
    )
    frames_NHWC = np.random.default_rng(0).integers(0, 256, (frames, 30, 40, 3), np.uint8)
    frames_NHWC = frames_NHWC.repeat(8, axis=1).repeat(8, axis=2)
    left_ND, right_ND = automatic.encode_images(frames_NHWC), exact.encode_images(frames_NHWC)
    lengths_N = np.linalg.norm(left_ND, axis=1) * np.linalg.norm(right_ND, axis=1)
    pairs = [(bare_rate(automatic, frames_NHWC), bare_rate(exact, frames_NHWC)) for _ in range(5)]
    return {
        "auto_precision_frames_per_second": statistics.median(fast for fast, _ in pairs),
        "float32_frames_per_second": statistics.median(slow for _, slow in pairs),
        "auto_precision_over_float32": statistics.median(fast / slow for fast, slow in pairs),
        "auto_precision_cosine": float(((left_ND * right_ND).sum(1) / lengths_N).min()),
    }


def measure_vision(folder: Path, snippets: int) -> dict[str, float]:
    """Compare the pipeline with the encoder alone."""
    torch.set_num_threads(1)
    videos = [
        write_video(folder / f"small{n}.mp4", snippets * 16 // 4, (320, 240)) for n in range(4)
    ]
    settings = (
        *write_vit(folder / "vit"),
        *ONE_ACTOR,
        "data.snippets_per_chunk=8",
        "clip.batch_size=8",
    )
    config, manifest = make_dataset(folder / "vision", videos, *settings)
    encoder = load_clip(config)
    _, tasks = plan_video("v", str(videos[0]), config)
    frames = np.concatenate([decode_chunk(task.chunk, 256).frames for task in tasks])[:32]
    rates = [bare_rate(encoder, frames)]
    with private_session(cpus=2):
        pipeline_rate = steady_rate(run_vision(config, manifest))
    rates.append(bare_rate(encoder, frames))
    bare = statistics.mean(rates)
    return {
        "bare_encoder_frames_per_second": bare,
        "vision_frames_per_second": pipeline_rate,
        "vision_over_bare_encoder": pipeline_rate / bare,
        "vit_on_cpu_over_plain": pipeline_rate / plain_rate(encoder, videos[0], 16),
    }


def measure_decoding(folder: Path, snippets: int) -> dict[str, float]:
    """Compare the pipeline on both cores with the plain way in one process."""
    torch.set_num_threads(1)
    source = write_video(folder / "large.mp4", 640, (1280, 720))
    videos = [
        repeat_video(source, folder / f"large{n}.mp4", snippets * 16 // 640 // 4) for n in range(4)
    ]
    settings = (*ONE_ACTOR, "data.snippets_per_chunk=64", "stages.vision.cpus=0.5")
    config, manifest = make_dataset(folder / "plain", videos, *settings)
    plain = plain_rate(load_clip(config), videos[0], 120)
    with private_session(cpus=2):
        pipeline_rate = steady_rate(run_vision(config, manifest))
    return {
        "plain_snippets_per_second": plain,
        "decode_bound_snippets_per_second": pipeline_rate,
        "decode_bound_over_plain": pipeline_rate / plain,
    }


def slow_decode(planned: pa.Table, config: Config) -> pa.Table:
    """Decode a chunk and sleep, as if decoding took long."""
    time.sleep(DECODE_SECONDS)
    return decode_rows(planned, config)


def measure_nodes(folder: Path, chunks: int) -> dict[str, float]:
    """Compare a job whose decoding takes long on one worker node and on two."""
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
        config, manifest = make_dataset(folder / f"nodes{count}", [video], *settings)
        try:
            with (
                patch.object(decoding, "decode_rows", slow_decode),
                patch.object(vision, "VisionActor", FakeActor),
                ray_session(),
            ):
                rates.append(steady_rate(run_vision(config, manifest)))
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
    """Run a command; return the peak bytes of all its processes, shared pages counted once."""
    peak = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr) as process:
        while process.poll() is None:
            time.sleep(0.5)
            total = 0
            for member in process_family(process.pid):
                try:
                    total += member.memory_full_info().pss
                except psutil.Error:
                    continue
            peak = max(peak, total)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return peak


def process_family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants; nothing if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def measure_memory(folder: Path, seconds: int) -> dict[str, float]:
    """Compare the peak memory of the job on a short video and on one that is 60 times as long."""
    short = write_video(folder / "short.mp4", 25 * seconds, (160, 120), 25)
    peaks = []
    for video in (short, repeat_video(short, folder / "long.mp4", REPEATS)):
        run = folder / f"run-{video.stem}"
        run.mkdir()
        listing = run / "videos.csv"
        listing.write_text(
            f"# classes: {', '.join(CLASSES)}\nvideo_id,path,split,labels\nv,{video},train,Normal\n"
        )
        command = [
            sys.executable, "-m", "exvad.cli", "preprocess", "data.kind=manifest",
            "data.validation=0", f"data.manifest={listing}", f"run={run}", *ONE_ACTOR,
            "stages.language.min_actors=1", "stages.language.max_actors=1",
        ]  # fmt: skip
        peaks.append(peak_memory(command) / 2**30)
        print(f"{video.stem}: {peaks[-1]:.3f} GiB", file=sys.stderr)
    return {
        "memory_3_minutes_gib": peaks[0],
        "memory_3_hours_gib": peaks[1],
        "memory_3_hours_over_3_minutes": peaks[1] / peaks[0],
    }


# Part → function, size, and size with --quick.
PARTS: dict[str, tuple[Callable[[Path, int], dict[str, float]], int, int]] = {
    "precision": (measure_precision, 32, 8),
    "vision": (measure_vision, 192, 96),
    "decoding": (measure_decoding, 3840, 1280),
    "nodes": (measure_nodes, 96, 24),
    "host": (measure_host_time, 40, 12),
    "memory": (measure_memory, 180, 18),
}


def main() -> None:
    """Measure and print one line of JSON."""
    os.environ |= {**QUIET, "OMP_NUM_THREADS": "1"}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller videos; metrics mean little")
    parser.add_argument("--only", choices=list(PARTS), help="measure one part and print no JSON")
    options = parser.parse_args()
    metrics: dict[str, float] = {}
    for name, (measure, size, quick_size) in PARTS.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                metrics |= measure(Path(folder), quick_size if options.quick else size)
                print(metrics, file=sys.stderr)
    if options.only is None:
        emit("preprocess", metrics, GOALS)


if __name__ == "__main__":
    main()
