"""Error responses that describe what is wrong with a request."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.helpers.api import problem_detail

JSON = {"Content-Type": "application/json"}


def test_invalid_requests_are_described(idle_client: TestClient) -> None:
    refused = [
        (
            idle_client.post("/v1/streams", json={"path": "x", "onn": 1}),
            "onn: there is no such option",
        ),
        (idle_client.post("/v1/analyses", json={"pth": "x"}), "pth: there is no such option"),
        (
            idle_client.post("/v1/streams", json={"path": "x", "on": 0, "off": 1}),
            "body: off is larger",
        ),
        (idle_client.patch("/v1/analyses/x", content="{}"), "Content-Type: application/json"),
        *(
            (idle_client.patch("/v1/analyses/x", content=body, headers=JSON), "send a JSON object")
            for body in ("[]", '"x"', "1")
        ),
    ]
    for response, detail in refused:
        assert detail in problem_detail(response, 422)


def test_a_wrong_method_is_answered_with_all_methods_of_the_path(idle_client: TestClient) -> None:
    response = idle_client.put("/v1/analyses", content=b"x" * 200_000)
    problem_detail(response, 405)
    assert response.headers["allow"] == "GET, POST"
