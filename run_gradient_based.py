"""Trains a ResNet on handwritten characters: the whole run on one page.

    python run_gradient_based.py --lr 1e-5 --emnist_split byclass
    python run_gradient_based.py --dataset mnist --num_total_iterations 2000

The rooms that this page puts together are listed in tinkering/__init__.py.
"""

import sys
from functools import partial
from pathlib import Path
from time import perf_counter

from tinkering.cli import options
from tinkering.cli import run as cli


def main(
    *,
    config: options.Config = None,
    preset: options.Preset = None,
    dataset: options.Dataset = "emnist",
    emnist_split: options.EmnistSplit = "byclass",
    data_dir_root: options.DataDirRoot = "./emnist_data",
    val_size: options.ValSize = "auto",
    train_subset: options.TrainSubset = None,
    test_subset: options.TestSubset = None,
    overfit_one_batch: options.OverfitOneBatch = False,
    augment: options.Augment = "none",
    num_workers: options.NumWorkers = 4,
    arch: options.Arch = "resnet4stage",
    width: options.Width = 64,
    num_total_iterations: options.NumTotalIterations = 20_000,
    num_total_epochs: options.NumTotalEpochs = None,
    batch_size: options.BatchSize = 64,
    grad_accum_steps: options.GradAccumSteps = 1,
    loss: options.Loss = "cross_entropy",
    label_smoothing: options.LabelSmoothing = 0.0,
    optimizer: options.Optimizer = "adamw",
    lr: options.Lr = 1e-3,
    weight_decay: options.WeightDecay = 1e-4,
    momentum: options.Momentum = 0.9,
    betas: options.Betas = (0.9, 0.999),
    nesterov: options.Nesterov = False,
    schedule: options.Schedule = "linear",
    final_lr_factor: options.FinalLrFactor = 0.01,
    warmup_iters: options.WarmupIters = 0,
    step_size_iters: options.StepSizeIters = 1000,
    gamma: options.Gamma = 0.1,
    ema_decay: options.EmaDecay = None,
    patience: options.Patience = None,
    min_delta: options.MinDelta = 0.0,
    eval_interval_iters: options.EvalIntervalIters = 500,
    log_interval_iters: options.LogIntervalIters = 100,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    compile: options.Compile = False,
    data_on: options.DataOn = "auto",
    save_path: options.SavePath = "./saved_models",
    model_name: options.ModelName = "resnet_emnist.pt",
    run_id: options.RunId = None,
    resume: options.Resume = "auto",
    checkpoint_interval_iters: options.CheckpointIntervalIters = None,
    max_minutes: options.MaxMinutes = None,
    on_nonfinite: options.OnNonfinite = "stop",
    clip_grad_norm: options.ClipGradNorm = None,
    plots: options.Plots = True,
    tensorboard: options.Tensorboard = False,
    summary: options.Summary = False,
    dry_run: options.DryRun = False,
    traceback: options.Traceback = False,
) -> None:
    """Trains a ResNet on handwritten characters for a fixed number of optimizer steps.

    usage: python run_gradient_based.py [--flag value | --flag=value] ...
    """
    flags = dict(locals())  # before there are other names
    # Not at the top: --help and a mistyped flag are answered before torch is loaded.
    import torch

    from tinkering import extras
    from tinkering.data.loader import make_loaders
    from tinkering.data.splits import make_splits
    from tinkering.emnist_dataset import load_datasets
    from tinkering.models import arguments_of, build
    from tinkering.optim.losses import make_criterion
    from tinkering.optim.optimizers import make_ema, make_optimizer
    from tinkering.optim.schedules import make_scheduler, step_with_validation
    from tinkering.reporting import layers, report
    from tinkering.reporting.console import RunConsole
    from tinkering.reporting.dry_run import rehearse
    from tinkering.reporting.journal import Journal, NullJournal
    from tinkering.runs import checkpoint
    from tinkering.runs.layout import RunFiles
    from tinkering.runs.state import TrainState
    from tinkering.runtime.compiling import compile_forward
    from tinkering.runtime.device import choose_device, choose_precision, enough_memory, make_fast
    from tinkering.runtime.distributed import join_group
    from tinkering.runtime.signals import Stopped, Stopper
    from tinkering.train import is_due, next_due, run_train_iterations, run_validation

    extras.check(arch, tensorboard)
    group = join_group()
    device = choose_device(device)
    make_fast(device, batch_size, group.local_rank)
    precision = choose_precision(precision, device)
    files = RunFiles(Path(save_path), model_name, run_id or Path(model_name).stem, group)
    if not dry_run:
        files.make_folders()

    with group.rank0_first():
        train_set, test_set, classes = load_datasets(
            *(dataset, data_dir_root, emnist_split),
            augment=augment,
            seed=seed,
            may_write=not dry_run,
            data_on=data_on,
            device=device,
        )
    samples_per_step = batch_size * grad_accum_steps * group.world_size
    parts = make_splits(
        *(train_set, test_set, val_size, train_subset, test_subset),
        samples_per_step if overfit_one_batch else None,
    )
    loaders = make_loaders(*parts, batch_size, grad_accum_steps, seed, group)
    train_loader, val_loader, test_loader = loaders
    num_classes = len(classes)
    if num_total_epochs is not None:
        num_total_iterations = max(1, round(num_total_epochs * len(train_loader)))
        flags |= {"num_total_iterations": num_total_iterations, "num_total_epochs": None}
    flags |= {"precision": precision.name, "run_id": files.run_id}

    torch.manual_seed(seed)
    image_size = train_loader.dataset.images.shape[-1]
    arch_args = arguments_of(
        arch, num_classes=num_classes, in_channels=1, image_size=image_size, width=width
    )
    with enough_memory("a smaller --width"):
        model = build(arch, arch_args).to(device, memory_format=torch.channels_last)
        ema = make_ema(model, ema_decay)
    optimizer = make_optimizer(optimizer, model, lr, weight_decay, momentum, betas, nesterov)
    criterion = make_criterion(loss, label_smoothing)
    scheduler = make_scheduler(
        *(schedule, optimizer, num_total_iterations),
        final_lr_factor=final_lr_factor,
        step_size=step_size_iters,
        gamma=gamma,
        warmup=warmup_iters,
        eval_interval=eval_interval_iters,
    )
    learner = TrainState(model, optimizer, scheduler, precision.scaler, ema)
    batch_shape = batch_size, 1, image_size, image_size
    compiled = compile_forward(model, criterion, batch_shape, device, precision.autocast, compile)
    num_in_step = train_loader.batch_sampler.batch_size
    screen = RunConsole(num_total_iterations, num_in_step, quiet=not group.is_rank0)
    shared = {"autocast": precision.autocast, "group": group, "progress_bar": screen.progress_bar}
    learn = partial(
        run_train_iterations,
        *(model, train_loader, optimizer, criterion, device),
        scheduler=scheduler,
        forward=compiled.forward,
        scaler=precision.scaler,
        micro_batch_size=batch_size,
        clip_grad_norm=clip_grad_norm,
        ema=ema,
        on_nonfinite=on_nonfinite,
        **shared,
    )
    scored = learner.scored_model
    score = partial(run_validation, scored, criterion=criterion, device=device, **shared)
    plan = report.plan(flags, device, model, compiled.line, num_classes, loaders, files)
    if summary:
        screen.line(layers.layer_table(model, batch_shape[1:], batch_size))
    if dry_run:
        screen.table("plan", plan)
        screen.table("dry run", rehearse(flags, files, learner, loaders, learn, score))
        return

    with Stopper(max_minutes, group) as stop, files.locked():
        found = files.find(resume, flags, num_in_step)
        progress = files.begin(found, flags, num_in_step, learner)
        group.seed_by_rank(seed, progress.step)
        validations = eval_interval_iters, num_total_iterations
        saving_interval = checkpoint_interval_iters or eval_interval_iters
        about = {"arch": arch, "arch_args": arch_args, "flags": flags, "classes": [*classes]}
        about |= {"mean": train_loader.dataset.mean, "std": train_loader.dataset.std}
        kind = Journal if group.is_rank0 else NullJournal
        journal = kind(screen, files, progress, train_loader, tensorboard, plots)
        lines = report.beginning(found, progress, learner, flags, files)
        journal.plan(plan, report.facts(flags, model), lines, [*classes])

        def train() -> None:
            intervals = eval_interval_iters, saving_interval
            due = next_due(progress.step, intervals, num_total_iterations)
            started = perf_counter() - progress.train_seconds

            def log(*metrics: float) -> None:
                progress.train_seconds = perf_counter() - started
                journal.training(*metrics)

            with stop.finishing(), report.explained(train_loader, files):
                _, _, progress.step = learn(
                    due - progress.step,
                    progress.step,
                    meter=progress.meter,
                    log_interval_iters=log_interval_iters,
                    log=log,
                    should_stop=stop.is_requested,
                    progress_bar=screen.segment_bar,
                )
            progress.train_seconds = perf_counter() - started
            screen.at_step(progress.step)

        def validate() -> None:
            val_loss, val_accuracy = score(val_loader)
            with stop.finishing():
                is_best = progress.validated(val_accuracy, min_delta)
                step_with_validation(scheduler, val_loss)
                journal.validation(val_loss, val_accuracy, is_best)
                if is_best:
                    scores = {"val_loss": val_loss, "val_accuracy": val_accuracy}
                    progress.best = checkpoint.model_content(
                        scored, **about, step=progress.step, **scores
                    )
                    files.save_model(progress.best)

        def save() -> None:
            if not files.state.holds(progress):  # during the test the network has other weights
                with stop.finishing():
                    files.state.save(progress, learner)

        with journal:
            try:
                with screen, enough_memory(f"--batch_size {max(1, batch_size // 2)}"):
                    while not progress.is_finished(num_total_iterations, patience):
                        if not progress.awaits_validation(*validations):
                            train()
                        stop.raise_if_requested()
                        if progress.awaits_validation(*validations):
                            validate()
                        if is_due(progress.step, saving_interval, num_total_iterations):
                            save()
                        stop.raise_if_requested()
                    save()
                    journal.lines(report.early(progress, num_total_iterations))
                    scored.load_state_dict(progress.best["model"])
                    test = score(test_loader)
            except Stopped:
                save()
                journal.line(report.stopped(progress, stop))
                sys.exit(stop.exit_code)
            results = report.results(progress, flags, device, train_loader, model, compiled, *test)
            files.save_results(results)
            journal.results(report.ending(results, files))


if __name__ == "__main__":
    cli.run(main)
