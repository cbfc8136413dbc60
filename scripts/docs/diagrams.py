"""The diagrams of the documentation: the paper's Figure 2, the rooms, and the data flow."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

from scripts.docs.drawing import Box, Drawing

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "exvad"


def figure_2() -> str:
    """Draw the boxes of the paper's Figure 2 with the files that hold them."""
    drawing = Drawing("figure2", "The boxes of the paper's Figure 2 and their files", 1040, 620)
    drawing.group(Box(150, 10, 880, 140), "AEGM, section 3.2: captions to an explanation")
    drawing.group(Box(150, 170, 880, 250), "MADM, section 3.3: coarse-grained detection")
    drawing.group(Box(150, 440, 880, 170), "LAAM, section 3.4: fine-grained detection")

    video = drawing.box(Box(10, 215, 110, 80), "video", "exvad/video/", kind="data")
    captioner = drawing.box(
        Box(170, 50, 180, 80), "captions (1)", "encoders/captioners/", "aegm/vision_stage.py",
        kind="model",
    )  # fmt: skip
    cleaning = drawing.box(Box(400, 50, 160, 80), "cleaning (2)", "aegm/cleaning.py")
    writer = drawing.box(
        Box(610, 50, 180, 80), "explanation (3)", "encoders/llm.py", "aegm/explanation.py",
        kind="model",
    )  # fmt: skip
    text = drawing.box(Box(850, 50, 160, 80), "text feature F_T", "aegm/text_feature.py")

    image = drawing.box(Box(170, 215, 150, 80), "CLIP image, F_I", "encoders/clip.py", kind="model")
    adapter = drawing.box(
        Box(370, 215, 190, 80), "LGT-Adapter (4), F_V", "modeling/madm/", "lgt_adapter.py"
    )
    fusion = drawing.box(Box(640, 215, 160, 80), "fusion, F_F", "modeling/madm/", "fusion.py")
    classifier = drawing.box(
        Box(850, 215, 160, 80), "classifier (5), s", "modeling/madm/", "classifier.py"
    )
    events = drawing.box(
        Box(850, 330, 160, 70), "scores to events", "inference/events.py", kind="data"
    )

    names = drawing.box(Box(10, 490, 110, 80), "class names", kind="data")
    phrases = drawing.box(Box(170, 490, 150, 80), "m phrases", "laam/phrases.py", kind="model")
    labels = drawing.box(Box(370, 490, 190, 80), "top k (6), F_L", "laam/top_phrases.py")
    alignment = drawing.box(Box(640, 490, 160, 80), "alignment map M", "modeling/alignment.py")

    drawing.arrow(video.top, (65, 90), captioner.left)
    drawing.arrow(video.right, image.left)
    drawing.arrow(captioner.right, cleaning.left)
    drawing.arrow(cleaning.right, writer.left)
    drawing.arrow(writer.right, text.left, label="E")
    drawing.arrow(image.right, adapter.left)
    drawing.arrow(adapter.right, fusion.left)
    drawing.arrow(text.bottom, (930, 160), (720, 160), fusion.top)
    drawing.arrow(fusion.right, classifier.left)
    drawing.arrow(classifier.bottom, events.top)
    drawing.arrow(names.right, phrases.left)
    drawing.arrow(phrases.right, labels.left)
    drawing.arrow(labels.right, alignment.left)
    drawing.arrow(fusion.bottom, alignment.top)
    drawing.arrow(alignment.right, (930, 530), events.bottom)
    return drawing.svg()


def layers() -> list[list[str]]:
    """Return the rooms by layer, the highest layer first, as the import contract has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [
        [room.strip(" ()").removeprefix(f"{PACKAGE}.") for room in row.replace("|", ":").split(":")]
        for row in rows
    ]


def rooms() -> str:
    """Draw the rooms of the package in their layers."""
    rows, height, gap, width = layers(), 44, 14, 760
    drawing = Drawing(
        "rooms", "The rooms of exvad by layer", width, len(rows) * (height + gap) + 14
    )
    for number, row in enumerate(rows):
        y = 8 + number * (height + gap)
        each = (width - 90 - 14 * (len(row) - 1)) / len(row)
        for column, room in enumerate(row):
            drawing.box(Box(80 + column * (each + 14), y, each, height), f"{PACKAGE}/{room}")
    bottom = 8 + (len(rows) - 1) * (height + gap) + height
    drawing.arrow((62, 12), (62, bottom))
    drawing.text((54, bottom / 2), "imports", "end")
    return drawing.svg()


def data_flow() -> str:
    """Draw how data flows from videos to a checkpoint, and from a new video to an answer."""
    drawing = Drawing("flow", "The data flow", 1040, 400)
    drawing.group(Box(10, 10, 1020, 175), "once per data set: preprocess, labels, train, evaluate")
    drawing.group(Box(10, 215, 1020, 175), "for every new video or camera")

    def row(y: float, boxes: list[tuple[str, tuple[str, ...], str]]) -> list[Box]:
        drawn = [
            drawing.box(Box(26 + n * 168, y, 140, 80), title, *lines, kind=kind)
            for n, (title, lines, kind) in enumerate(boxes)
        ]
        for first, second in pairwise(drawn):
            drawing.arrow(first.right, second.left)
        return drawn

    upper = row(
        70,
        [
            ("videos, labels", ("data/",), "data"),
            ("frames in chunks", ("video/", "pipeline/"), "room"),
            ("features, captions", ("encoders/", "aegm/"), "model"),
            ("feature store", ("store/",), "data"),
            ("training", ("training/", "tuning/"), "room"),
            ("checkpoint", ("checkpoints/",), "data"),
        ],
    )
    lower = row(
        275,
        [
            ("file, URL, camera", ("serving/sources/",), "data"),
            ("sandboxed decoder", ("video/",), "room"),
            ("features, captions", ("encoders/", "aegm/"), "model"),
            ("scores, events", ("inference/",), "room"),
            ("answer", ("detector/, live/", "results/"), "data"),
            ("CLI, report, HTTP", ("cli/, report/", "serving/"), "room"),
        ],
    )
    drawing.arrow(upper[5].bottom, (upper[5].bottom[0], 200), (lower[3].top[0], 200), lower[3].top)
    return drawing.svg()
