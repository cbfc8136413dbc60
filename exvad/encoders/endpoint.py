"""OpenAI-compatible endpoints: a running `vllm serve`, or any provider of chat completions."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from exvad.encoders.chat import ASKED, image_turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import EndpointConfig

T = TypeVar("T")
RETRIED = {408, 409, 425, 429, 500, 502, 503, 504}
UNANSWERABLE = {400, 413, 422}
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


class EndpointError(ValueError):
    """An endpoint can't be used: names it and says what it answered."""


class ChatEndpoint:
    """Asks a chat endpoint many things at once, patiently.

    Calls that fail for a passing reason (connection refused or broken, timeouts, 429, 5xx) are
    repeated after growing, jittered pauses, or after what Retry-After says, until the endpoint has
    been silent for `patience` seconds.

    Args:
        model: name of the model there.
        settings: where the endpoint is and how it may be used.
        max_new_tokens: the longest answer.
        schema: JSON schema that answers are asked to fit, None for free text.
    """

    def __init__(
        self,
        model: str,
        settings: EndpointConfig,
        max_new_tokens: int,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self.max_new_tokens = max_new_tokens
        self.schema = schema
        self._pace = threading.Lock()
        self._next = 0.0

    def ask(self, messages: Sequence[list[dict[str, Any]]]) -> list[str]:
        """Return the answer to each conversation, "" where the endpoint finds it unanswerable.

        Raises:
            EndpointError: the endpoint refuses the key or the model, or stays silent.
        """
        return self._side_by_side(self._one, messages)

    def _side_by_side(self, call: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            return list(pool.map(call, items))

    def _one(self, messages: list[dict[str, Any]]) -> str:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.max_new_tokens,
            "temperature": 0,
        }
        if self.schema is not None:
            shape = {"name": "answer", "schema": self.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": shape}
        answer = self._post("chat/completions", body)
        if answer is None:
            return ""
        try:
            return str(answer["choices"][0]["message"]["content"] or "").strip()
        except (KeyError, IndexError, TypeError):
            raise EndpointError(
                f"{self.settings.base_url} answers with something else than a chat completion"
            ) from None

    def _post(self, route: str, body: dict[str, Any]) -> Any:
        url = f"{self.settings.base_url.rstrip('/')}/{route}"
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.settings.api_key_env, "")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        given_up = time.monotonic() + self.settings.patience
        pause = FIRST_PAUSE
        while True:
            self._wait_for_turn()
            try:
                with urllib.request.urlopen(request, timeout=self.settings.timeout) as reply:
                    return json.loads(reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    told = error.read(500).decode("utf-8", "replace")
                if error.code in UNANSWERABLE:
                    return None
                if error.code not in RETRIED:
                    raise EndpointError(
                        f"{url} answers {error.code}: {told[:200]} (the key is read from "
                        f"{self.settings.api_key_env})"
                    ) from None
                problem, asked = f"{error.code}: {told[:200]}", error.headers.get("Retry-After", "")
            except (OSError, json.JSONDecodeError) as error:
                problem, asked = str(error), ""
            wait = float(asked) if asked.isdigit() else pause * (0.5 + random.random())
            if time.monotonic() + wait > given_up:
                raise EndpointError(
                    f"{url} gave no answer for {self.settings.patience:.0f} s ({problem}); "
                    "run again to go on"
                )
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _wait_for_turn(self) -> None:
        if not self.settings.requests_per_minute:
            return
        with self._pace:
            turn = max(time.monotonic(), self._next)
            self._next = turn + 60 / self.settings.requests_per_minute
        time.sleep(max(0.0, turn - time.monotonic()))


class EndpointLLM:
    """A language model behind a chat endpoint.

    Args:
        endpoint: where it is.
    """

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self.endpoint = endpoint

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt; see `ChatEndpoint.ask`."""
        return self.endpoint.ask([[{"role": "user", "content": prompt}] for prompt in prompts])


class EndpointCaptioner:
    """A vision model behind a chat endpoint.

    Args:
        endpoint: where it is.
        prompt: P_C, what it is asked about each picture.
    """

    def __init__(self, endpoint: ChatEndpoint, prompt: str) -> None:
        self.endpoint = endpoint
        self.prompt = prompt or ASKED

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Write one caption for each RGB picture of uint8 [N, H, W, 3]."""
        return self.endpoint.ask([[image_turn(self.prompt, frame)] for frame in frames])
