"""vLLM really run, on a CPU: what it writes equals what transformers writes, greedily.

vLLM lives in an environment of its own (`make test-vllm` makes it), since it pins another torch.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
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
from exvad.encoders.captioner import TransformersCaptioner
from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM
from exvad.encoders.llm import TransformersLLM
from exvad.results import Explanation
from exvad.store.store import Store
from tests.helpers.processes import stop

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
VLLM = Path(os.environ.get("EXVAD_VLLM", ROOT / ".venv-vllm")) / "bin"
LABELS = ("Normal", "Fighting", "Arson", "Normal", "Normal")
LONG = "v4"  # has many more captions than the others, so a longer question
QUIET = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1"}
ONE_ACTOR = [
    f"stages.{stage}.{end}_actors=1" for stage in ("vision", "language") for end in ("min", "max")
]
PROMPTS = [
    f"1: a person in {colour} walks in a park by day\n2: a person in {colour} {does}\nrecord:"
    for colour in ("red", "green", "black")
    for does in ("sets fire to a bin in a park by day", "walks in a park by day")
]


def preprocess(
    run: Path, *more: str, actors: list[str] = ONE_ACTOR
) -> subprocess.CompletedProcess[str]:
    """Run the job to its end on the videos beside the run."""
    return subprocess.run(
        [
            sys.executable, str(ROOT / "jobs/preprocess.py"), "--preset", "demo",
            "data.kind=manifest", f"data.manifest={run.parent / 'videos.csv'}", f"run={run}",
            "captioner.per_video=32", *actors, *more,
        ],
        env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )  # fmt: skip


def by_vllm(part: str, length: int) -> list[str]:
    """The settings that make vLLM run a model."""
    python = VLLM / "python"
    assert python.exists(), f"{python} is missing: make test-vllm makes it"
    return [
        f"{part}.backend=vllm",
        f"{part}.engine.python={python}",
        f"{part}.engine.max_model_len={length}",
    ]


def seen(videos: Path, name: str) -> Path:
    """Return a run whose videos have been seen and captioned, but not explained."""
    shutil.copytree(
        videos / "plain/store", videos / name / "store", ignore=shutil.ignore_patterns("language")
    )
    return videos / name


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few world videos, a broken one, and what transformers makes of them."""
    folder = tmp_path_factory.mktemp("engine")
    lines = [f"# classes: {', '.join(CLASSES)}", "path,split,labels,events"]
    for number, label in enumerate(LABELS):
        path = folder / f"v{number}.mp4"
        least = 30 if path.stem == LONG else 11
        scene = Scene(6_000_000 + number, label, min_snippets=least, max_snippets=least + 2)
        render_video(scene, path)
        lines.append(f"{path},train,{label},")
    (folder / "broken.mp4").write_bytes(b"no video")
    lines.append(f"{folder / 'broken.mp4'},train,Normal,")
    (folder / "videos.csv").write_text("\n".join(lines) + "\n")
    done = preprocess(folder / "plain")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_whole_store_is_bit_for_bit_that_of_transformers(videos: Path) -> None:
    both = [*by_vllm("captioner", 64), *by_vllm("llm", 1024)]
    # As the preset has it: more actors than a small machine has room for at once.
    done = preprocess(videos / "engine", *both, actors=[])
    assert done.returncode == 0, done.stderr
    assert "5 of 6 videos are ready, 1 failed" in done.stderr
    plain, engine = Store(videos / "plain/store"), Store(videos / "engine/store")
    for stage in ("vision", "language"):
        assert engine.read_stage(stage).digest() == plain.read_stage(stage).digest()
    assert [row["id"] for row in engine.failures.rows()] == ["broken"]
    again = preprocess(videos / "engine", *both)
    assert again.returncode == 0
    assert "captioning" in done.stderr
    assert "captioning" not in again.stderr, "nothing is left to do"


def test_rubbish_is_asked_for_again_and_what_cannot_be_asked_costs_only_itself(
    videos: Path, tmp_path: Path
) -> None:
    """The model is asked for a record only when it is told that its answer was none."""
    (tmp_path / "prompt.txt").write_text("{captions}\n")
    prompt = load_prompt(str(tmp_path / "prompt.txt"))
    run, length = seen(videos, "rubbish"), 51  # tokens, too few for two of the records
    done = preprocess(
        run, *by_vllm("llm", 400), "llm.structured=false",
        f"llm.prompt={tmp_path / 'prompt.txt'}", f"llm.max_new_tokens={length}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rounds = re.findall(r"cleaning and explaining\D*(\d+/\d+)", done.stderr)
    assert rounds == ["5/5", "4/4"], "the question that is too long is not asked again"

    plain = Store(videos / "plain/store").read_stage("language").table().to_pylist()
    captions = {row["video_id"]: row["cleaned_captions"] for row in plain}
    captions.pop(LONG)
    llm = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=length)
    once = explain(list(captions.values()), llm, prompt, CLASSES, attempts=1)
    assert not [answer for answer in once if isinstance(answer, Explanation)]
    told = dict(zip(captions, explain(list(captions.values()), llm, prompt, CLASSES), strict=True))

    store = Store(run / "store")
    rows = store.read_stage("language").table(["video_id", "record"]).to_pylist()
    failures = {row["id"]: row for row in store.failures.rows("language")}
    assert {row["video_id"]: row["record"] for row in rows} == {
        video: answer.model_dump_json()
        for video, answer in told.items()
        if isinstance(answer, Explanation)
    }
    assert len(rows) == 2
    assert failures.pop(LONG)["error"] == "EngineError"
    assert {video: (row["error"], row["message"]) for video, row in failures.items()} == {
        video: ("ExplanationError", str(answer))
        for video, answer in told.items()
        if not isinstance(answer, Explanation)
    }


