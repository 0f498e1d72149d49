"""Taps: named places where a tensor can be seen."""

from torch import nn


class Tap(nn.Identity):
    """An identity module at a tensor worth showing; a forward hook on it captures or edits that tensor.

    A tap has no parameters, so checkpoints load with `strict=True`, and costs nothing while nobody listens.

    Args:
        axes: names of the tensor's dimensions after the batch dimension, e.g. "query head point xy".
        unit: what the numbers mean, e.g. "image, 0..1" or "logit".
        doc: one plain sentence about the tensor.
    """

    def __init__(self, axes: str, unit: str = "", doc: str = ""):
        super().__init__()
        self.axes = tuple(axes.split())
        self.unit = unit
        self.doc = doc

    def extra_repr(self) -> str:
        return " ".join(self.axes) + (f" [{self.unit}]" if self.unit else "")
