"""Flags from files: presets that come with the program, and configs of the user."""

from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from tinkering.cli.flags import LENGTHS, Command, find_parameter, parameters_of, refuse_both
from tinkering.cli.values import read_value
from tinkering.errors import InputError

if TYPE_CHECKING:
    import yaml

PRESETS = Path(__file__).parent / "presets"
CONFIG_HEADER = """# The flags of this run. To repeat it in another folder:
# python run_gradient_based.py --config THIS_FILE --save_path ANOTHER_FOLDER
"""


def add_configs(main: Command, values: dict[str, Any]) -> dict[str, Any]:
    """Add the flags of the config and the preset that a command line names.

    The command line overrides the config, which overrides the preset. Raises InputError as
    read_config does.
    """
    files = [PRESETS / f"{values['preset']}.yaml"] if "preset" in values else []
    files += [Path(values["config"])] if "config" in values else []
    merged: dict[str, Any] = {}
    for layer in (*(read_config(main, file) for file in files), values):
        if layer.keys() & LENGTHS:  # it replaces both
            merged = {name: value for name, value in merged.items() if name not in LENGTHS}
        merged |= layer
    return merged


def read_config(main: Command, path: Path) -> dict[str, Any]:
    """Read the flags in a YAML file of `flag: value` lines, as strictly as a command line.

    Every value is read from its text: to YAML, `lr: 1e-5` is text and `run_id: 2024_01` a number.
    Raises InputError, which names the line, if one is no valid flag or the file cannot be read.
    """
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the config {path} is not a text file in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}, line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {error}".replace("\n", " ")) from error
    except RecursionError as error:
        raise InputError(f"{path}: the values are nested too deeply") from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}, line 1: a config has lines of the form flag: value")
    values: dict[str, Any] = {}
    for key, node in root.value:
        try:
            name, value = _read_line(main, key, node)
            if name in values:
                raise InputError(f"--{name} is given twice")
            values[name] = value
            refuse_both(values)
        except InputError as error:
            raise InputError(f"{path}, line {key.start_mark.line + 1}: {error}") from error
    return values


def config_text(main: Command, flags: dict[str, Any]) -> str:
    """Write the flags of a run as a config that repeats it."""
    import yaml

    parameters = parameters_of(main)
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flags.items()
        if value is not None and parameters[name][1].in_config
    }
    # In ASCII: with allow_unicode, PyYAML turns a NEL (U+0085) into a space.
    lines: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None)
    return f"{CONFIG_HEADER}{lines}"


def _read_line(main: Command, key: "yaml.Node", node: "yaml.Node") -> tuple[str, Any]:
    """Return the name of the parameter and the value that one line sets."""
    parameters = parameters_of(main)
    name, negated = find_parameter(str(key.value), list(parameters))
    if negated:
        raise InputError(f"{key.value}: write {name}: false")
    type_, flag = parameters[name]
    if not flag.in_config:
        raise InputError(f"--{name} belongs on the command line")
    if node.tag.endswith(":null") and NoneType in get_args(type_):
        return name, None
    items = node.value if node.tag.endswith(":seq") else [node]
    if not all(isinstance(item.value, str) for item in items):
        raise InputError(f"--{name} expects one value, or a list of numbers")
    return name, read_value(name, ",".join(item.value for item in items), type_, flag)


def free_on_resume(main: Command) -> frozenset[str]:
    """Return the names of the flags that may differ when a run is resumed."""
    return frozenset(name for name, (_, flag) in parameters_of(main).items() if flag.free_on_resume)
