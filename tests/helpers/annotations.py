"""Small copies of the official annotation files, and folders of empty video files."""

from __future__ import annotations

from pathlib import Path

UCF_FILES = {
    "Anomaly_Train.txt": "Abuse/Abuse001_x264.mp4\n"
    "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4\n",
    "Anomaly_Test.txt": "Arson/Arson009_x264.mp4\n"
    "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4\n",
    "Temporal_Anomaly_Annotation.txt": "Arson009_x264.mp4  Arson  16  32  40  50  \n"
    "Normal_Videos_003_x264  Normal  -1  -1  -1  -1  \n",
    "test_lengths.csv": "video,label,snippets,frames\r\nNormal_Videos_003_x264,Normal,2,30\r\n"
    "Arson009_x264,Arson,3,55\r\n",
}
XD_FILES = {
    "annotations.txt": "film__#1_label_B1-G-0.mp4 0 20\n",
    "annotations_multiclasses.txt": "film__#1_label_B1-G-0 B1 0 10 G 9 20\n",
    "test_lengths.csv": "video,label,snippets,frames\nfilm__#1_label_B1-G-0,B1-G-0,2,33\n"
    "calm__#1_label_A,A,1,20\n",
    "train_videos.csv": "video,label\r\nold_label_B6,B6\r\nquiet_label_A,A\r\n",
}


def write_annotations(folder: Path, files: dict[str, str], **changes: str | None) -> Path:
    """Write annotation files into a new folder.

    Args:
        folder: the folder.
        files: name → text.
        changes: name without suffix → another text, or None to omit the file.
    """
    folder.mkdir()
    for name, text in files.items():
        changed = changes.get(name.partition(".")[0], text)
        if changed is not None:
            (folder / name).write_bytes(changed.encode())
    return folder


def touch_files(root: Path, *names: str) -> Path:
    """Create empty files below a folder; return the folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root
