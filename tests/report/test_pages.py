"""Pages are well-formed, self-contained and safe, and show everything a run knows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.report.pages import RunRecord, render_analyses, render_run
from exvad.report.report_video import ReportVideo
from tests.helpers.report_cases import (
    CLASSES,
    FIGHT,
    SUMMARY,
    Page,
    make_analysis,
    make_jpeg,
    make_run,
    make_videos,
)


@pytest.fixture(scope="module", params=["analyses", "run", "one video", "no video"])
def html(request: pytest.FixtureRequest) -> str:
    return {
        "analyses": lambda: render_analyses(make_videos(), "Four videos"),
        "run": lambda: render_run(make_run()),
        "one video": lambda: render_analyses(make_videos()[:1], "One video"),
        "no video": lambda: render_run(RunRecord("Nothing", {}, [])),
    }[request.param]()


def test_page_is_well_formed_and_its_links_have_targets(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = [source[1:] for source in page.sources if source.startswith("#")]
    assert targets
    assert set(targets) <= set(page.ids)


def test_page_loads_nothing_from_the_network(html: str) -> None:
    assert all(s.startswith(("#", "data:image/jpeg;base64,")) for s in Page(html).sources)
    assert not re.search(r"https?:|@import|url\(", html)
    assert "default-src 'none'" in html


def test_render_analyses_lists_what_could_not_be_analyzed() -> None:
    html = render_analyses(make_videos()[:1], "Two files", {"a<b>.mp4": "no video stream"})
    assert "<td>a&lt;b&gt;.mp4</td><td>no video stream</td>" in html
    assert "Not analyzed" not in render_analyses(make_videos()[:1], "One file")


def test_render_run_is_deterministic() -> None:
    assert render_run(make_run()) == render_run(make_run())


def test_page_escapes_hostile_captions_names_and_notes() -> None:
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
    assert not any("onerror" in attributes for _, attributes in page.attributes)
    assert page.text.count(attack) > 10


def test_page_shows_the_ground_truth_apart_from_found_events() -> None:
    html = render_analyses(make_videos()[:1], "One")
    assert (
        "Ground truth: Fighting from 0:11 to 0:22. Found and true times overlap by 82\u202f%."
        in html
    )
    assert 'class="bar true' in html
    assert 'class="bar true' not in render_analyses([ReportVideo(make_analysis(FIGHT))], "One")


def test_page_shows_corrected_captions_with_the_original() -> None:
    html = render_analyses(make_videos()[:1], "One")
    assert "<del>a dog on a sofa</del>" in html
    assert html.count("<del>") == 1
    assert "All 16 captions, 1 corrected" in html


@pytest.mark.parametrize("count", [0, 1])
def test_page_of_a_video_with_hardly_any_snippet(count: int) -> None:
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
def test_render_run_drops_sections_whose_metrics_are_missing(keys: set[str]) -> None:
    html = render_run(make_run({key: SUMMARY[key] for key in keys}))
    sections = {"variants": "variants", "map": "map", "confusion": "confusion", "seconds": "time"}
    for key, section in sections.items():
        assert (f'id="{section}-heading"' in html) == (key in keys)


def test_render_run_shows_notes_before_metrics_with_their_meaning() -> None:
    text = " ".join(Page(render_run(make_run())).text.split())
    for words in ("93.1 %", "A random baseline gives 50 %.", "35.2", "+6.8", "5 min 54 s"):
        assert words in text
    assert text.index("No evidence of accuracy") < text.index("Frame AUC")
    assert "alarm.mp4: frame 9 is broken" in text


def test_render_run_drops_metrics_that_are_not_finite() -> None:
    html = render_run(make_run({"frame_auc": float("nan"), "frame_ap": None, "videos": 3}))
    assert "Frame AUC" not in html
    assert "nan" not in Page(html).text
