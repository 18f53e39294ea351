import random
import time

import numpy as np
import pytest
from PIL import Image

from tinkering.reporting.plots import (
    draw_batch_metrics,
    draw_comparison,
    draw_epoch_metrics,
    validations,
)

EMPTY = dict.fromkeys(("lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"), "")
BLUE, VERMILLION = (0, 114, 178), (213, 94, 0)


def training_row(step, loss=1.0, accuracy=0.5):
    named = {"step": step, "epoch": step / 100, "train_loss": loss, "train_accuracy": accuracy}
    return EMPTY | {name: str(value) for name, value in named.items()}


def validation_row(step, loss=1.0, accuracy=0.5):
    named = {"step": step, "epoch": step / 100, "val_loss": loss, "val_accuracy": accuracy}
    return EMPTY | {name: str(value) for name, value in named.items()}


def run(num_rows, every=4):
    """The rows of a run that learns, a validation after every few of them."""
    rng, rows = random.Random(0), []
    for step in range(10, 10 * num_rows + 10, 10):
        learned = step / (step + num_rows)
        rows.append(training_row(step, 3 - 2 * learned + rng.random() / 5, 0.9 * learned))
        if step % (10 * every) == 0:
            rows.append(validation_row(step, 3.1 - 2 * learned, 0.85 * learned))
    return rows


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


def has_colour(image, colour):
    pixels = np.asarray(image.convert("RGB")).astype(int)
    return (abs(pixels - colour).max(axis=2) < 8).sum() > 50


def texts(figure):
    """The words of the legends: of the figure, and of its panels."""
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


@pytest.mark.parametrize("draw", [draw_batch_metrics, draw_epoch_metrics])
def test_metrics_are_drawn_in_two_panels_in_blue_and_vermillion_at_200_dpi(tmp_path, draw):
    figure = draw(run(100), tmp_path / "plots" / "plot.png")
    image = opened(tmp_path / "plots" / "plot.png")
    assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert image.size == (2000, 840)
    assert has_colour(image, BLUE)
    assert has_colour(image, VERMILLION)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (nats)", "accuracy (%)"]


def test_batch_metrics_are_each_training_row_their_moving_mean_and_validation(tmp_path):
    figure = draw_batch_metrics(run(100), tmp_path / "plot.png")
    assert texts(figure)[:3] == ["training", "training, moving mean of 5 rows", "validation"]
    loss, accuracy = figure.axes
    assert loss.get_xlabel() == "training step"
    assert len(line(loss, "training").get_xdata()) == 100
    assert len(line(loss, "validation").get_xdata()) == 25
    assert line(accuracy, "validation").get_ydata()[-1] == pytest.approx(85 * 1000 / 1100)
    raw, means = (
        line(loss, label).get_ydata() for label in ("training", "training, moving mean of 5 rows")
    )
    assert means[50] == pytest.approx(raw[48:53].mean())
    assert means[0] == raw[0]  # the steep beginning is not flattened


def test_epoch_metrics_have_a_point_for_each_validation(tmp_path):
    figure = draw_epoch_metrics(run(100), tmp_path / "plot.png")
    for axes in figure.axes:
        assert axes.get_xlabel() == "epoch"
        assert axes.get_xscale() == "linear"
        for label in ("training, mean since the validation before", "validation"):
            epochs = line(axes, label).get_xdata()
            assert epochs == pytest.approx(np.arange(1, 26) * 0.4)


def test_a_validation_has_the_mean_of_the_training_rows_since_the_one_before():
    rows = [
        *(training_row(10, 4, 0.1), training_row(20, 2, 0.3), validation_row(20, 2.5, 0.2)),
        *(training_row(30, 1, 0.5), validation_row(30, 1.5, 0.4)),
        *(validation_row(40, 1.25, 0.45), training_row(50, 0.5, 0.6)),
    ]
    found = validations(rows)
    assert [row["step"] for row in found] == ["20", "30", "40"]
    assert [row["train_loss"] for row in found] == [3, 1, ""]
    assert [row["train_accuracy"] for row in found] == [pytest.approx(0.2), 0.5, ""]
    assert [row["val_loss"] for row in found] == ["2.5", "1.5", "1.25"]


@pytest.mark.parametrize(("draw", "x"), [(draw_batch_metrics, 1200), (draw_epoch_metrics, 12)])
def test_the_best_validation_is_marked_with_its_value_and_step(tmp_path, draw, x):
    accuracies = {400: 0.7, 800: 0.8, 1200: 0.91234, 1600: 0.9}
    rows = [validation_row(step, 2 - accuracy, accuracy) for step, accuracy in accuracies.items()]
    figure = draw(rows, tmp_path / "plot.png")
    assert "best: 91.23% at step 1,200" in texts(figure)
    assert "best by accuracy: 1.09 at step 1,200" in texts(figure)
    star = line(figure.axes[1], "best: 91.23% at step 1,200")
    assert star.get_xydata().tolist() == [[x, pytest.approx(91.234)]]


