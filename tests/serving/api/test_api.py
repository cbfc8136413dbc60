"""The HTTP API over a real queue, real files and a worker in a thread."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from exvad.results import Analysis
from exvad.serving.api.application import PAGE, create_api
from exvad.serving.queue.analyses import FullError, Queue
from exvad.serving.queue.webhooks import Hooks
from exvad.serving.schemas.analyses import AnalysisOptions
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.spool import Spool
from exvad.serving.workers.analysis_worker import Worker
from tests.helpers.served import MadeDetector
from tests.helpers.videos import write_video


def settings(folder: Path, **changed: Any) -> ServerSettings:
    return ServerSettings(spool=folder / "spool", **changed)


def client_of(given: ServerSettings) -> TestClient:
    return TestClient(create_api(given), base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", 48, size=(64, 48))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A server with a worker that works."""
    given = settings(tmp_path, max_bytes=200_000, allowed_root=tmp_path / "root")
    queue = Queue(given.spool / "queue.sqlite")
    worker = Worker(MadeDetector(), queue, given)  # type: ignore[arg-type]
    stopped = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopped,))
    thread.start()
    with client_of(given) as client:
        yield client
    stopped.set()
    thread.join()


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[TestClient]:
    """A server on which nobody works."""
    with client_of(settings(tmp_path, max_waiting=2)) as client:
        yield client


