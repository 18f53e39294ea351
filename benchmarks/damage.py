"""Feeds damaged files to what reads them, and counts what becomes of each.

    python benchmarks/damage.py [--count 300] [--seed 0] [--json FILE]

One of three outcomes is right. The file is refused, by a DataError or an InputError of one line
that names it. Or the damage is harmless, and what is read equals what was written. Or, of a
run's two states, the one before is read in place of the damaged newest one, which a warning
names and which is moved out of the way. Apart from that no file is changed, and none is new but
the ones that a sound file is unpacked to. Anything else is a failure: it is printed, and the
exit code is 1.

In an unpacked IDX file bits are flipped in the header only: the format has no checksum, so
that nobody can tell a changed pixel. In all others a bit is flipped anywhere.
"""

import argparse
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.damages import Damage
from benchmarks.formats import FORMATS, Format
from tinkering.errors import DataError, InputError
from tinkering.runs import checkpoint

REFUSED, HARMLESS, ONE_BEFORE = RIGHT = ("refused", "harmless", "one before")
KINDS = [(name, damage) for name, form in FORMATS.items() for damage in form.damages]


class Sound(NamedTuple):
    """What becomes of a format's files without damage."""

    content: object
    one_before: object  # what is read where the newest is gone, None where that is refused
    after: dict[str, object]  # _snapshot, with what was unpacked


class Outcome(NamedTuple):
    """Of one damaged input; `verdict` is one of RIGHT, or what is wrong."""

    kind: str
    number: int
    verdict: str


def feed(count: int, seed: int) -> list[Outcome]:
    """Damages `count` inputs, each kind in turn, and has each of them read.

    Input i is the same for the same seed, whatever the count.
    """
    sound = {name: _read_sound(FORMATS[name]) for name in {name for name, _ in KINDS[:count]}}
    outcomes = []
    for number in range(count):
        name, damage = KINDS[number % len(KINDS)]
        rng = np.random.default_rng((seed, number))
        verdict = _judge(FORMATS[name], sound[name], damage, rng)
        outcomes.append(Outcome(f"{name}: {damage.__name__.replace('_', ' ')}", number, verdict))
    return outcomes


def failures_of(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.verdict not in RIGHT]


def _read_sound(form: Format) -> Sound:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        form.write(folder)
        content = _comparable(form.read(folder).content)
        after = _snapshot(folder)
        one_before = None
        if form.moved:
            (folder / form.file).unlink()
            one_before = _comparable(form.read(folder).content)
    return Sound(content, one_before, after)


def _judge(form: Format, sound: Sound, damage: Damage, rng: Generator) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        form.write(folder)
        damage(folder / form.file, rng)
        expected = _snapshot(folder)
        verdict = _read_damaged(form, folder, sound)
        after = _snapshot(folder)
    if verdict == ONE_BEFORE:
        expected[form.moved] = expected.pop(form.file)
    if not expected.items() <= after.items():
        return f"a file was changed, or not moved ({verdict})"
    new = after.items() - expected.items() - sound.after.items()
    return f"new: {', '.join(path for path, _ in new)} ({verdict})" if new else verdict


def _read_damaged(form: Format, folder: Path, sound: Sound) -> str:
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # no bars in between
            warnings.simplefilter("error")
            content, warning = form.read(folder)
    except (DataError, InputError) as error:
        return REFUSED if _is_told(str(error), form, folder) else f"refused, but by: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    content = _comparable(content)
    if not warning:
        return HARMLESS if content == sound.content else "read as something else"
    if not _is_told(warning, form, folder):
        return f"the one before, but by: {warning}"
    return ONE_BEFORE if content == sound.one_before else f"something else, and: {warning}"


def _is_told(message: str, form: Format, folder: Path) -> bool:
    """Whether it is one line that names the damaged file."""
    return str(folder / (form.named or form.file)) in message and len(message.splitlines()) == 1


def _comparable(content: object) -> object:
    """Content whose parts compare by their values, apart from the files it was mapped from."""
    if isinstance(content, torch.Tensor):
        return str(content.dtype), content.tolist()
    if isinstance(content, dict):
        return {key: _comparable(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_comparable(value) for value in content]
    return content


def _snapshot(folder: Path) -> dict[str, object]:
    """What is at each path: a file's bytes, a link's target, None for a folder."""
    there = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            there[str(path.relative_to(folder))] = os.readlink(path)
        else:
            there[str(path.relative_to(folder))] = None if path.is_dir() else path.read_bytes()
    return there


def tabulate(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """A row for each kind, with the number of its inputs and of each right outcome; and a total."""
    rows = []
    for kind in [*dict.fromkeys(outcome.kind for outcome in outcomes), "total"]:
        verdicts = [o.verdict for o in outcomes if kind in (o.kind, "total")]
        counts = {verdict: verdicts.count(verdict) for verdict in RIGHT}
        rows.append({"kind": kind, "inputs": len(verdicts), **counts})
    return rows


def show(outcomes: Sequence[Outcome], seed: int) -> None:
    """Prints the table, and under it every failure with what it takes to see it again."""
    print("".join(f"{name:{'>12' if name != 'kind' else '44'}}" for name in tabulate([])[0]))
    for row in tabulate(outcomes):
        print(f"{row['kind']:44}" + "".join(f"{row[name]:12}" for name in ("inputs", *RIGHT)))
    for failure in failures_of(outcomes):
        print(f"FAILED {failure.kind}, --seed {seed}, input {failure.number}: {failure.verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Feeds damaged files to what reads them.")
    parser.add_argument("--count", type=int, default=300, help="number of damaged inputs")
    parser.add_argument("--seed", type=int, default=0, help="of the places that are damaged")
    parser.add_argument("--json", type=Path, help="write the table here, too")
    options = parser.parse_args()
    outcomes = feed(options.count, options.seed)
    failures = failures_of(outcomes)
    show(outcomes, options.seed)
    if options.json:
        found = [failure._asdict() for failure in failures]
        results = {"seed": options.seed, "rows": tabulate(outcomes), "failures": found}
        checkpoint.save_results(options.json, results)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