@pytest.mark.parametrize("draw", [draw_batch_metrics, draw_epoch_metrics])
def test_an_accuracy_that_is_not_a_number_is_never_marked_as_the_best(tmp_path, draw):
    rows = [validation_row(1, "nan", "nan"), validation_row(2), validation_row(3, "nan", "nan")]
    figure = draw(rows, tmp_path / "plot.png")
    assert "best: 50.00% at step 2" in texts(figure)


UNUSUAL = {
    "no rows": [],
    "one row": [training_row(10)],
    "one validation": [validation_row(10)],
    "training only": [row for row in run(100) if row["train_loss"]],
    "validation only": [row for row in run(100) if row["val_loss"]],
    "39 rows": run(39),
    "always the same": [training_row(1), training_row(2), validation_row(2), validation_row(3)],
    "all wrong": [training_row(1, 9, 0.0), validation_row(1, 9, 0.0)],
    "all right": [training_row(1, 0, 1.0), validation_row(1, 0, 1.0), validation_row(2, 0, 1.0)],
    "losses that are not numbers": [training_row(1, "nan"), validation_row(1, "inf"), *run(60)[2:]],
    "only losses that are not numbers": [training_row(1, "nan"), validation_row(1, "nan")],
    "nothing is a number": [training_row(1, "nan", "nan"), validation_row(1, "nan", "nan")],
    "losses that overflow": [training_row(1, 3e38), validation_row(1, 1e38), *run(60)],
}


@pytest.mark.parametrize("draw", [draw_batch_metrics, draw_epoch_metrics])
@pytest.mark.parametrize("rows", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_metrics_of_any_kind_are_drawn(tmp_path, monkeypatch, draw, rows):
    monkeypatch.setattr("tinkering.reporting.plots.DPI", 20)  # it is drawn faster
    draw(rows, tmp_path / "plot.png")
    assert opened(tmp_path / "plot.png").size == (200, 84)


def test_a_panel_with_nothing_in_it_says_so(tmp_path):
    figure = draw_batch_metrics([], tmp_path / "plot.png")
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["nothing yet"] * 2


@pytest.mark.parametrize(("last_loss", "scale"), [(2.0, "linear"), (0.02, "log"), (1e9, "log")])
def test_a_loss_that_spans_decades_is_drawn_by_its_logarithm(tmp_path, last_loss, scale):
    rows = [validation_row(1, 3.0), validation_row(2, 2.5), validation_row(3, last_loss)]
    figure = draw_batch_metrics(rows, tmp_path / "plot.png")
    assert [axes.get_yscale() for axes in figure.axes] == [scale, "linear"]


def test_very_many_rows_are_drawn_at_once_and_no_peak_is_lost(tmp_path):
    rows = [training_row(step, 1.0) for step in range(1, 100_001)]
    rows[77_777] = training_row(77_778, 5.0)
    start = time.process_time()
    figure = draw_batch_metrics(rows, tmp_path / "plot.png")
    assert time.process_time() - start < 10
    losses = line(figure.axes[0], "training").get_ydata()
    assert len(losses) <= 1000
    assert losses.max() == 5


def test_a_comparison_has_a_line_for_each_run_that_looks_like_no_other(tmp_path):
    steps = list(range(100, 2000, 100))
    curves = {f"run_{n}": [(s, s / (s + 100 + 20 * n)) for s in steps] for n in range(12)}
    figure = draw_comparison(curves, tmp_path / "plot.png")
    image = opened(tmp_path / "plot.png")
    assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert texts(figure) == list(curves)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "validation accuracy (%)")
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 12
    assert len({line.get_marker() for line in axes.lines}) == 12
    assert has_colour(image, BLUE)


def test_a_comparison_shows_the_ends_of_the_runs_in_detail(tmp_path):
    accuracies = [0.02, 0.5, 0.8, 0.85, 0.87, 0.88, 0.885, 0.89]
    figure = draw_comparison({"one": [*enumerate(accuracies)]}, tmp_path / "plot.png")
    bottom, top = figure.axes[0].get_ylim()
    assert 40 < bottom < 50
    assert 89 < top < 93


CURVES = {
    "no runs": {},
    "none with a validation": {"a": []},
    "one with a validation": {"a": [], "b": [(10, 0.5)]},
    "odd names": {"_hidden": [(1, 0.1), (2, 0.2)], r"a$\frac": [(1, 0.2), (2, 0.3)]},
    "a name too long": {"a/" * 200: [(1, 0.1), (2, 0.2)]},
}


@pytest.mark.parametrize("curves", CURVES.values(), ids=CURVES.keys())
def test_any_curves_are_drawn(tmp_path, curves):
    figure = draw_comparison(curves, tmp_path / "plot.png")
    pixels = np.asarray(opened(tmp_path / "plot.png"))
    assert (pixels[:, [0, -1]] == 255).all()  # nothing is cut at the sides
    assert len(texts(figure)) == sum(len(curve) > 0 for curve in curves.values())
