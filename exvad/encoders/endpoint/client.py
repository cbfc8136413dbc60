"""A client of an OpenAI-compatible endpoint: requests in parallel, retries and limits."""

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
from http.client import HTTPException, InvalidURL
from typing import TYPE_CHECKING, Any

from exvad.encoders.answers import Answer
from exvad.encoders.endpoint.dialect import Dialect
from exvad.encoders.endpoint.errors import (
    EndpointError,
    GivenUpError,
    RefusedRequestError,
    RefusingEndpointError,
    error_message,
)
from exvad.encoders.endpoint.replies import is_event_stream, read_completion, read_events, read_json

if TYPE_CHECKING:
    from exvad.config import EndpointConfig

RETRIED_STATUSES = {408, 409, 425, 429, 500, 502, 503, 504}
REFUSED_STATUSES = {400, 413, 422}
MAX_FIRST_REFUSALS = 8  # a provider that refuses all first requests refuses the settings
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0


class ChatEndpoint:
    """A client of a chat-completions endpoint that sends many requests in parallel.

    Requests that fail for a temporary reason (connection refused or broken, timeout, 429, 5xx) are
    retried with jittered exponential backoff, or after the time in the Retry-After header. A
    request is given up after `patience` seconds without an answer.

    Several threads may use a client; the limits hold for all of them together.

    If the model refuses `max_tokens` or a temperature, as some providers' models do, all further
    requests have `max_completion_tokens` instead, or no temperature.

    Args:
        model: name of the model at the endpoint.
        settings: address, API key variable, concurrency, rate limit, timeout and patience.
        max_new_tokens: maximum length of an answer.
        schema: JSON schema for the answers; None for free text.

    Attributes:
        pool: the threads that send the requests, as many as may be in progress at the same time.
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
        self.pool = ThreadPoolExecutor(settings.concurrency)
        self._rate_lock = threading.Lock()
        self._next_request_at = 0.0
        self._state_lock = threading.Lock()
        self._dialect = Dialect()
        self._has_answered, self._num_refused = False, 0

    def chat(self, conversations: Sequence[list[dict[str, Any]]]) -> list[Answer]:
        """Return the answer to each conversation, a refusal if the endpoint rejects its content.

        Args:
            conversations: the messages of each conversation.

        Raises:
            EndpointError: the endpoint rejects the key or the model, gives no answer for
                `patience` seconds, or its answer is no chat completion.
            RefusingEndpointError: the endpoint has refused each of its first 8 requests, and not
                for their content or length.
        """
        given_up = threading.Event()

        def chat_unless_given_up(conversation: list[dict[str, Any]]) -> Answer | None:
            if given_up.is_set():
                return None  # An error is on its way to the caller.
            try:
                return self.chat_once(conversation, given_up=given_up)
            except GivenUpError:
                return None  # as above; the pool would raise that of the first conversation
            except EndpointError:
                given_up.set()
                raise

        try:
            answers = list(self.pool.map(chat_unless_given_up, conversations))
        finally:
            given_up.set()  # after Ctrl-C: the process can't end while a thread tries on
        return [answer for answer in answers if answer is not None]

    def chat_once(
        self,
        messages: list[dict[str, Any]],
        on_text: Callable[[str], None] | None = None,
        given_up: threading.Event | None = None,
    ) -> Answer:
        """Return the answer to one conversation; see `chat`. Several threads may call this.

        Args:
            messages: the messages of the conversation.
            on_text: called with the answer so far; None to request it in one piece.
            given_up: set once nobody waits for the answer any more.
        """
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        if on_text is not None:
            body["stream"] = True
        if self.schema is not None:
            json_schema = {"name": "answer", "schema": self.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        while True:
            dialect = self._dialect
            parameters = dialect.parameters(self.max_new_tokens)
            try:
                completion = self._post(
                    "chat/completions",
                    {**body, **parameters},
                    on_text,
                    threading.Event() if given_up is None else given_up,
                )
            except RefusedRequestError as error:
                if dialect.adapt(error.message) == dialect:
                    return self._record_refusal(error)
                with self._state_lock:
                    self._dialect = self._dialect.adapt(error.message)
            else:
                self._has_answered = True
                return read_completion(completion, self.settings.base_url, self.max_new_tokens)

    def _record_refusal(self, error: RefusedRequestError) -> Answer:
        with self._state_lock:
            self._num_refused += not error.is_about_input
            refuses_all = not self._has_answered and self._num_refused >= MAX_FIRST_REFUSALS
        if refuses_all:
            raise RefusingEndpointError(
                f"{self.settings.base_url} refused all of the first {self._num_refused} requests "
                f"to {self.model} ({error}): check the model and the "
                "settings of the endpoint, then run again to continue"
            ) from None
        return Answer("", refusal=str(error))

    def _post(
        self,
        route: str,
        body: dict[str, Any],
        on_text: Callable[[str], None] | None,
        given_up: threading.Event,
    ) -> Any:
        """Return the JSON answer to a request."""
        url = f"{self.settings.base_url.rstrip('/')}/{route}"
        headers = {"Content-Type": "application/json"}
        key = read_api_key(self.settings.api_key_env)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        except ValueError as error:
            raise EndpointError(f"{url} is no URL of an endpoint ({error}): set base_url") from None
        deadline = time.monotonic() + self.settings.patience
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._wait_for_rate_limit(given_up)
            if given_up.is_set():
                raise GivenUpError(f"{url}: nobody waits for the answer any more")
            try:
                with urllib.request.urlopen(request, timeout=self.settings.timeout) as response:
                    if on_text is not None and is_event_stream(response):
                        return read_events(response, on_text)
                    return read_json(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    reply = error.read(8192).decode("utf-8", "replace")
                if key:  # Some providers quote it.
                    reply = reply.replace(key, "…")
                if error.code in REFUSED_STATUSES:
                    raise RefusedRequestError(error.code, reply) from None
                reply_text = error_message(reply)
                if error.code not in RETRIED_STATUSES:
                    hint = f"the key is read from {self.settings.api_key_env}"
                    if error.code not in (401, 403):
                        hint = "check base_url and the model"
                    raise EndpointError(
                        f"{url} answers {error.code}: {reply_text} ({hint})"
                    ) from None
                problem = f"{error.code}: {reply_text}"
                retry_after = error.headers.get("Retry-After", "")
            except InvalidURL as error:
                raise EndpointError(
                    f"{url} is no URL of an endpoint ({error}): set base_url"
                ) from None
            except (OSError, HTTPException, json.JSONDecodeError, UnicodeDecodeError) as error:
                problem, retry_after = str(error), ""
            wait = float(retry_after) if retry_after.isdigit() else pause * (0.5 + random.random())
            if time.monotonic() + wait > deadline:
                raise EndpointError(
                    f"{url} gave no answer for {self.settings.patience:.0f} s ({problem}): "
                    "check the endpoint, then run again to continue"
                )
            given_up.wait(wait)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _wait_for_rate_limit(self, given_up: threading.Event) -> None:
        if not self.settings.requests_per_minute:
            return
        with self._rate_lock:
            start = max(time.monotonic(), self._next_request_at)
            self._next_request_at = start + 60 / self.settings.requests_per_minute
        given_up.wait(max(0.0, start - time.monotonic()))


def read_api_key(variable: str) -> str:
    """Return the API key that a variable holds; empty if there is none.

    Args:
        variable: name of the variable of the environment.

    Raises:
        EndpointError: the variable holds what no HTTP header may; the message does not quote it.
    """
    key = os.environ.get(variable, "").strip()  # files with keys end with the end of a line
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(f"the variable {variable} holds no API key, but other characters")
    return key


class EndpointLLM:
    """A language model behind a chat endpoint.

    Args:
        endpoint: the client.
    """

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self.endpoint = endpoint

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt; see `ChatEndpoint.chat`."""
        return self.endpoint.chat([[{"role": "user", "content": prompt}] for prompt in prompts])
