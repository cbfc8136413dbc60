"""The first words of a request to the explainer: while it is idle, and while it writes for another.

The explainer is deployed as the server deploys it. Requests alternate: one alone, then one that
comes while a long answer to another request is being written. Each is followed to its end before
the next, so the first kind is answered by an idle explainer.

Every backend runs the same Llama with random weights, which never ends an answer by itself, on a
CPU with one computing thread:

- `transformers`: the explainer runs it by continuous batching;
- `openai`: vLLM's own server runs it, and the explainer is the client of its endpoint;
- `vllm`: a deployment of `ray.serve.llm` runs it, in the environment of vLLM.

The last two need an environment with vLLM, which `make vllm-environment` makes; without it they
are left out.

    python -m bench.explainer [--quick] [--vllm FOLDER] [--backends NAME,NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import serve

from bench._harness import ROOT, emit
from exvad.aegm.explanation import explanation_prompt
from exvad.aegm.prompts import load_prompt
from exvad.config import Config, load_config
from exvad.encoders.chat import load_tokenizer
from exvad.pipeline.session import ray_session
from exvad.serving.deployments.explainer import build_explainer
from exvad.serving.settings import Replicas

BACKENDS = ("transformers", "openai", "vllm")
GOAL = ("<=", 1.5)
MEASURED = ("idle_seconds", "busy_seconds", "busy_over_idle")
CLASSES = ("Normal", "Fighting", "Arson")
MAX_TOKENS = 2048  # of a prompt and its answer
LONG_CAPTIONS, CAPTIONS = 32, 16
MAX_PAUSE_SECONDS = 0.3  # so that requests come at any moment of a step of the model
STARTUP_SECONDS = 900  # vLLM is imported three times, which takes minutes on a busy machine
STOP_SECONDS = 60
PAIRS, ANSWER_TOKENS = 9, 128
QUICK_PAIRS, QUICK_ANSWER_TOKENS = 3, 96


def write_model(folder: Path, quick: bool) -> Path:
    """Write a Llama with random weights that only writes tokens of letters, and so never ends."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = load_tokenizer("package:llm")
    layers, width = (2, 128) if quick else (8, 512)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=3 * width,
        num_hidden_layers=layers, num_attention_heads=width // 64,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
    others = [token for token, text in enumerate(texts) if not text.strip().isalpha()]
    with torch.no_grad():
        model.lm_head.weight[others] = 0  # other scores are above 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def configure(backend: str, model: Path, quick: bool, url: str = "") -> Config:
    """Return the configuration of an explainer whose answers are all of the maximum length."""
    overrides = [
        f"llm.backend={backend}", f"llm.model={model}", "llm.dtype=float32", "device=cpu",
        f"llm.max_new_tokens={QUICK_ANSWER_TOKENS if quick else ANSWER_TOKENS}",
        f"llm.batch_tokens={4 * MAX_TOKENS}", f"llm.engine.max_model_len={MAX_TOKENS}",
        "llm.structured=false",
    ]  # fmt: skip
    return load_config("demo", [*overrides, *([f"llm.endpoint.base_url={url}"] if url else [])])


def make_prompt(number: int, captions: int) -> str:
    """Return the prompt of a video whose captions no other prompt has."""
    seen = [f"{number} people walk by, and person {index} stops" for index in range(captions)]
    return explanation_prompt(load_prompt("explanation"), seen, CLASSES)


async def ask(handle: Any, prompt: str, has_words: asyncio.Event) -> float:
    """Return the seconds until a request's first words, after its whole answer.

    Args:
        handle: handle of the explainer.
        prompt: the only prompt of the request.
        has_words: it is set when the first words have come.
    """
    began, seconds = time.perf_counter(), 0.0
    async for (answer,) in handle.options(stream=True).stream.remote([prompt]):
        assert not answer.refusal, answer.refusal
        if answer.text and not has_words.is_set():
            seconds = time.perf_counter() - began
            has_words.set()
    assert has_words.is_set(), "an answer without words"
    return seconds


async def measure_pair(handle: Any, number: int, pause: float) -> tuple[float, float]:
    """Return the seconds until the first words of an idle and of a busy explainer.

    Args:
        handle: handle of the explainer.
        number: number of the pair.
        pause: seconds between the first words for the long request and the second request.
    """
    idle = await ask(handle, make_prompt(3 * number, CAPTIONS), asyncio.Event())
    long_has_words, has_words = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        long = group.create_task(
            ask(handle, make_prompt(3 * number + 1, LONG_CAPTIONS), long_has_words)
        )
        await long_has_words.wait()
        await asyncio.sleep(pause)
        second = group.create_task(ask(handle, make_prompt(3 * number + 2, CAPTIONS), has_words))
        await has_words.wait()
        assert not long.done(), "the long answer ended before the first words of the second"
    return idle, second.result()