def problem(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    return str(body["detail"])


def test_an_upload_is_answered_when_waited_for(client: TestClient, clip: Path) -> None:
    files: Any = {
        "video": ("../dir/a clip.mp4", clip.read_bytes(), "video/mp4"),
    }
    response = client.post("/v1/analyses?wait=20", files=files)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["state"] == "done"
    assert body["name"] == "a clip.mp4"
    assert body["label"] == "Arson"
    answer = Analysis.model_validate(body["result"])
    assert answer.video == "a clip.mp4"
    assert answer.num_frames == 48
    assert response.headers["location"] == f"/v1/analyses/{body['id']}"
    assert client.get(response.headers["location"]).json() == body


def test_the_body_itself_may_be_the_video(client: TestClient, clip: Path) -> None:
    response = client.post("/v1/analyses?wait=20&name=x.mp4", content=clip.read_bytes())
    assert response.json()["name"] == "x.mp4"
    assert response.json()["result"]["num_frames"] == 48


def test_classes_may_be_added_to_one_request(client: TestClient, clip: Path) -> None:
    given = json.dumps({"shoplifting": ["someone hides goods in a bag"]})
    response = client.post(
        "/v1/analyses?wait=20", params={"categories": given, "wait": 20}, content=clip.read_bytes()
    )
    assert response.json()["result"]["untrained"] == ["shoplifting"]
    plain = client.post("/v1/analyses?wait=20", content=clip.read_bytes())
    assert plain.json()["result"]["untrained"] == []
    for wrong in ("[]", '{"a": "b"}', "{", json.dumps({str(n): ["x"] for n in range(40)})):
        problem(client.post("/v1/analyses", params={"categories": wrong}, content=b"x"), 422)


def test_a_path_below_the_allowed_root_may_be_named(
    client: TestClient, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "in.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "secret.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    response = client.post("/v1/analyses?wait=20", json={"path": "in.mp4"})
    assert response.json()["state"] == "done"
    for path in ("../secret.mp4", str(tmp_path / "secret.mp4"), "link.mp4", "nothing.mp4", "."):
        assert "no such file" in problem(client.post("/v1/analyses", json={"path": path}), 422)
    number = response.json()["id"]
    assert client.delete(f"/v1/analyses/{number}").status_code == 204
    assert (tmp_path / "root" / "in.mp4").exists()


def test_events_tell_the_course_and_go_on_after_a_break(client: TestClient, clip: Path) -> None:
    number = client.post("/v1/analyses?wait=20", content=clip.read_bytes()).json()["id"]
    text = client.get(f"/v1/analyses/{number}/events").text
    told = [dict(line.split(": ", 1) for line in block.splitlines())
            for block in text.strip().split("\n\n")]  # fmt: skip
    kinds = [event["event"] for event in told]
    assert kinds == [
        "progress", "progress", "writing", "first_scores", "scores", "events", "explanation",
        "done",
    ]  # fmt: skip
    assert json.loads(told[5]["data"])["events"][0]["label"] == "Arson"
    rest = client.get(
        f"/v1/analyses/{number}/events", headers={"Last-Event-ID": told[-2]["id"]}
    ).text
    assert rest.count("event: ") == 1
    assert "event: done" in rest


def test_evidence_report_and_video_are_there(client: TestClient, clip: Path) -> None:
    number = client.post("/v1/analyses?wait=20", content=clip.read_bytes()).json()["id"]
    picture = client.get(f"/v1/analyses/{number}/frames/1")
    assert picture.content[:2] == b"\xff\xd8"
    assert "captions 1 to 1" in problem(client.get(f"/v1/analyses/{number}/frames/2"), 404)
    page = client.get(f"/v1/analyses/{number}/report").text
    assert "a bin &lt;burns&gt;" in page
    part = client.get(f"/v1/analyses/{number}/video", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206
    assert part.content == clip.read_bytes()[:10]


def test_a_broken_video_is_a_failed_analysis_without_our_paths(
    client: TestClient, tmp_path: Path
) -> None:
    body = client.post("/v1/analyses?wait=20&name=t.mp4", content=b"no video").json()
    assert body["state"] == "failed"
    assert "t.mp4" in body["error"]
    assert str(tmp_path) not in json.dumps(body)
    assert "failed" in problem(client.get(f"/v1/analyses/{body['id']}/report"), 409)
    assert "event: failed" in client.get(f"/v1/analyses/{body['id']}/events").text


def test_too_large_a_video_is_refused_and_leaves_nothing(
    client: TestClient, tmp_path: Path
) -> None:
    big = b"x" * 300_000
    assert "200000" in problem(client.post("/v1/analyses", content=big), 413)
    assert "200000" in problem(client.post("/v1/analyses", files={"video": ("a", big)}), 413)

    def unannounced() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 10_000

    assert "200000" in problem(client.post("/v1/analyses", content=unannounced()), 413)
    assert list((tmp_path / "spool" / "videos").iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"content": b""}, "no video"),
        ({"files": {"film": ("a.mp4", b"x")}}, "form field 'film'"),
        ({"files": {"video": ("a.mp4", b"x"), "threshold": (None, "0.9")}}, "?threshold=0.7"),
        ({"content": b"x", "params": {"treshold": "0.9"}}, "did you mean 'threshold'"),
        ({"content": b"x", "params": {"categories": "theft"}}, 'write {"shoplifting": ['),
        ({"json": {"path": ""}}, "path"),
        ({"json": {"url": "http://127.0.0.1"}}, "public internet"),
        ({"json": {}}, "exactly one"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "form is broken"),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            "form",
        ),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, "body: Invalid JSON"),
    ],
)
def test_a_request_without_a_video_is_refused(
    idle: TestClient, sent: dict[str, Any], detail: str
) -> None:
    assert detail in problem(idle.post("/v1/analyses", **sent), 422)


def test_a_full_queue_says_when_to_come_back(idle: TestClient) -> None:
    for _ in range(2):
        assert idle.post("/v1/analyses", content=b"x").status_code == 202
    response = idle.post("/v1/analyses", content=b"x")
    assert "waiting already" in problem(response, 429)
    assert int(response.headers["retry-after"]) > 0
    assert idle.get("/healthz").json() == {"status": "ok", "waiting": 2}


def test_pages_of_the_list_hold_everything_once(idle: TestClient, tmp_path: Path) -> None:
    queue = Queue(tmp_path / "spool" / "queue.sqlite")
    for n in range(5):
        queue.add(f"{n}.mp4", tmp_path / "x", uploaded=False)
    names: list[str] = []
    offset: Any = 0
    while offset is not None:
        page = idle.get(f"/v1/analyses?limit=2&offset={offset}").json()
        names += [item["name"] for item in page["items"]]
        offset = page["next_offset"]
    assert names == ["4.mp4", "3.mp4", "2.mp4", "1.mp4", "0.mp4"]
    assert idle.get("/v1/analyses?state=done").json()["total"] == 0
    assert "limit" in problem(idle.get("/v1/analyses?limit=0"), 422)


