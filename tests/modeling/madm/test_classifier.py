"""The coarse-grained classifier: equation 5, snippet by snippet.

B videos · T snippets · D feature width
"""

from __future__ import annotations

import torch

from exvad.modeling.feed_forward import FeedForward
from exvad.modeling.madm.classifier import AnomalyClassifier


def test_classifier_is_a_linear_layer_over_the_ffn_with_residual() -> None:
    torch.manual_seed(0)
    classifier = AnomalyClassifier(FeedForward(6, 12), 6)
    fused_BTD = torch.randn(2, 5, 6)
    logits_BT = classifier(fused_BTD)
    assert logits_BT.shape == (2, 5)
    for row in range(2):
        for snippet in range(5):
            f_D = fused_BTD[row, snippet]
            expected = classifier.fc.weight[0] @ (classifier.ffn(f_D) + f_D) + classifier.fc.bias[0]
            torch.testing.assert_close(logits_BT[row, snippet], expected)
