"""Draw the curves of runs from their metrics, during a run or after it."""

from pathlib import Path
from typing import Annotated

from tinkering.cli.values import Flag
from tinkering.errors import InputError
from tinkering.runs.metrics import EXAMPLE, read_metrics


def plot(*runs: Annotated[str, Flag(f"folder of a run, such as {EXAMPLE}")]) -> None:
    """Draw the loss and the accuracy of runs, over steps and over epochs.

    usage: python -m tinkering plot RUN ...

    The metrics.csv of each run is drawn as plots/batch_metrics.png and plots/epoch_metrics.png in
    the folder of the run, which may still be training.
    """
    from tinkering.reporting.plots import draw_batch_metrics, draw_epoch_metrics

    if not runs:
        raise InputError(f"name at least one run, such as {EXAMPLE}")
    metrics = {Path(run): read_metrics(Path(run)) for run in runs}  # all before any is drawn
    for folder, rows in metrics.items():
        plots = folder / "plots"
        draw_batch_metrics(rows, plots / "batch_metrics.png")
        draw_epoch_metrics(rows, plots / "epoch_metrics.png")
        print(f"drew batch_metrics.png and epoch_metrics.png in {plots}")
