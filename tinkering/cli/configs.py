"""Flags from files: presets that come with the program, and configs of one's own."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from tinkering.cli.flags import alternatives, parameter_named, refuse_both
from tinkering.cli.values import read_value
from tinkering.errors import InputError

if TYPE_CHECKING:
    import yaml

PRESETS = Path(__file__).parent / "presets"
# What names a config, and what belongs to one start of a run and not to the run.
NOT_IN_CONFIGS = {"config", "preset", "dry_run", "resume", "traceback"}


def add_configs(main: Callable[..., None], values: dict[str, Any]) -> dict[str, Any]:
    """The flags given, over those of the config, over those of the preset that they name.

    Args:
        main: whose signature says which flags there are.
        values: what the command line gives; "config" is a path, "preset" a name.

    Raises:
        InputError: a file is not to be had, or holds what would be refused as a flag.
    """
    layers = [values]
    if "config" in values:
        layers.insert(0, read_config(main, Path(values["config"])))
    if "preset" in values:
        layers.insert(0, read_config(main, PRESETS / f"{values['preset']}.yaml"))
    merged: dict[str, Any] = {}
    for layer in layers:
        for pair in alternatives(main).items():
            if layer.keys() & pair:  # what a file says in one way may be said in the other here
                merged = {name: value for name, value in merged.items() if name not in pair}
        merged |= layer
    return merged


def read_config(main: Callable[..., None], path: Path) -> dict[str, Any]:
    """The flags that a YAML file of `flag: value` lines gives, read as strictly as a command line.

    Every value is taken as the text it is written in, so that `lr: 1e-5` is a number and
    `run_id: 2024_01` is not, whatever YAML makes of them.

    Raises:
        InputError: the file is not to be had or is no such file, names a flag that there is not or
            gives it a value that it does not take; says the file and the line.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the config {path} is not a text file") from error
    except yaml.MarkedYAMLError as error:
        raise InputError(f"{path}, line {error.problem_mark.line + 1}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {error}".replace("\n", " ")) from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}, line 1: a config has lines of the form flag: value")
    values: dict[str, Any] = {}
    for key, value in root.value:
        try:
            name, meant = _read_line(main, key, value)
            if name in values:
                raise InputError(f"--{name} is given twice")
            values[name] = meant
            refuse_both(main, values)
        except InputError as error:
            raise InputError(f"{path}, line {key.start_mark.line + 1}: {error}") from error
    return values


def _read_line(main: Callable[..., None], key: "yaml.Node", value: "yaml.Node") -> tuple[str, Any]:
    """The name of the parameter and the value that one line gives it."""
    name, negated = parameter_named(str(key.value), inspect.signature(main).parameters)
    if negated:
        raise InputError(f"{key.value}: write {name}: false")
    if name in NOT_IN_CONFIGS:
        raise InputError(f"--{name} belongs on the command line")
    type_, flag = get_args(inspect.signature(main).parameters[name].annotation)
    if value.tag.endswith(":null") and NoneType in get_args(type_):
        return name, None
    return name, read_value(name, _text(name, value), type_, flag)


def _text(name: str, node: "yaml.Node") -> str:
    if isinstance(node.value, str):
        return node.value
    if node.tag.endswith(":seq") and all(isinstance(item.value, str) for item in node.value):
        return ",".join(item.value for item in node.value)
    raise InputError(f"--{name} takes one value, or a list of numbers")


def config_text(flags: dict[str, Any]) -> str:
    """A config of the flags of a run: with it, the run is repeated."""
    import yaml

    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flags.items()
        if value is not None and name not in NOT_IN_CONFIGS
    }
    lines = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, allow_unicode=True)
    return (
        "# The flags of this run. To repeat it, give it another place:\n"
        "# python run_gradient_based.py --config THIS_FILE --save_path ANOTHER_FOLDER\n" + lines
    )
