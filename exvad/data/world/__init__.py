"""The demo world: CCTV-like scenes rendered to real video files, with captions and events.

It lets everything run with no download. It is a demonstration and a test bed, never evidence of
accuracy on real footage.
"""

from __future__ import annotations

from exvad.data.world.activities import CLASSES, NORMAL
from exvad.data.world.render import render_video, render_world
from exvad.data.world.scene import Scene
from exvad.data.world.seeds import seeds

__all__ = ["CLASSES", "NORMAL", "Scene", "render_video", "render_world", "seeds"]
