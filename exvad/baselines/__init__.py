"""The systems that the paper compares with, one file each, on the same features.

Each is a `Baseline` (`common/system.py`): a network with its batch rule, its loss and its
inference. It is trained by `fit_baseline`, and scores videos by `predict_videos`. The room imports
torch and `exvad.modeling` only. `catalogue.py` lists the systems by name:

- `real_ad.py`: RealAD (Sultani et al., CVPR 2018).
- `rtfm.py`: RTFM (Tian et al., ICCV 2021), and its trunk and loss, which two others share:
- `clip_tsa.py`: CLIP-TSA (Joo et al., ICIP 2023).
- `tevad.py`: TEVAD (Chen et al., CVPRW 2023).
- `umil.py`: UMIL-F (after Lv et al., CVPR 2023).
- `vador.py`: VADor-F (after Lv and Sun, 2024).
- `ur_dmu.py`: UR-DMU (Zhou et al., AAAI 2023).
- `avvd.py`: AVVD-style (after Wu et al., TMM 2022).
- `pel4vad.py`: PEL4VAD (Pu et al., TIP 2024).
- `vadclip.py`: VadCLIP (Wu et al., AAAI 2024); `clip_text.py` is its frozen text encoder.
- `st_prompt.py`: STPrompt-crops (after Wu et al., ACM MM 2024).
- `ex_vad.py`: Ex-VAD, the network of `exvad.modeling`, by the same protocol.
"""

from __future__ import annotations

from exvad.baselines.catalogue import SYSTEMS, Inputs, build_baseline
from exvad.baselines.common.class_maps import with_class_map
from exvad.baselines.common.fitting import fit_baseline
from exvad.baselines.common.prediction import BaselinePrediction, predict_videos
from exvad.baselines.common.system import Baseline

__all__ = [
    "SYSTEMS",
    "Baseline",
    "BaselinePrediction",
    "Inputs",
    "build_baseline",
    "fit_baseline",
    "predict_videos",
    "with_class_map",
]
