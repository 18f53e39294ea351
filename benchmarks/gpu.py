"""Measures steps on a CUDA device, and writes docs/gpu.json.

    python benchmarks/gpu.py [--data_dir_root ./emnist_data]
    python benchmarks/performance.py

For the default network at several batch sizes: images a second of the bare step by the device's
own events, eager, compiled and with CUDA graphs, and the share of the device's peak in bf16 that
its floating-point operations come to; and images a second of the whole program. Then the time
of 20 passes over generated files of EMNIST byclass's size. It wants a CUDA device, and is not
run where there is none.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import startup
from benchmarks.speeds import shown_by
from benchmarks.throughput import conditions_of
from tinkering.models import ResNet4StageCustom
from tinkering.optim.losses import make_criterion
from tinkering.optim.optimizers import make_optimizer
from tinkering.runs import checkpoint
from tinkering.runs.metrics import read_metrics
from tinkering.runtime.compiling import compile_forward
from tinkering.runtime.device import choose_device, choose_precision, make_fast

FIGURES = Path(__file__).parent.parent / "docs" / "gpu.json"
BATCH_SIZES = (64, 256, 1024)
MODES = {"eager": False, "compiled": True, "CUDA graphs": "reduce-overhead"}
NUM_IMAGES = 697_932  # of EMNIST byclass, to train on
# Dense bf16 with float32 sums, from the vendor's data sheets, in operations a second.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}


def bare_step(batch_size: int, mode: bool | str, num_steps: int = 50) -> dict[str, float]:
    """Images a second of steps on one batch in place, and the share of the device's peak."""
    device = choose_device("cuda")
    precision = choose_precision("bf16", device)
    model = ResNet4StageCustom(62).to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer("adamw", model, lr=1e-3, weight_decay=1e-4)
    criterion = make_criterion("cross_entropy")
    images = torch.randn(batch_size, 1, 28, 28, device=device)
    labels = torch.randint(62, (batch_size,), device=device)
    compiled = compile_forward(model, criterion, images.shape, device, precision.autocast, mode)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision.autocast:
            _, loss = compiled.forward(images, labels)
        loss.backward()
        optimizer.step()

    for _ in range(10):
        step()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(num_steps):
        step()
    end.record()
    torch.cuda.synchronize()
    seconds = begin.elapsed_time(end) / 1000 / num_steps
    return {"images/s": batch_size / seconds, "operations/s": _operations(batch_size) / seconds}


def _operations(batch_size: int) -> int:
    """Floating-point operations of forward and backward, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        model = ResNet4StageCustom(62)
        model(torch.zeros(1, 1, 28, 28)).sum().backward()
    return batch_size * counter.get_total_flops()


def program(data: Path, batch_size: int, num_steps: int, compiled: bool | str) -> float:
    """Images a second of the whole program on byclass-sized files after its first lines."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "data_dir_root": data,
            "batch_size": batch_size,
            "num_total_iterations": num_steps,
            "log_interval_iters": max(1, num_steps // 10),
            "eval_interval_iters": num_steps,
            "compile": compiled,
            "save_path": folder,
        }
        shown_by(["run_gradient_based.py", *(f"--{name}={value}" for name, value in flags.items())])
        rows = [row for row in read_metrics(Path(folder, "resnet_emnist")) if row["train_loss"]]
    steps, seconds = (float(rows[-1][name]) - float(rows[1][name]) for name in ("step", "seconds"))
    return batch_size * steps / seconds


def measure(data: Path, rounds: int) -> dict[str, list[float]]:
    """The figures of each round by name; what is compared comes in turn."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for batch_size in BATCH_SIZES:
            for name, mode in MODES.items():
                what = f"batch {batch_size}, {name}"
                for unit, number in bare_step(batch_size, mode).items():
                    found.setdefault(f"bare step, {what}, {unit}", []).append(number)
                speed = program(data, batch_size, 2000, mode)
                found.setdefault(f"whole program, {what}, images/s", []).append(speed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--json", type=Path, default=FIGURES, help="write the figures here")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: there is no CUDA device here, and nothing to measure")
    make_fast(choose_device("cuda"), max(BATCH_SIZES))
    found = conditions_of("python benchmarks/gpu.py")
    started = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        startup.write_byclass(data, startup.BYCLASS)
        figures = measure(data, options.rounds)
        passes = program(data, 1024, 20 * NUM_IMAGES // 1024, compiled=True)
    name = torch.cuda.get_device_name()
    found |= {
        "machine": name,
        "peak": next((peak for key, peak in PEAKS.items() if key in name), None),
        "rounds": figures,
        "seconds of 20 passes": 20 * NUM_IMAGES / passes,
        "seconds": round(perf_counter() - started),
    }
    for what, numbers in figures.items():
        print(f"{what:<60} {statistics.median(numbers):,.4g}")
    checkpoint.save_results(options.json, found)


if __name__ == "__main__":
    main()
