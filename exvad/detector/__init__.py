"""The detector: analyses of video files. The paper's detection module MADM is `exvad/modeling/`."""
