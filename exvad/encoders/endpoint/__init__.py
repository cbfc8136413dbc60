"""Φ_C and Φ_LLM behind an OpenAI-compatible endpoint: `vllm serve` or a hosted provider.

- `client.py`: requests, retries and limits.
- `dialect.py`: parameters that some models refuse.
- `replies.py`: answers, in one piece or as a stream.
- `errors.py`: why an endpoint can't be used.
"""

from exvad.encoders.endpoint.client import ChatEndpoint, EndpointLLM, read_api_key
from exvad.encoders.endpoint.errors import EndpointError, RefusingEndpointError

__all__ = [
    "ChatEndpoint",
    "EndpointError",
    "EndpointLLM",
    "RefusingEndpointError",
    "read_api_key",
]
