import inspect
from typing import get_args

import pytest

from run_gradient_based import main
from tinkering.cli.configs import PRESETS
from tinkering.cli.values import choices_of
from tinkering.data.augment import AUGMENTATIONS
from tinkering.data.datasets import EMNIST_CLASSES
from tinkering.emnist_dataset import DATASETS
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
