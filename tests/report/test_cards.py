"""A card says what happened, when, and why."""

from __future__ import annotations

from typing import Literal

from exvad.report.cards import build_card, card_title
from exvad.report.pages import render_analyses
from exvad.report.report_video import ReportVideo
from exvad.results import Analysis, Caption, DomainCheck
from tests.helpers.report_cases import FIGHT, Page, make_analysis, make_videos


def test_card_title_names_class_time_and_confidence() -> None:
    assert (
        card_title(make_analysis(FIGHT)).text == "Fighting from 0:12 to 0:21 — confidence 93\u202f%"
    )
    assert card_title(make_analysis()).text == "Nothing abnormal found"


def test_card_title_names_the_strongest_event_and_the_card_the_others() -> None:
    analysis = make_analysis(FIGHT, (25.0, 28.0, "RoadAccidents"))
    strong = analysis.events[1].model_copy(update={"score": 0.97, "confidence": 0.98})
    card = build_card(
        ReportVideo(analysis.model_copy(update={"events": [analysis.events[0], strong]})), "v"
    )
    assert card.title.text == "Road accidents from 0:25 to 0:28 — confidence 98\u202f%"
    assert card.other_events == ["Fighting from 0:12 to 0:21 (confidence 93\u202f%)"]


def test_card_describes_how_scores_and_explanation_disagree() -> None:
    def disagreement(analysis: Analysis) -> str:
        return build_card(ReportVideo(analysis), "v").disagreement

    assert disagreement(make_analysis(FIGHT, explained="Fighting")) == ""
    assert "names arson, not fighting" in disagreement(make_analysis(FIGHT, explained="Arson"))
    assert "finds nothing abnormal" in disagreement(make_analysis(FIGHT, explained="Normal"))
    assert "names arson, but no score exceeds" in disagreement(make_analysis(explained="Arson"))
    assert "most likely class of the whole video is arson" in disagreement(
        make_analysis(label="Arson")
    )


def test_card_marks_cited_frames_and_links_to_them() -> None:
    card = build_card(make_videos()[0], "v1")
    assert [(thumbnail.number, thumbnail.cited) for thumbnail in card.thumbnails] == [
        (7, False),
        (8, True),
        (9, True),
    ]
    assert card.evidence == [(8, "v1-frame-8"), (9, "v1-frame-9")]
    assert [thumbnail.left for thumbnail in card.thumbnails] == sorted(
        thumbnail.left for thumbnail in card.thumbnails
    )


def test_card_says_first_that_a_video_is_outside_the_domain() -> None:
    def video(state: Literal["inside", "outside", "unknown"]) -> ReportVideo:
        check = DomainCheck(state=state, text=f"The video is {state}.")
        return ReportVideo(make_analysis(FIGHT).model_copy(update={"domain": check}))

    inside, outside, unknown = (build_card(video(s), "v") for s in ("inside", "outside", "unknown"))
    assert outside.domain == "The video is outside."
    assert inside.domain == unknown.domain == ""
    assert unknown.facts.endswith(" The video is unknown.")
    page = render_analyses([video("outside")], "exvad", {})
    assert page.index("The video is outside.") < page.index("confidence 93")


def test_card_and_page_of_an_answer_without_training_name_scenes_and_no_models() -> None:
    scenes = [
        Caption(time=time, raw="a man falls", text="resembles: a man falls") for time in (1.0, 2.0)
    ]
    analysis = make_analysis(FIGHT, explained="Fighting")
    explanation = analysis.explanation
    assert explanation is not None
    cited = explanation.model_copy(update={"evidence": [2]})
    matched = analysis.model_copy(update={"captions": scenes, "explanation": cited, "events": []})
    card = build_card(ReportVideo(matched), "v")
    assert (card.caption_noun, card.corrected) == ("scene", 0)
    page = " ".join(Page(render_analyses([ReportVideo(matched)], "t")).text.split())
    assert "All 2 scenes" in page
    assert " corrected" not in page
    assert "Evidence" in page
    assert "scene 2" in page
    assert "captioning model" not in page
    assert "memory of described scenes" in page
    trained = " ".join(Page(render_analyses([ReportVideo(analysis)], "t")).text.split())
    assert "captioning model" in trained
    assert "memory" not in trained
    assert "All 16 captions, 1 corrected" in trained
