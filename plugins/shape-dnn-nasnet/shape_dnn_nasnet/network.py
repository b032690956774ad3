"""The modules of NASNet-A. Apart from its arithmetic, since this imports torch and timm."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models.nasnet import FirstCell, NormalCell, ReductionCell0
from torch import Tensor, nn

from shape_dnn_nasnet.cell import Cell


class NASNetwork(nn.Module):
    """Stem, cells that each see the two before them, and a linear classifier.

    Args:
        stem: channels of the stem.
        cells: in order.
        image_channels: channels of an image.
        classes: number of outputs.
    """

    def __init__(self, stem: int, cells: Sequence[Cell], image_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(image_channels, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList(map(_make, cells))
        self.classifier = nn.Linear(cells[-1].channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, image_channels, h, w) to logits (batch, classes)."""
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(last, before)
        logits: Tensor = self.classifier(last.relu().mean((2, 3)))
        return logits


def _make(cell: Cell) -> nn.Module:
    if cell.is_reduction:
        return ReductionCell0(cell.before, cell.filters, cell.last, cell.filters)
    if cell.shrinks_before:
        return FirstCell(cell.before, cell.filters // 2, cell.last, cell.filters)
    return NormalCell(cell.before, cell.filters, cell.last, cell.filters)
