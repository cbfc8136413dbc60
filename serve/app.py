"""The application that `serve run serve.app:app` and `import_path: serve.app:app` name."""

from exvad.serving.deployments.application import from_args as app

__all__ = ["app"]
