"""Loading a data set with a progress bar, as the demo world takes a while to render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.data.dataset import load_manifest
from exvad.pipeline.progress.terminal import progress_bar

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest


def load_manifest_with_progress(config: Config) -> Manifest:
    """Load the data set of a configuration; show a progress bar while the demo world is rendered.

    Raises:
        ValueError: the data set is described wrongly.
    """
    with progress_bar() as bar:
        task = bar.add_task("rendering the demo world", total=None, visible=False)
        return load_manifest(
            config,
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )
