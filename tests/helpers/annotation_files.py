"""Files of annotation tools in the shape that the tools export, and drawn annotations."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from exvad.data.annotations.annotated import AnnotatedVideo, Annotations
from exvad.data.records import Event, TimedEvent

# An export of Label Studio 1.x ("JSON") of a project with TimelineLabels, VideoRectangle, Choices.
LABEL_STUDIO: list[dict[str, Any]] = [
    {
        "id": 41,
        "annotations": [
            {
                "id": 17,
                "completed_by": 1,
                "result": [
                    {
                        "original_length": 20.0,
                        "value": {
                            "ranges": [{"start": 121, "end": 360}],
                            "timelinelabels": ["Robbery"],
                        },
                        "id": "kQ3vX",
                        "from_name": "videoLabels",
                        "to_name": "video",
                        "type": "timelinelabels",
                        "origin": "manual",
                    },
                    {
                        "value": {
                            "framesCount": 500,
                            "duration": 20.0,
                            "sequence": [
                                {
                                    "frame": 51,
                                    "enabled": True,
                                    "rotation": 0,
                                    "x": 38.4,
                                    "y": 20.1,
                                    "width": 10.5,
                                    "height": 31.0,
                                    "time": 2.0,
                                },
                                {
                                    "x": 40.0,
                                    "y": 20.1,
                                    "width": 10.5,
                                    "height": 31.0,
                                    "rotation": 0,
                                    "frame": 75,
                                    "enabled": False,
                                    "time": 2.96,
                                },
                            ],
                            "labels": ["Vandalism"],
                        },
                        "id": "Pz81n",
                        "from_name": "box",
                        "to_name": "video",
                        "type": "videorectangle",
                        "origin": "manual",
                    },
                    {
                        "value": {"choices": ["Robbery"]},
                        "id": "a9",
                        "from_name": "kind",
                        "to_name": "video",
                        "type": "choices",
                    },
                    {
                        "value": {"text": ["masked"]},
                        "id": "t1",
                        "from_name": "remark",
                        "to_name": "video",
                        "type": "textarea",
                    },
                ],
                "was_cancelled": False,
                "ground_truth": False,
                "lead_time": 41.2,
            }
        ],
        "predictions": [],
        "drafts": [],
        "data": {"video": "/data/upload/3/1f2e3d4c-shop%20door.mp4"},
        "meta": {},
        "project": 3,
    },
    {
        "id": 42,
        "annotations": [{"id": 18, "result": [], "was_cancelled": False}],
        "predictions": [],
        "data": {"video": "/data/local-files/?d=cam2/0001.mp4"},
    },
    {"id": 43, "annotations": [], "predictions": [], "data": {"video": "s3://bucket/late.mp4"}},
]

# The same project as "JSON-MIN".
LABEL_STUDIO_MIN: list[dict[str, Any]] = [
    {
        "video": "/data/upload/3/1f2e3d4c-shop%20door.mp4",
        "id": 41,
        "videoLabels": [
            {"ranges": [{"start": 121, "end": 360}], "timelinelabels": ["Robbery"]},
        ],
        "choice": "Robbery",
        "annotator": 1,
        "annotation_id": 17,
        "created_at": "2026-01-05T10:00:00Z",
        "lead_time": 41.2,
    }
]

CVAT_VIDEO = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>shop door</name>
      <size>500</size>
      <mode>interpolation</mode>
      <overlap>5</overlap>
      <start_frame>0</start_frame>
      <stop_frame>499</stop_frame>
      <frame_filter></frame_filter>
      <labels>
        <label><name>Robbery</name><color>#f00000</color><attributes></attributes></label>
        <label><name>Normal</name><color>#00f000</color><attributes></attributes></label>
      </labels>
      <original_size><width>640</width><height>480</height></original_size>
      <source>shop_door.mp4</source>
    </task>
    <dumped>2026-01-05 10:00:00.000000+00:00</dumped>
  </meta>
  <track id="0" label="Robbery" source="manual">
    <box frame="120" outside="0" occluded="0" keyframe="1" xtl="1.0" ytl="2.0" xbr="3.0" ybr="4.0"
      z_order="0"></box>
    <box frame="121" outside="0" occluded="0" keyframe="0" xtl="1.0" ytl="2.0" xbr="3.0" ybr="4.0"
      z_order="0"></box>
    <box frame="360" outside="1" occluded="0" keyframe="1" xtl="1.0" ytl="2.0" xbr="3.0" ybr="4.0"
      z_order="0"></box>
    <box frame="400" outside="0" occluded="0" keyframe="1" xtl="1.0" ytl="2.0" xbr="3.0" ybr="4.0"
      z_order="0"></box>
    <box frame="499" outside="0" occluded="0" keyframe="1" xtl="1.0" ytl="2.0" xbr="3.0" ybr="4.0"
      z_order="0"></box>
  </track>
</annotations>
"""