def test_triage_is_kept(idle: TestClient) -> None:
    number = idle.post("/v1/analyses", content=b"x").json()["id"]
    changed = idle.patch(f"/v1/analyses/{number}", json={"triage": "false alarm"})
    assert changed.json()["triage"] == "false alarm"
    assert idle.get("/v1/analyses").json()["items"][0]["triage"] == "false alarm"
    problem(idle.patch(f"/v1/analyses/{number}", json={"triage": "x"}), 422)
    problem(idle.patch("/v1/analyses/none", json={"triage": "open"}), 404)


@pytest.mark.parametrize("tail", ["", "/events", "/report", "/frames/1", "/video"])
def test_what_is_not_there_is_404(idle: TestClient, tail: str) -> None:
    assert "none" in problem(idle.get(f"/v1/analyses/none{tail}"), 404)
    problem(idle.delete("/v1/analyses/none"), 404)


def test_only_those_with_a_key_of_enough_scope_get_in(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    hashed = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("reader", "writer")}
    keys.write_text(f"# keys\nread {hashed['reader']}\nsubmit {hashed['writer']}\n")
    with client_of(settings(tmp_path, api_keys=keys)) as client:
        assert "API key" in problem(client.get("/v1/analyses"), 401)
        for name, submits in (("reader", 403), ("writer", 202), ("nobody", 401)):
            headers = {"Authorization": f"Bearer {name}"}
            assert client.get("/v1/analyses", headers=headers).status_code in (200, submits)
            assert client.post("/v1/analyses", content=b"x", headers=headers).status_code == submits
        assert client.get("/healthz").status_code == 200
        bare, small = {"Authorization": "reader"}, {"Authorization": "bearer  reader"}
        assert "an API key is needed" in problem(client.get("/v1/models", headers=bare), 401)
        assert client.get("/v1/models", headers=small).status_code == 200
        unknown = client.get("/v1/models", headers={"Authorization": "Bearer x"})
        assert "not known here" in problem(unknown, 401)
    keys.write_text("root abc\n")
    with pytest.raises(ValueError, match="line 1"):
        create_api(settings(tmp_path, api_keys=keys))


def test_without_keys_only_this_machine_may_ask(tmp_path: Path) -> None:
    api = create_api(settings(tmp_path))
    with TestClient(api, base_url="http://127.0.0.1", client=("203.0.113.7", 1)) as client:
        assert "only this machine" in problem(client.get("/v1/analyses"), 403)
        assert "only this machine" in problem(client.post("/v1/analyses", content=b"x"), 403)


def test_a_browser_signs_in_with_a_key_and_carries_it_in_a_cookie(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"read {hashlib.sha256(b'reader').hexdigest()}\n")
    with client_of(settings(tmp_path, api_keys=keys)) as client:
        assert client.get("/v1/analyses").status_code == 401
        assert "not known" in problem(client.put("/v1/session", json={"key": "guess"}), 401)
        signed = client.put("/v1/session", json={"key": "reader"})
        assert signed.status_code == 204
        assert client.get("/v1/session").json() == {"needed": True, "scope": "read"}
        cookie = signed.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/v1/analyses").status_code == 200
        assert "may not submit" in problem(client.post("/v1/analyses", content=b"x"), 403)
        wrong = {"Authorization": "Bearer other"}
        assert client.get("/v1/analyses", headers=wrong).status_code == 401
        assert client.delete("/v1/session").status_code == 204
        assert client.get("/v1/analyses").status_code == 401


def test_the_page_may_only_load_what_comes_with_it(idle: TestClient) -> None:
    page = idle.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for module in sorted(PAGE.glob("*.js")):
        assert "innerHTML" not in idle.get(f"/{module.name}").text
    assert idle.get("/nothing").status_code == 404


def test_what_is_wrong_with_a_request_is_said(idle: TestClient) -> None:
    asked = [
        (idle.post("/v1/streams", json={"path": "x", "onn": 1}), "onn: there is no such option"),
        (idle.post("/v1/analyses", json={"pth": "x"}), "pth: there is no such option"),
        (idle.post("/v1/streams", json={"path": "x", "on": 0, "off": 1}), "body: off is larger"),
        (idle.patch("/v1/analyses/x", content="{}"), "Content-Type: application/json"),
    ]
    for response, said in asked:
        assert said in problem(response, 422)
    assert idle.put("/v1/analyses", content=b"x" * 200_000).status_code == 405


