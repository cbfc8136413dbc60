"""Text features that say where: what each snippet of a video reads, for `model.text: grounded`.

The paper gives one text feature to a whole video. But an explanation cites the captions that it
rests on, so a snippet can have the text that speaks about it:

    r_j = exp((⟨F_T, E_T(T̂_j)⟩ − max_i ⟨F_T, E_T(T̂_i)⟩) / η)    over the cited captions i and j
    e_c = max_j r_j · exp((⟨E_T(T̂_c), E_T(T̂_j)⟩ − 1) / κ)
    g_c = e_c · F_T + (1 − e_c) · E_T(T̂_c)
    a_tc = ⟨v_t, v_c⟩ / ρ − |t − p_c| / (σ · gap)
    w_tc = exp(a_tc) / Σ_c' exp(a_tc')
    text_t = Σ_c w_tc · g_c
    vote_t = Σ_c w_tc · e_c    0 if nothing abnormal is found

e_c is 1 where the explanation stands: at the captions that it cites, and at those that say the
same. A language model may cite too much, such as a caption before the event, and then all captions
that say the same as that one would count: so a cited caption counts by r_j, as much as it says what
the explanation says. An explanation that finds nothing abnormal speaks of the whole video, so e_c
is 1 everywhere.
p_c is the place of the captioned frame, v_c its image feature, and gap the mean distance of the
captions: a snippet between two captions reads mostly the nearer one, unless it looks like the
other. w_t sums to 1.

vote_t is what the captions say about snippet t together: whether it is part of the event that the
explanation speaks of. It is the last column of the text features, so it is averaged, padded and
dropped with them; the network takes it off (`exvad.modeling.evidence`).

If a video is explained in segments (`llm.segment_captions`), F_T and the cited captions are those
of the segment of caption c.

T snippets · c captions · S segments · N any of them · D feature width · L shortened length
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.store.schema import feature_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from exvad.store.schema import TextKind

REACH = 0.5  # σ: how far a caption reaches in time, in mean distances of captions
SIMILARITY_TEMPERATURE = 0.1  # ρ
SAMENESS = 0.02  # κ: how alike captions are that say the same
RELEVANCE = 0.05  # η: how much less than the best one a cited caption may be like the explanation
VOTES = 1  # columns after the text feature
_TINY = 1e-12
RECORD_COLUMNS = ("record", "segment_ends", "segment_records")  # of grounded text


def text_columns(kind: TextKind) -> list[str]:
    """Return the columns of the language stage with the features that a text is made of."""
    columns = {"explanation": ["text"], "captions": ["caption_text", "text"]}
    return columns.get(kind, ["text", "caption_text", "segment_text"])


def text_width(kind: TextKind, width: int) -> int:
    """Return the columns of the rows of a kind of text.

    Args:
        kind: the kind of text.
        width: D, of the stored features.
    """
    return width + VOTES if kind == "grounded" else width


def text_rows(table: pa.Table, kind: TextKind) -> Iterator[NDArray[Any]]:
    """Yield the text features of each row of the language stage.

    Args:
        table: has `text_columns` and, for grounded text, `RECORD_COLUMNS`.
        kind: the kind of text; not "none".

    Yields:
        Float16: [1, D] of the explanation, [c, D] of the captions or, where there are none, that
        of the explanation, or `grounded_row`.
    """
    if kind == "explanation":
        yield from feature_rows(table, "text")
        return
    features = (feature_rows(table, name) for name in ("text", "caption_text"))
    if kind == "captions":
        for text_1D, caption_cD in zip(*features, strict=True):
            yield caption_cD if len(caption_cD) else text_1D
        return
    plain = table.select([*RECORD_COLUMNS, "segment_text"]).to_pylist()
    for text_1D, caption_cD, row in zip(*features, plain, strict=True):
        yield grounded_row({**row, "text": text_1D[0], "caption_text": caption_cD})


def grounded_row(row: Mapping[str, Any]) -> NDArray[Any]:
    """Return the text feature g_c at each captioned frame of a video; see `grounded_rows`.

    Args:
        row: of the language stage; without the columns of segments it has none.
    """
    caption_cD, ends = row["caption_text"], list(row.get("segment_ends", ()))
    if not ends:
        return grounded_rows(row["text"], caption_cD, row["record"])
    text_SD = np.asarray(row["segment_text"], np.float32).reshape(len(ends), -1)
    firsts = [0, *ends[:-1]]
    segments = zip(text_SD, firsts, ends, row["segment_records"], strict=True)
    return np.concatenate(
        [
            grounded_rows(text_D, caption_cD[first:end], record, first)
            for text_D, first, end, record in segments
        ]
    )


def grounded_rows(
    text_D: NDArray[Any], caption_cD: NDArray[Any], record: str, first: int = 0
) -> NDArray[Any]:
    """Return the text feature g_c at each captioned frame of a video or a segment.

    An explanation that finds something abnormal and cites nothing stands at the caption that is
    most like it.

    Args:
        text_D: F_T, feature of the explanation.
        caption_cD: E_T(T̂_c), features of the cleaned captions.
        record: the explanation's record in JSON; "{}" of an imported text.
        first: how many captions of the video come before these; the record numbers all of them.

    Returns:
        [c, D + 1] of the type of the captions, the last column e_c as votes; or [1, D + 1], the
        explanation alone and no vote, if there are none.
    """
    count = len(caption_cD)
    if not count:
        return _with_votes(np.asarray(text_D[None]), np.zeros((1, 1), np.float32))
    explanation = json.loads(record or "{}")
    if not explanation.get("anomalous", True):
        same_cD = np.repeat(text_D[None], count, axis=0).astype(caption_cD.dtype)
        return _with_votes(same_cD, np.zeros((count, 1), np.float32))
    unit_cD = _unit_rows(caption_cD)
    likeness_c = unit_cD @ _unit_rows(text_D[None])[0]
    places = [number - 1 - first for number in explanation.get("evidence", [])]
    cited = [place for place in places if 0 <= place < count]
    if not cited:
        cited = [int(likeness_c.argmax())]
    relevance_j = (likeness_c[cited] - likeness_c[cited].max()) / RELEVANCE
    sameness_cj = (unit_cD @ unit_cD[cited].T - 1).clip(max=0) / SAMENESS
    share_c1 = np.exp(sameness_cj + relevance_j).max(1, keepdims=True)
    rows_cD: NDArray[Any] = share_c1 * text_D + (1 - share_c1) * caption_cD
    return _with_votes(rows_cD.astype(caption_cD.dtype), share_c1)


def spread_text(
    visual_TD: NDArray[Any],
    places_T: NDArray[Any],
    key_cD: NDArray[Any],
    places_c: NDArray[Any],
    text_cD: NDArray[Any],
    gap: float,
) -> NDArray[np.float32]:
    """Return the text feature of each snippet, text_t = Σ_c w_tc · g_c.

    Args:
        visual_TD: image features of the snippets.
        places_T: their places in time, in any unit.
        key_cD: image features of the captioned frames, c at least 1.
        places_c: their places in the same unit.
        text_cD: g_c.
        gap: mean distance of the captions in the same unit, above 0.

    Returns:
        float32 [T, D].
    """
    assert len(text_cD)
    distance_Tc = np.abs(places_T[:, None] - places_c[None, :]) / (REACH * gap)
    similarity_Tc = _unit_rows(visual_TD) @ _unit_rows(key_cD).T / SIMILARITY_TEMPERATURE
    weight_Tc = (similarity_Tc - distance_Tc).astype(np.float32)
    weight_Tc = np.exp(weight_Tc - weight_Tc.max(1, keepdims=True))
    weight_Tc /= weight_Tc.sum(1, keepdims=True)
    text_TD: NDArray[np.float32] = weight_Tc @ text_cD.astype(np.float32)
    return text_TD


def ground_text(
    visual_TD: NDArray[Any], text_cD: NDArray[Any], snippets_c: Sequence[int]
) -> NDArray[np.float32]:
    """Return the text feature of each snippet of a file.

    Args:
        visual_TD: image features of the snippets.
        text_cD: g_c; the explanation alone [1, D] without captions.
        snippets_c: the captioned snippets, ascending; empty without captions.

    Returns:
        float32 [T, D].
    """
    length = len(visual_TD)
    if not len(snippets_c):
        return np.repeat(text_cD[:1].astype(np.float32), length, axis=0)
    places_c = np.asarray(snippets_c)
    gap = max(1.0, length / len(places_c))
    return spread_text(visual_TD, np.arange(length), visual_TD[places_c], places_c, text_cD, gap)


def shortened_places(snippets: Sequence[int], length: int, limit: int) -> list[int]:
    """Return in which row of a shortened sequence each snippet lies; see `examples.shorten`.

    Args:
        snippets: indices below `length`.
        length: T.
        limit: L.
    """
    if length <= limit:
        return list(snippets)
    edges = np.linspace(0, length, limit + 1).astype(int)
    rows: list[int] = (np.searchsorted(edges, np.asarray(snippets, int), side="right") - 1).tolist()
    return rows


def _with_votes(rows_ND: NDArray[Any], votes_N1: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([rows_ND, votes_N1.astype(rows_ND.dtype)], axis=1)


def _unit_rows(rows_ND: NDArray[Any]) -> NDArray[np.float32]:
    rows_ND = rows_ND.astype(np.float32)
    unit_ND: NDArray[np.float32] = rows_ND / np.maximum(
        np.linalg.norm(rows_ND, axis=1, keepdims=True), _TINY
    )
    return unit_ND
