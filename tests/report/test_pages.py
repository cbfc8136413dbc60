from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exvad.report.cards import card, headline, outcome, overlap
from exvad.report.figures import clock, confusion_rows, kind_name, percent, timeline, when
from exvad.report.figures import training_curves as draw_training
from exvad.report.measures import duration
from exvad.report.pages import ReportVideo, RunRecord, evidence_frames, render_analyses, render_run
from exvad.results import Analysis, Caption, DetectedEvent, Explanation

CLASSES = ["Normal", "Arson", "Fighting", "RoadAccidents"]
FPS, STRIDE, SECONDS, CAPTIONS = 25.0, 16, 32.0, 16
FIGHT = (12.0, 21.0, "Fighting")
SUMMARY: dict[str, Any] = {
    "frame_auc": 0.931,
    "frame_ap": 0.874,
    "map": {
        "strict": {"0.1": 48.2, "0.5": 19.3, "average": 35.2},
        "vadclip": {"0.1": 41.0, "0.5": 15.8, "average": 29.1},
    },
    "class_accuracy": 0.814,
    "videos": 43,
    "failed": 1,
    "explained": 42,
    "explanation_class_accuracy": 0.857,
    "seconds": {"vision": 141.3, "train": 95.5},
    "seconds_total": 353.9,
    "variants": {
        "none": {"frame_auc": 0.901, "map_strict_average": 28.4},
        "explanation": {"frame_auc": 0.931, "map_strict_average": 35.2},
    },
    "confusion": [[9, 0, 0, 1], [0, 4, 1, 0], [0, 1, 5, 0], [0, 0, 0, 0]],
}
HISTORY = [
    {"epoch": epoch, "loss": 2 / epoch, "val_auc": 0.9 - 0.3 / epoch, "note": "warm"}
    for epoch in (1, 2, 3)
]
SENTENCES = ["people walk past each other", "a person punches a person"]


def make_analysis(
    *events: tuple[float, float, str],
    name: str = "street.mp4",
    label: str | None = None,
    explained: str | None = None,
    score: float = 0.93,
    sentence: str | None = None,
    problems: tuple[str, ...] = (),
) -> Analysis:
    times = [i * STRIDE / FPS for i in range(int(SECONDS * FPS / STRIDE))]
    inside = [any(start <= t <= end for start, end, _ in events) for t in times]
    moments = [(i + 0.5) * SECONDS / CAPTIONS for i in range(CAPTIONS)]
    captions = [
        Caption(
            time=t,
            raw="a dog on a sofa" if i == 4 else sentence or SENTENCES[i % 2],
            text=sentence or SENTENCES[i % 2],
        )
        for i, t in enumerate(moments)
    ]
    found = [
        DetectedEvent(
            start=start,
            end=end,
            label=kind,
            score=score,
            confidence=score,
            captions=[i for i, t in enumerate(moments, 1) if start <= t <= end],
        )
        for start, end, kind in events
    ]
    explanation = explained and Explanation(
        anomalous=explained != "Normal",
        category=explained,
        summary=sentence or "Two people stand at a wall.",
        reason=sentence or "This is fighting because people hit each other.",
        evidence=[8, 9],
    )
    return Analysis(
        video=name,
        duration=SECONDS,
        num_frames=int(SECONDS * FPS),
        fps=FPS,
        classes=CLASSES,
        label=label or (events[0][2] if events else "Normal"),
        anomaly_score=score,
        threshold=0.5,
        times=times,
        scores=[score if hit else 0.08 for hit in inside],
        probabilities=[[0.1, 0.2, 0.6, 0.1] for _ in times],
        events=found,
        explanation=explanation or None,
        captions=captions,
        problems=list(problems),
        model="demo",
    )


def make_jpeg(grey: int = 120) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (213, 160), (grey, grey, grey)).save(buffer, "JPEG")
    return buffer.getvalue()


