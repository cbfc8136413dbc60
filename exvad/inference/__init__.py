"""From the trained network to an analysis (paper, section 3.6).

network → scores s and class probabilities → calibrated events → the analysis of a video.

- `network.py`: the network of a configuration.
- `prediction.py`: the network on videos of any length.
- `calibration.py`: branch, threshold and confidence, chosen on validation.
- `domain.py`: whether features are like those of training; outside, confidence falls.
- `events.py`: scores over a threshold → events with times, class and confidence.
- `answers.py`: all of it → `exvad.results.Analysis`.
"""