def test_the_reference_needs_no_other_machine(idle: TestClient) -> None:
    page = idle.get("/docs")
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("</", "").split("const ui", 1)[0]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f'"swagger/{asset}"' in page.text.replace("'", '"')
        assert idle.get(f"/swagger/{asset}").status_code == 200
    assert idle.get("/redoc").status_code == 404


def test_the_document_describes_every_route(idle: TestClient) -> None:
    document = idle.get("/openapi.json").json()
    operations = [each["operationId"] for path in document["paths"].values()
                  for each in path.values()]  # fmt: skip
    assert len(operations) == len(set(operations)) == 23


def test_readiness_models_and_metrics_tell_who_works(client: TestClient, clip: Path) -> None:
    for _ in range(100):
        if client.get("/readyz").status_code == 200:
            break
        time.sleep(0.05)
    assert client.get("/readyz").json() == {"status": "ok", "waiting": 0}
    (model,) = client.get("/v1/models").json()["items"]
    assert model["model"] == "made"
    assert model["classes"][0] == "Normal"
    client.post("/v1/analyses?wait=20", content=clip.read_bytes())
    client.post("/v1/analyses?wait=20", content=b"no video")
    text = client.get("/metrics").text
    assert "exvad_analyses_accepted_total 2.0" in text
    assert 'exvad_analyses_ended_total{state="done"} 1.0' in text
    assert 'exvad_analyses_ended_total{state="failed"} 1.0' in text
    assert 'exvad_workers{model="made"} 1.0' in text
    assert "exvad_analysis_seconds_count 2.0" in text
    assert "exvad_analyses_waiting 0.0" in text


def test_a_server_without_workers_is_alive_but_not_ready(idle: TestClient, clip: Path) -> None:
    assert idle.get("/healthz").status_code == 200
    assert "no replica" in problem(idle.get("/readyz"), 503)
    assert idle.get("/v1/models").json() == {"items": []}
    for _ in range(3):
        refused = idle.post("/v1/analyses", content=clip.read_bytes())
    assert refused.status_code == 429
    assert "exvad_analyses_refused_total 1.0" in idle.get("/metrics").text


