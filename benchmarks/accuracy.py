"""Runs the recipes whose accuracy the README states, and writes what came out.

    python benchmarks/accuracy.py [--data_dir_root ./emnist_data] [--seeds 0 1 2] [RECIPE ...]

Each recipe is run as a user runs it, once for each seed, one run after the other;
the test set is touched once a run. docs/accuracy.json gets the figures, the machine and the
end of the console, docs/run.png the plot of one run; `make readme` puts the figures into the
README. Data sets that the data folder lacks are downloaded; chars74k needs Chars74K's pen strokes,
drawn in EMNIST's format under the file names of the byclass split. The figures of emnist-bymerge
and emnist-byclass are of a part of EMNIST's training images. All recipes together need about three
hours on two cores.
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tinkering.commands.plot import plot  # noqa: E402

FIGURES = ROOT / "docs" / "accuracy.json"
PICTURE = ROOT / "docs" / "run.png"
PICTURED = "pipeline"  # the recipe whose plot the README shows
SHORT_RESNET = (
    "--optimizer sgd --nesterov --weight_decay 5e-4 --schedule onecycle --label_smoothing 0.1"
)
LONGER = "--width 16 --augment affine --num_total_iterations 6000"
RECIPES = {
    "glyphs": "--dataset glyphs --emnist_split balanced --width 16 --num_total_iterations 1500",
    "mnist": "--dataset mnist --num_total_iterations 2000 --width 16",
    "mnist-fp32": "--dataset mnist --num_total_iterations 2000 --width 16 --precision fp32 "
    "--run_id mnist-fp32",
    "emnist-bymerge": "--emnist_split bymerge --run_id emnist-bymerge " + LONGER,
    "emnist-byclass": "--emnist_split byclass --run_id emnist-byclass " + LONGER,
    "kmnist": "--dataset kmnist " + LONGER,
    "fashion_mnist": "--dataset fashion_mnist " + LONGER,
    "chars74k": "--emnist_split byclass --width 16 --augment affine --num_total_iterations 1500 "
    "--run_id chars74k",
    "pytorch-example": "--preset pytorch-example",
    "mlp-mnist": "--preset mlp-mnist",
    "fcn-mnist": "--preset fcn-mnist",
    "pipeline": "--preset pipeline",
    "speedrun": "--preset speedrun",
    "preact20": "--dataset mnist --arch preact20 --num_total_epochs 3 --lr 0.1 " + SHORT_RESNET,
    "resnet18": "--dataset mnist --arch resnet18 --num_total_epochs 1.5 --lr 0.05 " + SHORT_RESNET,
}


def run(flags: str, seed: int, data_dir_root: str, picture: Path | None = None) -> dict:
    """One run of the program: its results.json, its console, and its seconds from start to end.

    Args:
        picture: where to put the run's plot; None for no plot.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "run_gradient_based.py"), *flags.split()]
        command += ["--seed", str(seed), "--data_dir_root", data_dir_root, "--save_path", folder]
        command += ["--no-plots"]
        started = perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = perf_counter() - started
        (file,) = Path(folder).glob("*/results.json")
        results = json.loads(file.read_text())
        if picture:
            plot(str(file.parent))
            shutil.copy(file.parent / "plots" / "epoch_metrics.png", picture)
    console = done.stdout.replace(folder, "saved_models").splitlines()[-11:]
    return {"results": results, "console": console, "seconds": seconds}


def machine() -> str:
    capabilities = torch.cpu.get_capabilities()
    name, cores = capabilities.get("cpu_name", "processor"), os.cpu_count()
    bf16 = ", AVX512-BF16" if capabilities.get("avx512_bf16") else ""
    return f"{name}, {cores} cores{bf16}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir_root", default="./emnist_data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=", ".join(RECIPES))
    arguments = parser.parse_args()
    for recipe in arguments.recipes or RECIPES:
        picture = PICTURE if recipe == PICTURED else None
        runs = [
            run(RECIPES[recipe], seed, arguments.data_dir_root, picture) for seed in arguments.seeds
        ]
        figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        figures[recipe] = {
            "command": f"python run_gradient_based.py {RECIPES[recipe]}",
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "seeds": arguments.seeds,
            "test_accuracy": [one["results"]["test_accuracy"] for one in runs],
            "train_seconds": [round(one["results"]["train_seconds"], 1) for one in runs],
            "wall_seconds": [round(one["seconds"], 1) for one in runs],
            "console": runs[0]["console"],
        }
        print(recipe, figures[recipe]["test_accuracy"], flush=True)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
