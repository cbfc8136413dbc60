"""What runs a model outside of transformers: endpoints, and environments with vLLM."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib.metadata import version
from typing import TYPE_CHECKING

from exvad.encoders.endpoint import EndpointError, read_api_key
from exvad.pipeline.preflight.findings import Finding

if TYPE_CHECKING:
    from exvad.config import EndpointConfig

TIMEOUT_SECONDS = 5.0
# Endpoints that answer chat completions but do not list their models.
UNLISTED_STATUSES = (405, 501)
SHOWN_MODELS = 5
ROOT_ADVICE = "set {}.base_url to the root of an OpenAI-compatible API, usually ending in /v1"
VERSIONS_SCRIPT = """
import importlib.metadata, importlib.util, json
names = [name for name in ("vllm", "ray") if importlib.util.find_spec(name)]
print(json.dumps({name: importlib.metadata.version(name) for name in names}))
"""


def check_endpoint(kind: str, model: str, settings: EndpointConfig, waits: bool) -> Finding:
    """Ask an OpenAI-compatible endpoint for the models that it offers.

    Args:
        kind: `captioner` or `llm`.
        model: the model that is needed.
        settings: address of the endpoint and the variable with its key.
        waits: whether the caller waits for an endpoint that does not answer yet.
    """
    what, url = f"{kind}.endpoint", f"{settings.base_url.rstrip('/')}/models"
    try:
        key = read_api_key(settings.api_key_env)
    except EndpointError as error:
        return Finding(what, False, str(error))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
            content = reply.read()
    except urllib.error.HTTPError as error:
        error.close()
        return _refused(what, url, settings, error.code, waits)
    except ValueError:
        return Finding(what, False, f"{settings.base_url!r} is no URL: set {what}.base_url")
    except (OSError, HTTPException) as error:
        if waits:
            note = f"it is waited for up to {settings.patience:.0f} s"
            return Finding(what, True, f"{url} can't be reached yet ({error}): {note}")
        return Finding(
            what, False, f"{url} can't be reached ({error}): start it, or set {what}.base_url"
        )
    try:
        offered = [str(entry["id"]) for entry in json.loads(content)["data"]]
    except (KeyError, TypeError, ValueError):
        return Finding(what, False, f"{url} answers no list of models: {ROOT_ADVICE.format(what)}")
    if model not in offered:
        listed = ", ".join(offered[:SHOWN_MODELS]) or "none"
        return Finding(
            what,
            False,
            f"{settings.base_url} does not offer {model!r}: set {kind}.model to one of {listed}",
        )
    return Finding(what, True, f"{settings.base_url} offers {model}")


def _refused(what: str, url: str, settings: EndpointConfig, status: int, waits: bool) -> Finding:
    variable = settings.api_key_env
    if status in UNLISTED_STATUSES:
        return Finding(
            what, True, f"{url} does not list models; whether it has this one is unknown"
        )
    if status in (401, 403):
        state = "was rejected" if os.environ.get(variable) else "is not set"
        return Finding(
            what, False, f"{url} answers {status}: the key in the variable {variable} {state}"
        )
    if waits and (status == 429 or status >= 500):
        return Finding(what, True, f"{url} answers {status}: it is asked again by the job")
    return Finding(what, False, f"{url} answers {status}: {ROOT_ADVICE.format(what)}")


def check_vllm(kind: str, python: str) -> Finding:
    """Look for vLLM in the environment that is to run it.

    Args:
        kind: `captioner` or `llm`.
        python: the Python of the environment; empty for this one.
    """
    what = f"{kind}.engine"
    if not python:
        if importlib.util.find_spec("vllm") is not None:
            return Finding(what, True, f"vLLM {version('vllm')} is installed")
        return Finding(
            what,
            False,
            f"vLLM is not installed in {sys.prefix}: pip install 'exvad[vllm]', or set "
            f"{what}.python to the Python of an environment that has it",
        )
    try:
        finished = subprocess.run(
            [python, "-c", VERSIONS_SCRIPT],
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT_SECONDS,
            check=True,
        )
        versions = json.loads(finished.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Finding(what, False, f"{what}.python={python} can't be run ({error})")
    if "vllm" not in versions:
        return Finding(what, False, f"{python} has no vLLM: pip install vllm ray there")
    here = version("ray")
    if versions.get("ray") != here:
        found = versions.get("ray", "none")
        return Finding(
            what,
            False,
            f"{python} has Ray {found}, but this environment {here}: install {here} there",
        )
    return Finding(what, True, f"vLLM {versions['vllm']} in {python}")
