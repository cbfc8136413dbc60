"""The application of `serve run serve.app:app` and of `import_path: serve.app:app`."""

from exvad.serving.deployments.application import from_args as app

__all__ = ["app"]
