"""Figures. matplotlib is imported when one is drawn, so that training starts without it."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from tinkering.atomic import replace_file


def contact_sheet(images: Tensor, labels: Tensor, classes: Sequence[str], path: Path) -> None:
    """Draws a column for each class, its name above it and some of its images below.

    Args:
        images: uint8 (N, H, W).
        labels: int64 (N,), the class of each.
        classes: the name of each label.
        path: of the PNG to write; 12 images a class, fewer where there are fewer.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = images.shape[1:]
    sheet = images.new_zeros(12 * height, len(classes) * width)
    for label in range(len(classes)):
        for row, image in enumerate(images[labels == label][:12]):
            place = slice(row * height, (row + 1) * height)
            sheet[place, label * width : (label + 1) * width] = image
    figure = Figure(figsize=(sheet.shape[1] / 100, sheet.shape[0] / 100 + 0.4))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, sheet.shape[0] / (sheet.shape[0] + 40)))
    axes.imshow(sheet.numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.xaxis.tick_top()
    axes.set_xticks([width * (label + 0.5) for label in range(len(classes))], classes)
    axes.set_yticks([])
    axes.tick_params(length=0)
    with replace_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
