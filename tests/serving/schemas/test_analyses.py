"""Requests that submit a video."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from exvad.serving.schemas.analyses import AnalysisOptions, AnalysisQuery, AnalysisRequest


def test_analysis_query_returns_its_options() -> None:
    query = AnalysisQuery(
        categories='{"theft": ["a bag"]}', normal=["people jog"], threshold=0.7, explain=False
    )
    assert query.options() == AnalysisOptions(
        categories={"theft": ["a bag"]}, normal=["people jog"], threshold=0.7, explain=False
    )


def test_look_for_is_another_name_of_categories() -> None:
    theft = {"theft": ["a bag"]}
    assert AnalysisQuery(look_for='{"theft": ["a bag"]}').options().categories == theft
    assert AnalysisOptions.model_validate({"look_for": theft}).categories == theft
    request = AnalysisRequest.model_validate({"path": "a.mp4", "look_for": theft})
    assert request.categories == theft
    assert "categories" in request.model_fields_set
    assert "look_for" not in request.model_dump()
    with pytest.raises(ValueError, match="give one of them"):
        AnalysisQuery(look_for="{}", categories="{}").options()
    with pytest.raises(ValidationError, match="look_for"):
        AnalysisOptions.model_validate({"look_for": theft, "categories": theft})


def test_an_upload_takes_every_option_that_json_takes() -> None:
    assert AnalysisOptions.model_fields.keys() <= AnalysisQuery.model_fields.keys()


@pytest.mark.parametrize("categories", [{"theft\ud800": []}, {"theft": ["a bag\udc00"]}])
def test_analysis_options_refuse_a_lone_surrogate(categories: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match="unable to parse raw data as a unicode string"):
        AnalysisOptions(categories=categories)


@pytest.mark.parametrize("source", [{}, {"path": "a.mp4", "url": "http://b/c.mp4"}])
def test_analysis_request_requires_exactly_one_source(source: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="exactly one of path and url"):
        AnalysisRequest.model_validate(source)
