"""Φ_C and Φ_LLM behind an OpenAI-compatible endpoint: `vllm serve` or a hosted provider."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from exvad.encoders.chat import DEFAULT_CAPTION_PROMPT, image_message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import EndpointConfig

RETRIED_STATUSES = {408, 409, 425, 429, 500, 502, 503, 504}
UNANSWERABLE_STATUSES = {400, 413, 422}
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0


class EndpointError(ValueError):
    """An endpoint cannot be used; the message has its address and what it answered."""


class ChatEndpoint:
    """A client of a chat-completions endpoint that sends many requests in parallel.

    Requests that fail for a temporary reason (connection refused or broken, timeout, 429, 5xx) are
    retried with jittered exponential backoff, or after the time in the Retry-After header. A
    request is given up after `patience` seconds without an answer.

    Args:
        model: name of the model at the endpoint.
        settings: address, API key variable, concurrency, rate limit, timeout and patience.
        max_new_tokens: maximum length of an answer.
        schema: JSON schema for the answers; None for free text.
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
        self._rate_lock = threading.Lock()
        self._next_request_at = 0.0

    def chat(self, conversations: Sequence[list[dict[str, Any]]]) -> list[str]:
        """Return the answer to each conversation, "" if the endpoint rejects its content.

        Args:
            conversations: the messages of each conversation.

        Raises:
            EndpointError: the endpoint rejects the key or the model, gives no answer for
                `patience` seconds, or its answer is no chat completion.
        """
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            return list(pool.map(self._chat_once, conversations))

    def _chat_once(self, messages: list[dict[str, Any]]) -> str:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": self.max_new_tokens,
            "temperature": 0,
        }
        if self.schema is not None:
            json_schema = {"name": "answer", "schema": self.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        completion = self._post("chat/completions", body)
        if completion is None:
            return ""
        try:
            return str(completion["choices"][0]["message"]["content"] or "").strip()
        except (KeyError, IndexError, TypeError):
            raise EndpointError(
                f"the answer of {self.settings.base_url} is no chat completion: set base_url to an "
                "OpenAI-compatible endpoint"
            ) from None

    def _post(self, route: str, body: dict[str, Any]) -> Any:
        """Return the JSON answer to a request, or None if the endpoint rejects its content."""
        url = f"{self.settings.base_url.rstrip('/')}/{route}"
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.settings.api_key_env, "")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        deadline = time.monotonic() + self.settings.patience
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._wait_for_rate_limit()
            try:
                with urllib.request.urlopen(request, timeout=self.settings.timeout) as reply:
                    return json.loads(reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    reply_text = error.read(500).decode("utf-8", "replace")[:200]
                if error.code in UNANSWERABLE_STATUSES:
                    return None
                if error.code not in RETRIED_STATUSES:
                    raise EndpointError(
                        f"{url} answers {error.code}: {reply_text} (the key is read from "
                        f"{self.settings.api_key_env})"
                    ) from None
                problem = f"{error.code}: {reply_text}"
                retry_after = error.headers.get("Retry-After", "")
            except (OSError, json.JSONDecodeError) as error:
                problem, retry_after = str(error), ""
            wait = float(retry_after) if retry_after.isdigit() else pause * (0.5 + random.random())
            if time.monotonic() + wait > deadline:
                raise EndpointError(
                    f"{url} gave no answer for {self.settings.patience:.0f} s ({problem}): "
                    "check the endpoint, then run again to continue"
                )
            time.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _wait_for_rate_limit(self) -> None:
        if not self.settings.requests_per_minute:
            return
        with self._rate_lock:
            start = max(time.monotonic(), self._next_request_at)
            self._next_request_at = start + 60 / self.settings.requests_per_minute
        time.sleep(max(0.0, start - time.monotonic()))


class EndpointLLM:
    """A language model behind a chat endpoint.

    Args:
        endpoint: the client.
    """

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self.endpoint = endpoint

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt; see `ChatEndpoint.chat`."""
        return self.endpoint.chat([[{"role": "user", "content": prompt}] for prompt in prompts])


class EndpointCaptioner:
    """A vision-language model behind a chat endpoint.

    Args:
        endpoint: the client.
        prompt: P_C, the text given with each frame; empty for `DEFAULT_CAPTION_PROMPT`.
    """

    def __init__(self, endpoint: ChatEndpoint, prompt: str) -> None:
        self.endpoint = endpoint
        self.prompt = prompt or DEFAULT_CAPTION_PROMPT

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each RGB frame of uint8 [N, H, W, 3]."""
        return self.endpoint.chat([[image_message(self.prompt, frame)] for frame in frames])
