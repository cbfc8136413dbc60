"""vLLM on a CPU: with greedy sampling it writes what transformers writes.

vLLM pins another torch, so it has an environment of its own, which `make test-vllm` makes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exvad.aegm.explanation import explain
from exvad.aegm.prompts import load_prompt
from exvad.config import EndpointConfig
from exvad.data.world import Scene, render_video
from exvad.data.world.activities import CLASSES
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM
from exvad.encoders.llm import TransformersLLM
from exvad.results import Explanation
from exvad.store.store import Store
from tests.helpers.processes import ROOT, free_port, run_exvad, stop
from tests.helpers.world_videos import render_videos, write_listing

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

VLLM = Path(os.environ.get("EXVAD_VLLM", ROOT / ".venv-vllm")) / "bin"
SHORT = ("Normal", "Fighting", "Arson", "Normal")
LONG = "v4"  # has many more captions than the others, so a longer prompt
SEED = 6_000_000
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}
ONE_ACTOR = [
    f"stages.{stage}.{end}_actors=1" for stage in ("vision", "language") for end in ("min", "max")
]
PROMPTS = [
    f"1: a person in {colour} walks in a park by day\n2: a person in {colour} {does}\nrecord:"
    for colour in ("red", "green", "black")
    for does in ("sets fire to a bin in a park by day", "walks in a park by day")
]


def preprocess(
    run: Path, *overrides: str, actors: list[str] = ONE_ACTOR
) -> subprocess.CompletedProcess[str]:
    """Run the preprocess job on the videos beside the run and check that it succeeds."""
    finished = run_exvad(
        "preprocess", "data.kind=manifest", f"data.manifest={run.parent / 'videos.csv'}",
        f"run={run}", "captioner.per_video=32", *actors, *overrides,
        timeout=400, environment=ENVIRONMENT,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished


def by_vllm(section: str, length: int) -> list[str]:
    """Return the overrides that make vLLM run a model.

    Args:
        section: `captioner` or `llm`.
        length: longest prompt with its answer, in tokens.
    """
    python = VLLM / "python"
    assert python.exists(), f"{python} is missing: make test-vllm makes it"
    return [
        f"{section}.backend=vllm",
        f"{section}.engine.python={python}",
        f"{section}.engine.max_model_len={length}",
    ]


def copy_encoded_run(videos: Path, name: str) -> Path:
    """Return a new run whose videos are encoded and captioned, but not explained."""
    shutil.copytree(
        videos / "plain/store", videos / name / "store", ignore=shutil.ignore_patterns("language")
    )
    return videos / name


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos, one of them broken, with the run `plain` that transformers made."""
    folder = tmp_path_factory.mktemp("engine")
    listed = render_videos(folder, SHORT, SEED)
    long_scene = Scene(SEED + len(SHORT), "Normal", min_snippets=30, max_snippets=32)
    render_video(long_scene, folder / f"{LONG}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    others = [(folder / f"{name}.mp4", "Normal") for name in (LONG, "broken")]
    write_listing(folder / "videos.csv", [*listed, *others])
    preprocess(folder / "plain")
    return folder


def test_store_by_vllm_is_bit_for_bit_that_of_transformers(videos: Path) -> None:
    both = [*by_vllm("captioner", 64), *by_vllm("llm", 1024)]
    # As in the preset: more actors than a small machine can hold at once.
    first = preprocess(videos / "engine", *both, actors=[])
    assert "5 of 6 videos are ready, 1 failed" in first.stderr
    plain, engine = Store(videos / "plain/store"), Store(videos / "engine/store")
    for stage in ("vision", "language"):
        assert engine.read_stage(stage).digest() == plain.read_stage(stage).digest()
    assert [row["id"] for row in engine.failures.rows()] == ["broken"]
    second = preprocess(videos / "engine", *both)
    assert "captioning" in first.stderr
    assert "captioning" not in second.stderr, "everything is done"


def test_unusable_answers_are_retried_and_too_long_prompts_fail_alone(
    videos: Path, tmp_path: Path
) -> None:
    """The prompt asks for no record at first; only the retry says that a record is needed."""
    (tmp_path / "prompt.txt").write_text("{captions}\n")
    prompt = load_prompt(str(tmp_path / "prompt.txt"))
    run, length = copy_encoded_run(videos, "unusable"), 51  # tokens, too few for two of the records
    finished = preprocess(
        run, *by_vllm("llm", 400), "llm.structured=false",
        f"llm.prompt={tmp_path / 'prompt.txt'}", f"llm.max_new_tokens={length}",
    )  # fmt: skip
    rounds = re.findall(r"cleaning and explaining: (\d+ of \d+) in", finished.stderr)
    assert rounds == ["5 of 5", "4 of 4"], "the prompt that is too long is not asked again"

    plain = Store(videos / "plain/store").read_stage("language").table().to_pylist()
    captions = {row["video_id"]: row["cleaned_captions"] for row in plain}
    captions.pop(LONG)
    llm = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=length)
    first_answers = explain(list(captions.values()), llm, prompt, CLASSES, attempts=1)
    assert not [answer for answer in first_answers if isinstance(answer, Explanation)]
    answers = explain(list(captions.values()), llm, prompt, CLASSES)
    expected = dict(zip(captions, answers, strict=True))

    store = Store(run / "store")
    rows = store.read_stage("language").table(["video_id", "record"]).to_pylist()
    failures = {row["id"]: row for row in store.failures.rows("language")}
    assert {row["video_id"]: row["record"] for row in rows} == {
        video: answer.model_dump_json()
        for video, answer in expected.items()
        if isinstance(answer, Explanation)
    }
    assert len(rows) == 2
    assert failures.pop(LONG)["error"] == "EngineError"
    assert {video: (row["error"], row["message"]) for video, row in failures.items()} == {
        video: ("ExplanationError", str(answer))
        for video, answer in expected.items()
        if not isinstance(answer, Explanation)
    }