def test_a_url_is_fetched_only_from_where_the_settings_allow(tmp_path: Path, clip: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(clip.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_port}/clip.mp4?token=secret"
        with client_of(settings(tmp_path)) as closed:
            assert "public internet" in problem(closed.post("/v1/analyses", json={"url": url}), 422)
            both = closed.post("/v1/analyses", json={"url": url, "path": "x"})
            assert "exactly one" in problem(both, 422)
        open_settings = settings(tmp_path, url_networks=["127.0.0.0/8"], max_bytes=200_000)
        with client_of(open_settings) as opened:
            body = opened.post(
                "/v1/analyses", json={"url": url, "categories": {"Queue": ["a line"]}}
            ).json()
            assert body["name"] == "clip.mp4"
            sent = opened.get(f"/v1/analyses/{body['id']}/video")
            assert sent.content == clip.read_bytes()
        small = open_settings.model_copy(update={"max_bytes": 100})
        with client_of(small) as tight:
            assert "larger" in problem(tight.post("/v1/analyses", json={"url": url}), 413)
        site.shutdown()


def test_a_json_body_is_small(idle: TestClient) -> None:
    huge = {"path": "x" * 200_000}
    assert "at most" in problem(idle.post("/v1/analyses", json=huge), 413)


def test_work_on_a_deleted_analysis_stops(tmp_path: Path, clip: Path) -> None:
    """Its video is deleted while it is seen; nobody computes the rest, and the next one is done."""
    given = settings(tmp_path)
    detector, queue = MadeDetector(), Queue(given.database_path)
    copies = [Path(shutil.copy(clip, tmp_path / name)) for name in ("one", "two")]
    numbers = [queue.add(copy.name, copy, uploaded=True) for copy in copies]
    seen: list[float] = []

    class Slow(MadeDetector):
        def examine(self, *asked: Any) -> Any:
            *others, listener = asked

            def progress(share: float) -> None:
                queue.remove(numbers[0])
                listener.progress(share)
                seen.append(share)

            told = replace(listener, progress=progress)
            return detector.examine(*others, told)  # type: ignore[call-arg]

    worker = Worker(Slow(), queue, given)  # type: ignore[arg-type]
    assert worker.work()
    assert seen == []
    assert queue.status(numbers[0]) is None
    assert worker.work()
    found = queue.status(numbers[1])
    assert found is not None
    assert found.state == "done"


def test_a_video_is_sent_as_what_it_is_whatever_its_name(client: TestClient, clip: Path) -> None:
    number = client.post("/v1/analyses?wait=20&name=x.exe", content=clip.read_bytes()).json()["id"]
    assert client.get(f"/v1/analyses/{number}/video").headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("host", ["evil.example", "192.0.2.1", "localhost.evil.example"])
def test_a_name_of_another_site_that_turns_to_this_machine_is_refused(
    idle: TestClient, host: str
) -> None:
    assert problem(idle.get("/v1/analyses", headers={"Host": host}), 403)
    assert idle.get("/v1/analyses", headers={"Host": "localhost:8000"}).status_code == 200


def test_pages_of_other_sites_may_not_submit(idle: TestClient, clip: Path) -> None:
    for origin in ("http://evil.example", "http://127.0.0.1:9", "null"):
        refused = idle.post("/v1/analyses", content=clip.read_bytes(), headers={"Origin": origin})
        assert "other sites" in problem(refused, 403)
    own = {"Origin": "http://127.0.0.1"}
    assert idle.post("/v1/analyses", content=clip.read_bytes(), headers=own).status_code == 202


def test_no_other_body_is_read_beyond_its_limit(idle: TestClient) -> None:
    for method, path in (
        ("PUT", "/v1/session"),
        ("POST", "/v1/streams"),
        ("PATCH", "/v1/analyses/x"),
    ):
        sent: list[int] = []

        def body(sent: list[int] = sent) -> Iterator[bytes]:
            for number in range(64):
                sent.append(number)
                yield b" " * 2**16

        assert idle.request(method, path, content=body()).status_code == 400
        assert "at most" in problem(idle.request(method, path, content=b" " * 2**18), 413)


def test_events_of_what_was_deleted_are_gone_too(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    number = queue.add("a", Path("/a"), uploaded=False)
    queue.say(number, "progress", {})
    assert queue.events(number)
    queue.remove(number)
    queue.say(number, "progress", {})
    assert queue.events(number) == []


def test_what_died_several_times_is_told_to_those_who_follow(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite", lease_seconds=0.05)
    number = queue.add("a", Path("/a"), False, AnalysisOptions(webhook="http://x/"))
    for _ in range(4):
        queue.claim("worker")
        time.sleep(0.06)
    assert [kind for _, kind, _ in queue.events(number)] == ["failed"]
    assert queue.counts()["failed"] == 1
    due = Hooks(queue.path).due()
    assert due is not None
    assert due.analysis == number


def test_no_more_wait_than_may_however_many_come_at_once(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")

    def add(number: int) -> bool:
        try:
            queue.add(str(number), Path("/a"), False, most=3)
        except FullError:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(add, range(12))) == 3


def test_a_file_that_was_exchanged_for_a_link_out_of_the_root_is_not_sent(
    client: TestClient, tmp_path: Path, clip: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    named = root / "v.mp4"
    named.write_bytes(clip.read_bytes())
    number = client.post("/v1/analyses?wait=20", json={"path": "v.mp4"}).json()["id"]
    assert client.get(f"/v1/analyses/{number}/video").status_code == 200
    (tmp_path / "secret").write_text("secret")
    named.unlink()
    named.symlink_to(tmp_path / "secret")
    assert client.get(f"/v1/analyses/{number}/video").status_code == 404
    named.unlink()
    named.write_text("password = 1")
    assert "no video" in problem(client.get(f"/v1/analyses/{number}/video"), 404)
    assert problem(client.post("/v1/analyses", json={"path": "a" * 300}), 422)


def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "videos", 1000)
    for name in ("known", "left", "young.part"):
        (spool.folder / name).write_bytes(b"x")
    for name in ("known", "left"):
        os.utime(spool.folder / name, (0, 0))
    spool.sweep(lambda path: path.name == "known")
    assert {path.name for path in spool.folder.iterdir()} == {"known", "young.part"}
