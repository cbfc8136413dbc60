"""The demo world: rendered CCTV-like scenes as real video files, with captions and events.

With it everything runs without a download. It is a demonstration and a test bed, not evidence of
accuracy on real footage.
"""

from __future__ import annotations

from exvad.data.world.activities import CLASSES, NORMAL
from exvad.data.world.render import render_video, render_world
from exvad.data.world.scene import Scene
from exvad.data.world.seed_ranges import seeds

__all__ = ["CLASSES", "NORMAL", "Scene", "render_video", "render_world", "seeds"]