def test_phrases_are_those_of_transformers(videos: Path) -> None:
    written = []
    for name, more in (("transformers", []), ("vllm", by_vllm("llm", 1024))):
        (videos / name).mkdir()
        shutil.copy(videos / "plain/manifest.parquet", videos / name)
        done = subprocess.run(
            [
                sys.executable, str(ROOT / "jobs/labels.py"), "--preset", "demo",
                f"run={videos / name}", *ONE_ACTOR, *more,
            ],
            env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        written.append((videos / name / "labels.json").read_bytes())
    assert written[0] == written[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running `vllm serve` of the tiny Llama: the address of its API."""
    folder = tmp_path_factory.mktemp("served")
    template = folder / "template.jinja"
    template.write_text("{{ bos_token }}{{ messages[0]['content'] }}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [
                str(VLLM / "vllm"), "serve", str(ROOT / "exvad/assets/weights/llm"),
                "--served-model-name", "tiny",
                "--dtype", "float32", "--enforce-eager",
                "--max-model-len", "1024", "--host", "127.0.0.1", "--port", str(port),
                "--chat-template", str(template), "--chat-template-content-format", "string",
            ],
            env={**os.environ, **QUIET},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as server,
    ):  # fmt: skip
        try:
            for _ in range(240):
                assert server.poll() is None, (folder / "log").read_text()[-2000:]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                    break
                except (urllib.error.URLError, TimeoutError):
                    time.sleep(0.5)
            else:
                pytest.fail((folder / "log").read_text()[-2000:])
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            stop(server)


def test_the_job_asks_a_running_vllm_serve_and_is_told_what_transformers_says(
    videos: Path, served: str
) -> None:
    asked = ["llm.backend=openai", f"llm.endpoint.base_url={served}", "llm.model=tiny"]
    done = preprocess(seen(videos, "served"), *asked)
    assert done.returncode == 0, done.stderr
    plain, told = (
        Store(videos / name / "store").read_stage("language").table().drop_columns(["llm"])
        for name in ("plain", "served")
    )
    assert told.num_rows == len(LABELS)
    assert told.sort_by("video_id").equals(plain.sort_by("video_id"))


def test_a_running_vllm_serve_can_hold_answers_to_a_schema(served: str) -> None:
    schema = {"type": "string", "enum": ["fire", "smoke"]}
    endpoint = ChatEndpoint("tiny", EndpointConfig(base_url=served), 96, schema)
    for answer in EndpointLLM(endpoint).complete(["say something", PROMPTS[0]]):
        assert json.loads(answer) in ("fire", "smoke")


IN_PROCESS = """
import json, sys
import numpy as np
from exvad.config import load_config
from exvad.encoders.loading import load_captioner, load_llm

if __name__ == "__main__":
    given = json.load(open(sys.argv[1]))
    config = load_config("demo", given["overrides"])
    pictures = np.array(given["pictures"], np.uint8)
    answers = {"captions": load_captioner(config).caption(pictures)}
    answers["texts"] = load_llm(config).complete(given["prompts"])
    json.dump(answers, open(sys.argv[2], "w"))
"""


def test_in_one_process_without_ray_it_is_the_same(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (2, 120, 160, 3), np.uint8)
    overrides = [*by_vllm("captioner", 64), *by_vllm("llm", 1024)]
    given = {"overrides": overrides, "pictures": pictures.tolist(), "prompts": PROMPTS}
    (tmp_path / "given.json").write_text(json.dumps(given))
    (tmp_path / "program.py").write_text(IN_PROCESS)
    done = subprocess.run(
        [VLLM / "python", tmp_path / "program.py", tmp_path / "given.json", tmp_path / "told.json"],
        env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told.json").read_text())
    captioner = TransformersCaptioner("package:captioner", "", "cpu", "float32", max_new_tokens=32)
    assert told["captions"] == captioner.caption(pictures)
    llm = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=96)
    assert told["texts"] == llm.complete(PROMPTS)