CVAT_PROJECT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <project>
      <id>2</id>
      <name>shop</name>
      <tasks>
        <task><id>8</id><name>one</name><size>100</size><start_frame>0</start_frame>
          <frame_filter>step=5</frame_filter><source>one.mp4</source></task>
        <task><id>9</id><name>two</name><size>100</size><start_frame>0</start_frame>
          <frame_filter></frame_filter><source>two.mp4</source></task>
      </tasks>
      <labels><label><name>Arson</name><type>tag</type><attributes/></label></labels>
    </project>
  </meta>
  <image id="10" name="frame_000010" subset="default" task_id="8" width="64" height="48">
    <tag label="Arson" source="manual"></tag>
  </image>
  <image id="15" name="frame_000015" subset="default" task_id="8" width="64" height="48">
    <tag label="Arson" source="manual"></tag>
  </image>
  <image id="30" name="frame_000030" subset="default" task_id="8" width="64" height="48">
    <tag label="Arson" source="manual"></tag>
  </image>
  <image id="0" name="frame_000000" subset="default" task_id="9" width="64" height="48"></image>
</annotations>
"""

# In the shape of UCFCrime_Test.json and UCFCrime_Test.txt; the sentences are made up.
UCA_JSON: dict[str, Any] = {
    "Abuse037_x264": {
        "duration": 59.88,
        "timestamps": [[1.2, 8.2], [8.4, 25.3]],
        "sentences": ["A white car stops beside a dog.", " Two people get out of it."],
    },
    "Normal_Videos_003_x264": {
        "duration": 94.0,
        "timestamps": [[0.0, 94.0]],
        "sentences": ["Cars pass a crossing."],
    },
}
UCA_TXT = (
    "Abuse037_x264 00:01.2 00:08.2 ##A white car stops beside a dog.\r\n"
    "Abuse037_x264 00:08.4 00:25.3 ## Two people get out of it.\r\n"
    "Normal_Videos_003_x264 00:00.0 01:34.0 ##Cars pass a crossing.\r\n"
)

CLASSES = ("Normal", "Robbery", "Road accident")
_NAMES = st.text("abcxyz0189_ #é", min_size=1, max_size=8).map(lambda name: f"v{name.strip()}.mp4")


@st.composite
def marked_annotations(draw: st.DrawFn, max_length: int = 2000) -> Annotations:
    """Draw annotations that people marked: videos with events in frames, and normal videos."""
    videos = []
    for name in draw(st.lists(_NAMES, min_size=1, max_size=4, unique_by=str.casefold)):
        fps = draw(st.sampled_from([5.0, 24.0, 25.0, 29.97, 30.0]))
        starts = draw(st.lists(st.integers(0, max_length - 1), max_size=4))
        events = tuple(
            Event(start, start + draw(st.integers(1, 200)), draw(st.sampled_from(CLASSES[1:])))
            for start in sorted(starts)
        )
        length = max((event.end for event in events), default=1) + draw(st.integers(0, 50))
        videos.append(AnnotatedVideo(name, (), events, fps=fps, num_frames=length))
    return Annotations(tuple(videos), CLASSES)


@st.composite
def found_annotations(draw: st.DrawFn) -> Annotations:
    """Draw annotations that a model made: events with scores, on the frames of the video."""
    videos = []
    for video in draw(marked_annotations()).videos:
        rate = video.fps or 0
        timed = tuple(TimedEvent(e.start / rate, e.end / rate, e.label) for e in video.events)
        scores = tuple(draw(st.floats(0, 1)) for _ in timed)
        videos.append(
            AnnotatedVideo(
                video.name,
                () if timed else ("Normal",),
                (),
                timed,
                scores,
                fps=rate,
                num_frames=video.num_frames,
                predicted=True,
            )
        )
    return Annotations(tuple(videos), CLASSES)
