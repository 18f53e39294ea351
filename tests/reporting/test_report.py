import re

import pytest
import torch

from tests.helpers import make_run
from tinkering.reporting.report import (
    MAX_VALIDATIONS,
    OPTIMISTIC,
    OVERFIT,
    SUBSET,
    make_results,
    notes,
    report_page,
)
from tinkering.runs.metrics import COLUMNS


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, []),
        ({"val_size": 0}, [OPTIMISTIC]),
        ({"test_subset": 20}, [SUBSET]),
        ({"val_size": 0, "test_subset": 20}, [OPTIMISTIC, SUBSET]),
        ({"overfit_one_batch": True, "val_size": 0}, [OVERFIT]),
    ],
)
def test_what_makes_a_score_no_test_score_is_noted(flags, expected):
    usual = {"val_size": "auto", "test_subset": None, "overfit_one_batch": False}
    assert notes(usual | flags) == expected


def test_the_results_state_what_they_were_measured_on(tmp_path):
    run = make_run(tmp_path, dataset="glyphs", emnist_split="digits", seed=3)
    run.loop.step, run.loop.train_seconds = 10, 2.0
    results = make_results(run, torch.device("cpu"), 0.0, test_loss=0.5, test_accuracy=0.25)
    assert (results["test_loss"], results["test_accuracy"]) == (0.5, 0.25)
    assert (results["dataset"], results["emnist_split"], results["seed"]) == ("glyphs", "digits", 3)
    assert results["images_per_second"] == 37.0  # of 9 batches of 8 and a short one of 2
    assert results["data_hash"] == run.loop.data_hash
    assert results["flags"] == run.flags


def row(**values):
    return dict.fromkeys(COLUMNS, "") | {"epoch": 0.5, "seconds": 2.0} | values


def validation(step):
    return row(step=step, val_loss=0.4, val_accuracy=0.75)


def test_a_report_lists_each_validation_with_the_training_metrics_before_it():
    rows = [row(step=1, train_loss=0.5, train_accuracy=0.25), validation(2)]
    page = report_page("run", {"device": "cpu"}, {}, rows, has_plots=False)
    assert page.startswith("# run\n")
    assert "| device | cpu |" in page
    assert "| 2 | 0.50 | 0.4000 | 75.00% | 0.5000 | 25.00% | 2 |" in page
    assert "## Results" not in page
    assert ".png" not in page


def test_a_report_has_the_results_and_the_plots_where_there_are_any():
    page = report_page("run", {}, {"test accuracy": "75%"}, [], has_plots=True)
    assert "## Results\n\n|  |  |\n| --- | --- |\n| test accuracy | 75% |" in page
    shown = re.findall(r"\]\((plots/\w+\.png)\)", page)
    assert shown == ["plots/epoch_metrics.png", "plots/batch_metrics.png", "plots/samples.png"]


def test_a_bar_in_a_path_does_not_break_the_table():
    page = report_page("run", {"files": "runs/a|b/run.pt"}, {}, [], has_plots=False)
    assert r"| files | runs/a\|b/run.pt |" in page


def test_a_report_of_very_many_validations_lists_the_last():
    rows = [validation(step) for step in range(1, MAX_VALIDATIONS + 51)]
    page = report_page("run", {}, {}, rows, has_plots=False)
    assert f"The last {MAX_VALIDATIONS} of {MAX_VALIDATIONS + 50}; all are in metrics.csv." in page
    assert "\n| 50 | " not in page
    assert "\n| 51 | " in page