def test_phrases_by_vllm_are_those_of_transformers(videos: Path) -> None:
    written = []
    for name, overrides in (("transformers", []), ("vllm", by_vllm("llm", 1024))):
        (videos / name).mkdir()
        shutil.copy(videos / "plain/manifest.parquet", videos / name)
        finished = run_exvad(
            "labels", f"run={videos / name}", *ONE_ACTOR, *overrides, environment=ENVIRONMENT
        )
        assert finished.returncode == 0, finished.stderr
        written.append((videos / name / "labels.json").read_bytes())
    assert written[0] == written[1]


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running `vllm serve` of the tiny Llama; yields the address of its API."""
    folder = tmp_path_factory.mktemp("server")
    template = folder / "template.jinja"
    template.write_text("{{ bos_token }}{{ messages[0]['content'] }}")
    port, log = free_port(), folder / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [
                str(VLLM / "vllm"), "serve", str(ROOT / "exvad/assets/weights/llm"),
                "--served-model-name", "tiny",
                "--dtype", "float32", "--enforce-eager",
                "--max-model-len", "1024", "--host", "127.0.0.1", "--port", str(port),
                "--chat-template", str(template), "--chat-template-content-format", "string",
            ],
            env={**os.environ, **ENVIRONMENT},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as server,
    ):  # fmt: skip
        try:
            wait_for_health(server, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            stop(server)


def wait_for_health(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a server is ready."""
    for _ in range(240):
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(log.read_text()[-2000:])


def test_job_gets_the_answers_of_transformers_from_a_vllm_server(
    videos: Path, vllm_server: str
) -> None:
    endpoint = ["llm.backend=openai", f"llm.endpoint.base_url={vllm_server}", "llm.model=tiny"]
    preprocess(copy_encoded_run(videos, "served"), *endpoint)
    plain, served = (
        Store(videos / name / "store").read_stage("language").table().drop_columns(["llm"])
        for name in ("plain", "served")
    )
    assert served.num_rows == len(SHORT) + 1
    assert served.sort_by("video_id").equals(plain.sort_by("video_id"))


def test_vllm_server_holds_answers_to_a_schema(vllm_server: str) -> None:
    schema = {"type": "string", "enum": ["fire", "smoke"]}
    endpoint = ChatEndpoint("tiny", EndpointConfig(base_url=vllm_server), 96, schema)
    for answer in EndpointLLM(endpoint).complete(["say something", PROMPTS[0]]):
        assert json.loads(answer.text) in ("fire", "smoke")


IN_PROCESS = """
import json, sys
import numpy as np
from exvad.config import load_config
from exvad.encoders.loading import load_captioner, load_llm

if __name__ == "__main__":
    inputs = json.load(open(sys.argv[1]))
    config = load_config("demo", inputs["overrides"])
    frames = np.array(inputs["frames"], np.uint8)
    answers = {"captions": load_captioner(config).caption(frames)}
    answers["texts"] = [a.text for a in load_llm(config).complete(inputs["prompts"])]
    json.dump(answers, open(sys.argv[2], "w"))
"""


def test_vllm_in_one_process_without_ray_writes_the_same(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 120, 160, 3), np.uint8)
    overrides = [*by_vllm("captioner", 64), *by_vllm("llm", 1024)]
    inputs = {"overrides": overrides, "frames": frames.tolist(), "prompts": PROMPTS}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    (tmp_path / "program.py").write_text(IN_PROCESS)
    finished = subprocess.run(
        [VLLM / "python", *(tmp_path / name for name in ("program.py", "inputs.json", "out.json"))],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    answers = json.loads((tmp_path / "out.json").read_text())
    captioner = TransformersCaptioner("package:captioner", "", "cpu", "float32", max_new_tokens=32)
    assert answers["captions"] == captioner.caption(frames)
    llm = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=96)
    assert answers["texts"] == [answer.text for answer in llm.complete(PROMPTS)]
