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
