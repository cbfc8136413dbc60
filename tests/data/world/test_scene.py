"""Scenes: the seed alone determines them, and every frame has a true caption."""

from __future__ import annotations

import itertools
import pickle
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.world import CLASSES, NORMAL, Scene
from exvad.data.world.activities import ACTIVITIES, possible_activities
from exvad.data.world.language import caption_class
from exvad.data.world.places import PlaceName

# Normal activities that look like the class.
LOOK_ALIKES = {
    "Arson": ["grill"],
    "Explosion": ["headlights"],
    "Fighting": ["talk", "hug", "shake hands"],
    "RoadAccidents": ["cars meet", "parked"],
    "Robbery": ["show phone", "pay"],
    "Vandalism": ["clean", "poster"],
}

scenes = st.builds(Scene, st.integers(0, 2**32), st.sampled_from(CLASSES))


@settings(max_examples=30, deadline=None)
@given(scenes)
def test_a_scene_depends_on_its_seed_only(scene: Scene) -> None:
    again = Scene(scene.seed, scene.label)
    assert again == scene
    assert again.segments == scene.segments
    assert again.place == scene.place
    assert again.num_frames == scene.num_frames


@pytest.mark.parametrize("label", CLASSES)
def test_render_draws_any_frame_independently(label: str) -> None:
    scene = Scene(7, label)
    last = scene.num_frames - 1
    in_order = {frame: scene.render(frame) for frame in range(0, last + 1, 40)}
    for frame in reversed(list(in_order)):
        alone = Scene(7, label).render(frame)
        assert alone.shape == (120, 160, 3)
        assert alone.dtype == np.uint8
        np.testing.assert_array_equal(alone, in_order[frame])
    Scene(7, label).render(last)


def test_render_differs_between_seeds_and_between_frames() -> None:
    one, two = Scene(1), Scene(2)
    assert (one.render(0) != two.render(0)).any()
    assert (one.render(0) != one.render(1)).any()


def test_render_refuses_a_frame_beyond_the_end() -> None:
    scene = Scene(1)
    with pytest.raises(AssertionError, match="frame"):
        scene.render(scene.num_frames)


@settings(max_examples=50, deadline=None)
@given(scenes, st.data())
def test_a_scene_pickles_to_the_same_scene(scene: Scene, data: st.DataObject) -> None:
    events = scene.events
    copy = pickle.loads(pickle.dumps(scene))
    assert copy == scene
    assert copy.events == events
    frame = data.draw(st.integers(0, scene.num_frames - 1))
    np.testing.assert_array_equal(copy.render(frame), scene.render(frame))


def test_a_pickled_scene_keeps_its_length_and_contains_no_frames() -> None:
    scene = Scene(3, "Arson", 11, 13)
    scene.render(0)
    pickled = pickle.dumps(scene)
    assert len(pickled) < 500
    assert pickle.loads(pickled).num_frames == scene.num_frames <= 12 * 16


@settings(deadline=None)
@given(scenes)
def test_num_frames_is_within_the_given_limits(scene: Scene) -> None:
    assert 19 * 16 < scene.num_frames <= 36 * 16


@settings(deadline=None)
@given(scenes)
def test_segments_cover_the_video_without_gaps(scene: Scene) -> None:
    assert scene.segments[0].start == 0
    assert scene.segments[-1].end == scene.num_frames
    for before, after in itertools.pairwise(scene.segments):
        assert before.start < before.end == after.start
    for segment in scene.segments:
        for frame in (segment.start, segment.end - 1):
            assert scene.segment(frame) is segment


@settings(deadline=None)
@given(scenes)
def test_events_are_the_abnormal_segments_and_lie_inside_the_video(scene: Scene) -> None:
    abnormal = [s for s in scene.segments if s.activity.label != NORMAL]
    assert scene.events == [(s.start, s.end, s.activity.label) for s in abnormal]
    assert len(scene.events) == (scene.label != NORMAL)
    for start, end, label in scene.events:
        assert label == scene.label
        assert 0 < start < end < scene.num_frames
        assert end - start >= 4 * 16


@settings(max_examples=300, deadline=None)
@given(scenes, st.data())
def test_caption_describes_the_class_of_the_frame(scene: Scene, data: st.DataObject) -> None:
    frame = data.draw(st.integers(0, scene.num_frames - 1))
    caption = scene.caption(frame)
    assert caption_class(caption) == scene.segment(frame).activity.label
    assert caption.endswith(scene.place.phrase)


@pytest.mark.parametrize("name", ACTIVITIES)
def test_every_activity_occurs_is_visible_and_is_captioned_as_its_class(name: str) -> None:
    activity = ACTIVITIES[name]
    for seed in range(3000):
        scene = Scene(seed, activity.label)
        segments = [s for s in scene.segments if s.activity is activity]
        if segments:
            break
    else:
        pytest.fail(f"{name} never happens")
    middle = (segments[0].start + segments[0].end) // 2
    assert caption_class(scene.caption(middle)) == activity.label
    assert not activity.places or scene.place.name in activity.places
    assert scene.action_mask(middle).sum() > 50


@pytest.mark.parametrize("label", CLASSES[1:])
def test_every_class_has_several_appearances_and_a_normal_look_alike(label: str) -> None:
    appearances = [a for a in ACTIVITIES.values() if a.label == label]
    assert len(appearances) >= 2
    for name in LOOK_ALIKES[label]:
        twin = ACTIVITIES[name]
        assert twin.label == NORMAL
        # The place must not distinguish the two.
        shared = [
            place
            for place in get_args(PlaceName)
            if possible_activities(label, place) and name in possible_activities(NORMAL, place)
        ]
        assert shared