def make_videos() -> list[ReportVideo]:
    frames = {number: make_jpeg(20 * number) for number in (7, 8, 9)}
    return [
        ReportVideo(
            make_analysis(FIGHT, explained="Fighting"),
            frames,
            "Fighting",
            ((11.0, 22.0, "Fighting"),),
        ),
        ReportVideo(make_analysis(name="quiet.mp4", explained="Normal"), {}, "Normal"),
        ReportVideo(make_analysis(name="missed.mp4"), {}, "Arson", ((5.0, 9.0, "Arson"),)),
        ReportVideo(
            make_analysis((3.0, 6.0, "Arson"), name="alarm.mp4", problems=("frame 9 is broken",)),
            {},
            "Normal",
        ),
    ]


def make_run(summary: dict[str, Any] = SUMMARY) -> RunRecord:
    notes = ["No evidence of accuracy on real footage."]
    return RunRecord("A run", summary, make_videos(), HISTORY, CLASSES, notes)


class Page(HTMLParser):
    """What a page holds: tags in balance, identifiers, links, and its text outside of code."""

    VOID = frozenset({"meta", "img", "input", "br", "path", "link"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes.append((tag, found))
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.sources += [value for key, value in attrs if key in ("href", "src") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module", params=["analyses", "run", "one video", "no video"])
def html(request: pytest.FixtureRequest) -> str:
    return {
        "analyses": lambda: render_analyses(make_videos(), "Four videos"),
        "run": lambda: render_run(make_run()),
        "one video": lambda: render_analyses(make_videos()[:1], "One video"),
        "no video": lambda: render_run(RunRecord("Nothing", {}, [])),
    }[request.param]()


def test_a_page_is_well_formed_and_every_link_leads_somewhere(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = [source[1:] for source in page.sources if source.startswith("#")]
    assert targets
    assert set(targets) <= set(page.ids)


def test_a_page_loads_nothing_from_outside(html: str) -> None:
    assert all(s.startswith(("#", "data:image/jpeg;base64,")) for s in Page(html).sources)
    assert not re.search(r"https?:|@import|url\(", html)
    assert "default-src 'none'" in html


def test_rendering_is_deterministic() -> None:
    assert render_run(make_run()) == render_run(make_run())


def test_hostile_captions_names_and_notes_stay_text() -> None:
    attack = "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&"
    video = ReportVideo(
        make_analysis(FIGHT, name=attack, explained="Arson", sentence=attack, problems=(attack,)),
        {8: make_jpeg()},
        attack,
        ((1.0, 2.0, attack),),
    )
    html = render_run(
        RunRecord(attack, SUMMARY, [video, video], [{attack: attack}], CLASSES, [attack])
    )
    page = Page(html)
    assert page.tags.count("script") == 1
    assert page.tags.count("style") == 1
    assert not any("onerror" in found for _, found in page.attributes)
    assert page.text.count(attack) > 10


def test_the_headline_says_what_when_and_how_sure_it_is() -> None:
    assert (
        headline(make_analysis(FIGHT)).text == "Fighting from 0:12 to 0:21 — confidence 93\u202f%"
    )
    assert headline(make_analysis()).text == "Nothing abnormal found"


def test_several_events_give_the_strongest_the_headline_and_name_the_others() -> None:
    analysis = make_analysis(FIGHT, (25.0, 28.0, "RoadAccidents"))
    strong = analysis.events[1].model_copy(update={"score": 0.97, "confidence": 0.98})
    shown = card(
        ReportVideo(analysis.model_copy(update={"events": [analysis.events[0], strong]})), "v"
    )
    assert shown.headline.text == "Road accidents from 0:25 to 0:28 — confidence 98\u202f%"
    assert shown.also == ["Fighting from 0:12 to 0:21 (confidence 93\u202f%)"]


@pytest.mark.parametrize(
    ("found", "truth_label", "truth", "expected"),
    [
        ([FIGHT], "Fighting", [(11.0, 22.0, "Fighting")], "found"),
        ([FIGHT], "Fighting", [], "found"),
        ([FIGHT], "Arson", [(11.0, 22.0, "Arson")], "misnamed"),
        ([FIGHT], "Fighting", [(24.0, 30.0, "Fighting")], "missed"),
        ([], "Fighting", [(11.0, 22.0, "Fighting")], "missed"),
        ([FIGHT], "Normal", [], "false-alarm"),
        ([], "Normal", [], "right"),
        ([FIGHT], None, [], "flagged"),
        ([], None, [], "quiet"),
    ],
)
def test_an_outcome_compares_time_and_kind_with_the_truth(
    found: list[tuple[float, float, str]],
    truth_label: str | None,
    truth: list[tuple[float, float, str]],
    expected: str,
) -> None:
    video = ReportVideo(make_analysis(*found), {}, truth_label, tuple(truth))
    assert outcome(video).key == expected


def test_where_score_and_explanation_disagree_the_card_says_so() -> None:
    def doubt(analysis: Analysis) -> str:
        return card(ReportVideo(analysis), "v").disagreement

    assert doubt(make_analysis(FIGHT, explained="Fighting")) == ""
    assert "calls it arson, not fighting" in doubt(make_analysis(FIGHT, explained="Arson"))
    assert "sees nothing abnormal" in doubt(make_analysis(FIGHT, explained="Normal"))
    assert "no moment stays above" in doubt(make_analysis(explained="Arson"))
    assert "looks most like arson" in doubt(make_analysis(label="Arson"))


def test_the_truth_is_shown_apart_from_what_was_found() -> None:
    html = render_analyses(make_videos()[:1], "One")
    assert (
        "In truth: Fighting from 0:11 to 0:22. Found and true times overlap by 82\u202f%." in html
    )
    assert 'class="bar true' in html
    assert 'class="bar true' not in render_analyses([ReportVideo(make_analysis(FIGHT))], "One")


def test_corrected_captions_show_what_was_written_first() -> None:
    html = render_analyses(make_videos()[:1], "One")
    assert "<del>a dog on a sofa</del>" in html
    assert html.count("<del>") == 1
    assert "All 16 captions, 1 corrected" in html


def test_cited_frames_are_marked_and_the_explanation_links_to_them() -> None:
    shown = card(make_videos()[0], "v1")
    assert [(thumb.number, thumb.cited) for thumb in shown.thumbs] == [
        (7, False),
        (8, True),
        (9, True),
    ]
    assert shown.cites == [(8, "v1-frame-8"), (9, "v1-frame-9")]
    assert [thumb.left for thumb in shown.thumbs] == sorted(thumb.left for thumb in shown.thumbs)


def test_a_frame_without_a_caption_is_refused() -> None:
    with pytest.raises(ValueError, match=r"street\.mp4: frames \[17\] belong to no caption"):
        ReportVideo(make_analysis(), {17: make_jpeg()})


def test_every_timeline_is_described_in_words() -> None:
    described = timeline(make_analysis(FIGHT), [(11.0, 22.0, "Fighting")]).description
    assert described == (
        "Timeline of 0:32. The anomaly score lies between 8\u202f% and 93\u202f%, highest at 0:12; "
        "the alarm line is at 50\u202f%. Found: Fighting from 0:12 to 0:21. "
        "True: Fighting from 0:11 to 0:22."
    )


def test_a_long_video_keeps_its_peak_and_a_bounded_curve() -> None:
    scores = [0.1] * 50_000
    scores[31_234] = 0.875
    analysis = make_analysis().model_copy(
        update={
            "duration": 32_000.0,
            "times": [i * 0.64 for i in range(50_000)],
            "scores": scores,
            "probabilities": [[0.0, 0.1, 0.2, 0.7]] * 50_000,
        }
    )
    points = json.loads(timeline(analysis).points)
    assert len(points) <= 600
    assert [round(31_234 * 0.64, 2), 0.875, 3] in points


@pytest.mark.parametrize("count", [0, 1])
def test_a_video_of_hardly_any_snippet_still_has_a_page(count: int) -> None:
    analysis = make_analysis().model_copy(
        update={
            "duration": 0.0,
            "times": [0.0][:count],
            "scores": [0.4][:count],
            "probabilities": [[1.0, 0.0, 0.0, 0.0]][:count],
            "captions": [],
        }
    )
    assert "Nothing abnormal found" in render_analyses([ReportVideo(analysis)], "Short")


@given(st.sets(st.sampled_from(sorted(SUMMARY))))
@settings(max_examples=15, deadline=None)
def test_any_key_of_the_summary_may_be_missing(keys: set[str]) -> None:
    html = render_run(make_run({key: SUMMARY[key] for key in keys}))
    sections = {"variants": "variants", "map": "map", "confusion": "confusion", "seconds": "time"}
    for key, section in sections.items():
        assert (f'id="{section}-heading"' in html) == (key in keys)


def test_a_run_shows_its_figures_with_their_meaning_and_its_notes_first() -> None:
    text = " ".join(Page(render_run(make_run())).text.split())
    for words in ("93.1 %", "Guessing gives 50.", "35.2", "+6.8", "5 min 54 s"):
        assert words in text
    assert text.index("No evidence of accuracy") < text.index("Frame AUC")
    assert "alarm.mp4: frame 9 is broken" in text


def test_figures_that_are_not_finite_are_left_out() -> None:
    html = render_run(make_run({"frame_auc": float("nan"), "frame_ap": None, "videos": 3}))
    assert "Frame AUC" not in html
    assert "nan" not in Page(html).text


def test_training_curves_are_drawn_for_every_number_of_the_history() -> None:
    curves = draw_training([*HISTORY, {"epoch": 4, "loss": float("nan"), "val_auc": 0.7}])
    assert [curve.key for curve in curves] == ["loss", "val_auc"]
    assert curves[0].last_epoch == "3"
    assert curves[1].description.endswith("best 0.8 at epoch 3.")
    assert draw_training(HISTORY[:1]) == []


def test_confusion_counts_become_shares_of_the_true_class() -> None:
    rows = confusion_rows(SUMMARY["confusion"], CLASSES)
    assert rows[0].cells[3] == (1, 0.1)
    assert [row.right for row in rows] == [0.9, 0.8, 5 / 6, None]
    with pytest.raises(ValueError, match="4 classes"):
        confusion_rows([[1, 2], [3, 4]], CLASSES)


@given(st.floats(0, 1))
def test_percent_claims_certainty_only_where_there_is_certainty(share: float) -> None:
    assert (percent(share) == "100\u202f%") == (share == 1)
    assert (percent(share) == "0\u202f%") == (share == 0)


@given(st.floats(0, 400_000))
def test_clock_is_within_half_a_second(seconds: float) -> None:
    hours, minutes, second = ([0, 0, 0] + [int(part) for part in clock(seconds).split(":")])[-3:]
    assert abs(3600 * hours + 60 * minutes + second - seconds) <= 0.5 + 1e-6


def test_times_and_names_are_written_plainly() -> None:
    assert when(12.1, 12.4) == "at 0:12"
    assert when(3599.6, 3725) == "from 1:00:00 to 1:02:05"
    assert [duration(s) for s in (9.26, 59.99, 200, 3900)] == [
        "9.3\u00a0s",
        "1\u00a0min 00\u00a0s",
        "3\u00a0min 20\u00a0s",
        "1\u00a0h 05\u00a0min",
    ]
    assert [kind_name(k) for k in ("RoadAccidents", "car_accident", "Riot")] == [
        "Road accidents",
        "Car accident",
        "Riot",
    ]


STRETCHES = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0.1, 20)).map(lambda s: (s[0], s[0] + s[1])),
    min_size=1,
    max_size=4,
)


@given(STRETCHES, STRETCHES)
def test_overlap_is_a_symmetric_share_and_whole_for_equal_times(
    one: list[tuple[float, float]], other: list[tuple[float, float]]
) -> None:
    assert overlap(one, one) == pytest.approx(1)
    assert overlap(one, other) == pytest.approx(overlap(other, one))
    assert 0 <= overlap(one, other) <= 1 + 1e-9


def test_overlap_is_what_both_share_of_what_either_covers() -> None:
    assert overlap([(12, 21)], [(11, 22)]) == pytest.approx(9 / 11)
    assert overlap([(0, 1)], [(2, 3)]) == 0
    assert overlap([], [(2, 3)]) == 0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 32 seconds in which every second is 7 levels brighter than the one before."""
    path = tmp_path_factory.mktemp("film") / "street.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=int(FPS))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(int(SECONDS * FPS)):
            level = 7 * int(number / FPS)
            picture = np.full((240, 320, 3), level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_evidence_frames_show_the_moments_of_their_captions(film: Path) -> None:
    analysis = make_analysis(FIGHT, explained="Fighting")
    frames = evidence_frames(film, analysis, limit=5)
    assert list(frames) == sorted(frames)
    assert len(frames) == 5
    for number, jpeg in frames.items():
        picture = Image.open(io.BytesIO(jpeg))
        assert (picture.format, picture.size) == ("JPEG", (213, 160))
        seen = float(np.asarray(picture).mean())
        assert seen == pytest.approx(7 * int(analysis.captions[number - 1].time), abs=4)


def test_evidence_comes_before_events_and_events_before_the_rest(film: Path) -> None:
    analysis = make_analysis(FIGHT, explained="Fighting")
    inside = set(analysis.events[0].captions)
    assert set(evidence_frames(film, analysis, limit=2)) == {8, 9}
    assert set(evidence_frames(film, analysis, limit=4)) < inside
    assert set(evidence_frames(film, analysis, limit=8)) > inside
    assert len(evidence_frames(film, make_analysis(), limit=3)) == 3
    assert evidence_frames(film, analysis.model_copy(update={"captions": []})) == {}


def test_small_frames_keep_their_size(film: Path) -> None:
    frames = evidence_frames(film, make_analysis(), limit=1, short_side=1000)
    assert [Image.open(io.BytesIO(jpeg)).size for jpeg in frames.values()] == [(320, 240)]


Browser = Callable[..., str]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """Open a page in headless Chromium and return what it prints."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium to see the page as a reader does")

    def run(html: str, *flags: str) -> str:
        page = tmp_path / "report.html"
        page.write_text(html, encoding="utf-8")
        quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking"
        quiet += " --disable-component-update --disable-sync"
        command = [program, "--headless", "--no-sandbox", *quiet.split()]
        command += [f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
        return done.stdout

    return run


def test_a_browser_adds_a_slider_to_each_timeline_and_runs_no_foreign_code(
    browser: Browser,
) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\">"
    hostile = ReportVideo(make_analysis(FIGHT, name="bad.mp4", sentence=attack), {}, "Fighting")
    dom = browser(render_analyses([*make_videos(), hostile], "Five videos"), "--dump-dom")
    assert "<title>Five videos</title>" in dom
    assert '<html lang="en" class="js">' in dom
    sliders = [found for tag, found in Page(dom).attributes if tag == "input"]
    assert len(sliders) == 5
    assert all(found["aria-valuetext"] == "0:00, score 8\u202f%" for found in sliders)


def test_the_filters_show_only_the_chosen_outcomes_and_kinds(browser: Browser) -> None:
    html = re.sub(r"<meta http-equiv=[^>]*>", "", render_analyses(make_videos(), "Four videos"))
    click = "for (const v of {}) document.querySelector(`[data-value='${{v}}']`).click();"

    def shown(*values: str) -> tuple[list[str], str]:
        script = f"<script>{click.format(list(values))}</script></body>"
        page = Page(browser(html.replace("</body>", script), "--dump-dom"))
        cards = [
            str(found["id"])
            for tag, found in page.attributes
            if tag == "article" and "hidden" not in found
        ]
        return cards, " ".join(page.text.split())

    cards, text = shown("missed", "false-alarm")
    assert cards == ["v3", "v4"]
    assert "Showing 2 of 4 videos." in text
    assert shown("false-alarm", "Arson")[0] == ["v4"]
    cards, text = shown("missed", "missed")
    assert cards == ["v1", "v2", "v3", "v4"]
    assert "4 videos: 1 found" in text


@pytest.mark.parametrize("size", ["1280,1600", "500,1600"])
def test_a_browser_paints_the_page(browser: Browser, tmp_path: Path, size: str) -> None:
    shot = tmp_path / "shot.png"
    browser(render_run(make_run()), f"--screenshot={shot}", f"--window-size={size}")
    picture = np.asarray(Image.open(shot).convert("L"))
    assert picture.shape[1] == int(size.split(",")[0])
    assert picture.std() > 10
