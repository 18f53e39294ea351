"""Train, compare and use networks for handwritten characters.

run_gradient_based.py    the training run on one page; read it first
train                    run_train_iterations and run_validation, the two loops
emnist_dataset           get_emnist_dataloaders and load_datasets, the entrance to data/
data/                    IDX files, downloads, splits, loader, augmentation, drawn glyphs
models/                  networks by name
optim/                   optimizers, learning-rate schedules, losses, EMA by name
runtime/                 device, memory, torch.compile, torch.distributed, signals
runs/                    what a run has on disk: layout, lock, state, model file, metrics
reporting/               console, journal, plan, report, plots, dry run
cli/                     flags, configs and presets: the strict front of Fire
commands/                python -m tinkering COMMAND, a module each
files, errors, extras    atomic writes, errors with exit codes, optional packages
"""

import time

__version__ = "0.1.0"
PROCESS_STARTED = time.monotonic()  # nothing else is imported earlier; for --max_minutes
