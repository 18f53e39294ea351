"""Figures of metrics: the curves of one run, and of several runs side by side.

matplotlib takes a second to import, so it is imported when a curve is drawn.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinkering.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[dict]  # of metrics.csv: a cell is a number, its text, or "" where it is empty

DPI = 200
SIZE = (10, 4.2)  # inches
LABELS = {"loss": "loss (nats)", "accuracy": "accuracy (%)"}
BLUE, VERMILLION = "#0072B2", "#D55E00"  # of the colour-blind safe palette by Okabe and Ito
COLOURS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = "osD^vP*X<>pd"
RAW: dict[str, Any] = {"color": BLUE, "alpha": 0.35, "linewidth": 0.7}
TRAINING: dict[str, Any] = {"color": BLUE, "linewidth": 1.8}
VALIDATION: dict[str, Any] = {"color": VERMILLION, "marker": "o", "linestyle": "--"}
MAX_POINTS = 1000  # of a line; more cannot be told apart in the pixels of a panel


def draw_batch_metrics(rows: Rows, path: Path) -> "Figure":
    """Draw loss and accuracy over steps: training rows, their moving mean, and validations.

    The mean is over a twentieth of the rows; there is none for fewer than 40 rows. Values that
    are not finite are left out. Raises WriteError if the PNG cannot be written.
    """
    figure = _figure(*SIZE, "training step", *LABELS.values())
    for metric, axes in zip(LABELS, figure.axes, strict=True):
        steps, values = _series(rows, "step", f"train_{metric}")
        if half := len(steps) // 40:
            axes.plot(*_downsample(steps, values), **RAW, label="training")
            steps, values = _moving_mean(steps, values, half)
            label = f"training, moving mean of {2 * half + 1:,} rows"
            _plot(axes, steps, values, label=label, **TRAINING)
        else:
            _plot(axes, steps, values, label="training", marker="s", **TRAINING)
        _plot(axes, *_series(rows, "step", f"val_{metric}"), label="validation", **VALIDATION)
    return _finish(figure, rows, "step", path)


def draw_epoch_metrics(rows: Rows, path: Path) -> "Figure":
    """Draw loss and accuracy over epochs, with a point for each validation.

    The training values are means since the validation before. Values that are not finite are left
    out. Raises WriteError if the PNG cannot be written.
    """
    figure = _figure(*SIZE, "epoch", *LABELS.values())
    rows = validations(rows)
    for metric, axes in zip(LABELS, figure.axes, strict=True):
        training = _series(rows, "epoch", f"train_{metric}")
        label = "training, mean since the validation before"
        _plot(axes, *training, label=label, marker="s", **TRAINING)
        _plot(axes, *_series(rows, "epoch", f"val_{metric}"), label="validation", **VALIDATION)
    return _finish(figure, rows, "epoch", path)


def validations(rows: Rows) -> list[dict]:
    """The validation rows, each with the mean of the training rows since the one before."""
    validated, training = [], []
    for row in rows:
        if row["train_loss"] != "":
            training.append(row)
        if row["val_loss"] != "":
            columns = ("train_loss", "train_accuracy") if training else ()
            means = {name: np.mean([float(row[name]) for row in training]) for name in columns}
            validated.append(row | means)
            training = []
    return validated


def draw_comparison(curves: dict[str, list[tuple[int, float]]], path: Path) -> "Figure":
    """Draw the validation accuracy of several runs over steps.

    The accuracy axis begins at the lowest first quartile of the runs, because their steep
    beginnings would press their ends together. Raises WriteError if the PNG cannot be written.

    Args:
        curves: (step, accuracy in 0..1) of each validation, by the name of the run.
        path: of the PNG to write.
    """
    labels = [name if len(name) < 80 else f"…{name[-80:]}" for name in curves]
    columns = max(1, min(4, 100 // max((len(label) + 8 for label in labels), default=100)))
    height = 4.6 + 0.22 * math.ceil(len(curves) / columns)
    figure = _figure(8, height, "training step", "validation accuracy (%)")
    axes = figure.axes[0]
    for number, (label, points) in enumerate(zip(labels, curves.values(), strict=True)):
        steps, accuracies = np.array(points, float).reshape(-1, 2).T
        look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        look["linestyle"] = "-" if number < len(COLOURS) else "--"
        _plot(axes, steps, 100 * accuracies, label=label, **look)
    if drawn := [np.asarray(line.get_ydata()) for line in axes.lines]:
        bottom = min(np.quantile(percent, 0.25, method="lower") for percent in drawn)
        top = max(percent.max() for percent in drawn)
        margin = 0.06 * (top - bottom) + 0.1
        axes.set_ylim(bottom - margin, top + margin)
    return _save(figure, "outside lower center", columns, path)


def _figure(width: float, height: float, x_label: str, *y_labels: str) -> "Figure":
    """A figure of this size in inches, with a panel for each of the y_labels side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.04)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(y_labels), squeeze=False)[0]
    for axes, y_label in zip(panels, y_labels, strict=True):
        axes.set(xlabel=x_label, ylabel=y_label, axisbelow=True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.6)
        axes.ticklabel_format(useOffset=False)
        axes.locator_params(axis="x", nbins=6, integer=True)
        if x_label != "epoch":
            axes.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def _plot(axes: "Axes", x: np.ndarray, y: np.ndarray, **look: Any) -> None:
    """Add a line with about twenty markers, however many points; none if there are no points."""
    if len(x):
        x, y = _downsample(x, y)
        axes.plot(x, y, markersize=5, markevery=-(-len(x) // 20), **look)


def _series(rows: Rows, x: str, y: str) -> np.ndarray:
    """x and y of the rows with a finite y: float64 (2, N); accuracies in %."""
    factor = 100 if y.endswith("accuracy") else 1
    pairs = [(float(row[x]), factor * float(row[y])) for row in rows if row[y] != ""]
    return np.array([pair for pair in pairs if math.isfinite(pair[1])]).reshape(-1, 2).T


def _moving_mean(x: np.ndarray, y: np.ndarray, half: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of y and of `half` values on either side, at MAX_POINTS points or fewer.

    Near the ends fewer values are averaged: a mean of many would flatten the steep beginning.
    """
    at = np.unique(np.linspace(0, len(x) - 1, MAX_POINTS, dtype=int))
    return x[at], np.array([y[i - min(i, half) : i + min(i, half) + 1].mean() for i in at])


def _downsample(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most MAX_POINTS points: the lowest and the highest of each interval, to keep all peaks."""
    if len(x) <= MAX_POINTS:
        return x, y
    starts = np.linspace(0, len(x), MAX_POINTS // 2, endpoint=False, dtype=int)
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    return x[starts].repeat(2), np.stack([low, high], axis=1).ravel()


def _finish(figure: "Figure", rows: Rows, x: str, path: Path) -> "Figure":
    """Set the scales for the lines that are drawn, mark the best validation, and write the PNG."""
    loss, accuracy = figure.axes
    _scale_loss(loss)
    low, high = accuracy.get_ylim()
    accuracy.set_ylim(max(low, -2), min(high, 102))
    if finite := [row for row in rows if math.isfinite(float(row["val_accuracy"] or "nan"))]:
        best = max(finite, key=lambda row: float(row["val_accuracy"]))
        _mark(accuracy, best, x, "val_accuracy", f"best: {float(best['val_accuracy']):.2%}")
        _mark(loss, best, x, "val_loss", f"best by accuracy: {float(best['val_loss']):.3g}")
    return _save(figure, "outside upper center", 4, path)


def _scale_loss(axes: "Axes") -> None:
    """Make the scale logarithmic where losses span decades, by all lines but the raw rows."""
    from matplotlib.ticker import LogLocator

    lines = [line for line in axes.lines if line.get_alpha() is None]
    losses = np.concatenate([[], *(np.asarray(line.get_ydata()) for line in lines)])
    losses = losses[losses > 0]
    if not losses.size or losses.max() < 30 * losses.min():
        return
    axes.set_yscale("log")
    axes.set_ylim(losses.min() / 1.5, losses.max() * 1.5)
    ticks = (1, 2, 5) if losses.max() < 1000 * losses.min() else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=ticks))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _mark(axes: "Axes", best: dict, x: str, y: str, text: str) -> None:
    """Mark the best validation by a star, with its text where the curves leave space."""
    star = axes.plot(*_series([best], x, y), "*k", markersize=12, markeredgecolor="white", zorder=4)
    star[0].set_label(f"{text} at step {int(best['step']):,}")
    axes.legend(handles=star, handletextpad=0.2)


def _save(figure: "Figure", location: Any, columns: int, path: Path) -> "Figure":
    """Add the legend, and "nothing yet" in a panel without lines; write the PNG."""
    for axes in figure.axes:
        if not axes.lines:
            axes.set(xticks=[], yticks=[])
            axes.text(0.5, 0.5, "nothing yet", transform=axes.transAxes, ha="center", color="0.5")
    if lines := [line for line in figure.axes[-1].lines if line.get_linestyle() != "None"]:
        legend = figure.legend(handles=lines, loc=location, ncols=columns, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name may have a $ in it
    with replace_file(path) as file:
        figure.savefig(file, format="png", dpi=DPI)
    return figure
