"""The flags of a training run against the tables of what the program has."""

import inspect
from typing import get_args

import pytest

from run_gradient_based import main
from tinkering.cli.configs import PRESETS, free_on_resume
from tinkering.cli.values import choices_of
from tinkering.data.augment import AUGMENTATIONS
from tinkering.data.datasets import DATASETS
from tinkering.data.sources import EMNIST_CLASSES
from tinkering.models import ARCHITECTURES
from tinkering.optim.optimizers import OPTIMIZERS

PARAMETERS = inspect.signature(main).parameters


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("dataset", DATASETS),
        ("emnist_split", EMNIST_CLASSES),
        ("augment", AUGMENTATIONS),
        ("arch", {*ARCHITECTURES, "timm:NAME"}),
        ("optimizer", OPTIMIZERS),
        ("preset", {path.stem for path in PRESETS.glob("*")}),
    ],
)
def test_the_program_offers_everything_that_there_is(name, table):
    assert set(choices_of(get_args(PARAMETERS[name].annotation)[0])) == set(table)


def test_every_flag_can_be_given_by_its_name_only():
    assert {p.kind for p in PARAMETERS.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_what_changes_the_result_may_not_differ_on_resume():
    free = free_on_resume(main)
    assert free.isdisjoint({"dataset", "arch", "width", "lr", "seed", "augment", "schedule"})
    assert free >= {"device", "num_workers", "save_path", "plots", "max_minutes", "traceback"}
