"""Loading a data set with its notes, and with a progress bar while the demo world is rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.data.dataset import load_manifest
from exvad.pipeline.progress.terminal import console, progress_bar

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest

SHOWN_NOTES = 20


def load_manifest_with_progress(config: Config) -> Manifest:
    """Load the data set of a configuration and print its notes.

    A progress bar is shown while the demo world is rendered.

    Raises:
        ValueError: the data set is described wrongly.
    """
    with progress_bar() as bar:
        task = bar.add_task("rendering the demo world", total=None, visible=False)
        manifest = load_manifest(
            config,
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )
    for note in manifest.notes[:SHOWN_NOTES]:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    if len(manifest.notes) > SHOWN_NOTES:
        console.print(f"note: … and {len(manifest.notes) - SHOWN_NOTES} more", highlight=False)
    return manifest
