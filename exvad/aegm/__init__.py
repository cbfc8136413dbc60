"""AEGM, the anomaly explanation generation module of Figure 2 (paper, section 3.2).

frames → captions → cleaned captions → explanation E → text feature F_T, with frozen models.

- `vision_stage.py`: which frames are captioned, their captions T_i = Φ_C(P_C, I_i) (equation 1),
  and the image features F_I.
- `captioning.py`: one caption per clip, from as few calls as possible.
- `caption_placement.py`: captions at even distances, or half of them where the frames are unusual.
- `cleaning.py`: cleaned captions T̂ (equation 2).
- `prompts.py`: the prompt template P_S.
- `explanation.py`: the explanation E = Φ_LLM(P_S, T̂) (equation 3).
- `explanation_format.py`: the record that E is, as JSON schema and parser.
- `text_feature.py`: the text feature F_T = E_T(E).
- `language_stage.py`: the steps from captions to F_T in one place, for the feature store.
- `captioned_videos.py`: the captions that the vision stage stored, read back for the language
  stage.
"""