def measure(backend: str, config: Config, pairs: int) -> dict[str, float]:
    """Measure an explainer in a Ray session of its own.

    Args:
        backend: name of the backend, for messages and metrics.
        config: its configuration.
        pairs: number of pairs of requests, without a first one that warms up.
    """
    rng, seconds = random.Random(0), []

    async def measure_pairs(handle: Any) -> None:
        for number in range(pairs + 1):
            seconds.append(await measure_pair(handle, number, rng.uniform(0, MAX_PAUSE_SECONDS)))
            idle, busy = seconds[-1]
            print(f"{backend}: idle {idle:.3f} s, busy {busy:.3f} s", file=sys.stderr)

    with ray_session():
        serve.start(proxy_location="Disabled")
        application = build_explainer(config, CLASSES, Replicas(cpus=1), {})
        asyncio.run(measure_pairs(serve.run(application, route_prefix=None)))
        serve.shutdown()
    idle, busy = (statistics.median(kind) for kind in zip(*seconds[1:], strict=True))
    values = zip(MEASURED, (idle, busy, busy / idle), strict=True)
    return {f"{backend}_{name}": value for name, value in values}


@contextmanager
def vllm_server(environment: Path, model: Path) -> Iterator[str]:
    """Run vLLM's own server of a model; yield the address of its API.

    Args:
        environment: folder of the Python environment with vLLM.
        model: folder of the model, beside which the log is written.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    template, log = model.parent / "template.jinja", model.parent / "log"
    template.write_text("{{ bos_token }}{{ messages[0]['content'] }}")
    command = [
        str(environment / "bin/vllm"), "serve", str(model), "--served-model-name", str(model),
        "--dtype", "float32", "--enforce-eager", "--max-model-len", str(MAX_TOKENS),
        "--host", "127.0.0.1", "--port", str(port),
        "--chat-template", str(template), "--chat-template-content-format", "string",
    ]  # fmt: skip
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env=vllm_variables(), stdout=output, stderr=output, start_new_session=True
        ) as server,
    ):
        try:
            wait_for_health(server, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def wait_for_health(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until a server is ready."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
        else:
            return
    raise AssertionError(log.read_text()[-2000:])


def vllm_variables() -> dict[str, str]:
    """Return the environment variables of processes that run vLLM."""
    return {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }


def measure_elsewhere(environment: Path, model: Path, quick: bool) -> dict[str, float]:
    """Measure backend `vllm` with the Python that has it."""
    command = [str(environment / "bin/python"), "-W", "ignore", "-m", "bench.explainer"]
    command += ["--backends", "vllm", "--model", str(model), *(["--quick"] if quick else [])]
    finished = subprocess.run(
        command, cwd=ROOT, env=vllm_variables(), stdout=subprocess.PIPE, text=True, check=True
    )
    metrics: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])["metrics"]
    return metrics


def measure_backend(backend: str, environment: Path, model: Path, quick: bool) -> dict[str, float]:
    """Measure one backend.

    Args:
        backend: its name.
        environment: folder of the Python environment with vLLM.
        model: folder of the model.
        quick: whether to make few pairs of requests with short answers.
    """
    pairs = QUICK_PAIRS if quick else PAIRS
    if backend == "openai":
        with vllm_server(environment, model) as url:
            return measure(backend, configure(backend, model, quick, url), pairs)
    if backend == "vllm" and importlib.util.find_spec("vllm") is None:
        return measure_elsewhere(environment, model, quick)
    return measure(backend, configure(backend, model, quick), pairs)


def main() -> None:
    """Run the benchmark and print its JSON line."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("RAY_ADDRESS", None)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pairs, a tiny model")
    parser.add_argument("--vllm", type=Path, default=ROOT / ".venv-vllm", metavar="FOLDER",
                        help="environment with vLLM")  # fmt: skip
    parser.add_argument("--backends", help=f"names from {','.join(BACKENDS)}; all by default")
    parser.add_argument("--model", type=Path, help="folder of a model; one is written by default")
    arguments = parser.parse_args()
    backends = BACKENDS[: 3 if (arguments.vllm / "bin/vllm").exists() else 1]
    if arguments.backends:
        backends = tuple(arguments.backends.split(","))
    elif len(backends) == 1:
        print(f"no vLLM in {arguments.vllm}: only transformers is measured", file=sys.stderr)
    metrics: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or write_model(Path(folder) / "model", arguments.quick)
        for backend in backends:
            metrics |= measure_backend(backend, arguments.vllm, model, arguments.quick)
    print(f"{'backend':<14}{'idle':>8}{'busy':>8}{'ratio':>8}", file=sys.stderr)
    for backend in backends:
        idle, busy, ratio = (metrics[f"{backend}_{name}"] for name in MEASURED)
        print(f"{backend:<14}{idle:>6.3f} s{busy:>6.3f} s{ratio:>8.2f}", file=sys.stderr)
    emit("explainer", metrics, {f"{backend}_busy_over_idle": GOAL for backend in backends})


if __name__ == "__main__":
    main()
