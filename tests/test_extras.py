import sys

import pytest

from tinkering import extras
from tinkering.errors import InputError


@pytest.mark.parametrize(
    ("arch", "tensorboard", "package"),
    [("mlp", True, "tensorboard"), ("timm:resnet18", False, "timm")],
)
def test_a_flag_whose_package_is_missing_is_refused_with_what_to_install(
    monkeypatch, arch, tensorboard, package
):
    extras.check(arch, tensorboard)
    monkeypatch.setitem(sys.modules, package, None)
    expected = f"needs the package {package}, an extra: pip install -r requirements-extras"
    with pytest.raises(InputError, match=expected):
        extras.check(arch, tensorboard)


def test_no_flag_no_package(monkeypatch):
    for package in ("timm", "tensorboard"):
        monkeypatch.setitem(sys.modules, package, None)
    extras.check("mlp", tensorboard=False)
