"""Trains a ResNet on handwritten characters: the whole run on one page.

    python run_gradient_based.py --lr 1e-5 --emnist_split byclass
    python run_gradient_based.py --dataset mnist --num_total_iterations 2000

The rooms that this page puts together are listed in tinkering/__init__.py.
"""

import sys
from functools import partial
from pathlib import Path
from time import perf_counter

from tinkering import cli, options


def main(
    *,
    dataset: options.Dataset = "emnist",
    emnist_split: options.EmnistSplit = "byclass",
    data_dir_root: options.DataDirRoot = "./emnist_data",
    val_size: options.ValSize = "auto",
    augment: options.Augment = "none",
    num_workers: options.NumWorkers = 4,
    arch: options.Arch = "resnet4stage",
    width: options.Width = 64,
    num_total_iterations: options.NumTotalIterations = 20_000,
    batch_size: options.BatchSize = 64,
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
    eval_interval_iters: options.EvalIntervalIters = 500,
    log_interval_iters: options.LogIntervalIters = 100,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    save_path: options.SavePath = "./saved_models",
    model_name: options.ModelName = "resnet_emnist.pt",
    run_id: options.RunId = None,
    resume: options.Resume = "auto",
    checkpoint_interval_iters: options.CheckpointIntervalIters = None,
    max_minutes: options.MaxMinutes = None,
    on_nonfinite: options.OnNonfinite = "stop",
    clip_grad_norm: options.ClipGradNorm = None,
    traceback: options.Traceback = False,
) -> None:
    """Trains a ResNet on handwritten characters for a fixed number of optimizer steps.

    usage: python run_gradient_based.py [--flag value | --flag=value] ...
    """
    flags = dict(locals())  # before there are other names
    # Not at the top: --help and a mistyped flag are answered before torch is loaded.
    import rich.traceback
    import torch

    from tinkering import checkpoint, report
    from tinkering.device import choose_device, choose_precision, enough_memory
    from tinkering.emnist_dataset import get_emnist_dataloaders, hold_out_validation
    from tinkering.journal import Journal, MetricsFile
    from tinkering.models import ARCHITECTURES, arguments_of
    from tinkering.recipes import make_criterion, make_optimizer, make_scheduler
    from tinkering.resume import RunFiles
    from tinkering.state import Learner
    from tinkering.stopping import Stopped, Stopper
    from tinkering.train import is_due, next_due, run_train_iterations, run_validation

    rich.traceback.install()
    device = choose_device(device)
    precision = choose_precision(precision, device)
    files = RunFiles(Path(save_path), model_name, run_id or Path(model_name).stem)
    flags |= {"precision": precision.name, "run_id": files.run_id}
    saving_interval = checkpoint_interval_iters or eval_interval_iters

    with Stopper(max_minutes) as stop, files.locked():
        found = files.find(resume, flags)
        train_loader, test_loader, num_classes, class_to_idx = get_emnist_dataloaders(
            data_dir_root,
            batch_size,
            num_workers,
            emnist_split,
            dataset=dataset,
            augment=augment,
            seed=seed,
        )
        train_loader, val_loader = hold_out_validation(train_loader, test_loader, val_size)
        torch.manual_seed(seed)
        image_size = train_loader.dataset.images.shape[-1]
        arch_args = arguments_of(
            arch, num_classes=num_classes, in_channels=1, image_size=image_size, width=width
        )
        with enough_memory("a smaller --width"):
            model = ARCHITECTURES[arch](**arch_args).to(device, memory_format=torch.channels_last)
        optimizer = make_optimizer(optimizer, model, lr, weight_decay, momentum, betas, nesterov)
        criterion = make_criterion(loss, label_smoothing)
        scheduler = make_scheduler(
            schedule,
            optimizer,
            num_total_iterations,
            final_lr_factor=final_lr_factor,
            step_size=step_size_iters,
            gamma=gamma,
            warmup=warmup_iters,
        )
        learner = Learner(model, optimizer, scheduler, precision.scaler)
        progress = files.begin(found, flags, learner)

        metrics = MetricsFile(files.metrics, progress.metrics)
        journal = Journal(num_total_iterations, batch_size, metrics, progress.step)
        loaders = train_loader, val_loader, test_loader
        journal.plan(report.plan(flags, device, model, num_classes, loaders, files))
        for line in report.beginning(found, progress, learner, flags, files):
            journal.line(line)
        score = partial(
            run_validation,
            model,
            criterion=criterion,
            device=device,
            autocast=precision.autocast,
            progress_bar=journal.progress_bar,
        )

        def train() -> None:
            intervals = eval_interval_iters, saving_interval
            due = next_due(progress.step, intervals, num_total_iterations)
            started = perf_counter()
            with stop.finishing(), report.explained(train_loader, files):
                _, _, progress.step = run_train_iterations(
                    model,
                    train_loader,
                    optimizer,
                    criterion,
                    device,
                    due - progress.step,
                    progress.step,
                    scheduler,
                    autocast=precision.autocast,
                    scaler=precision.scaler,
                    clip_grad_norm=clip_grad_norm,
                    on_nonfinite=on_nonfinite,
                    meter=progress.meter,
                    log_interval_iters=log_interval_iters,
                    log=journal.training,
                    should_stop=stop.is_requested,
                    progress_bar=journal.segment_bar,
                )
            progress.train_seconds += perf_counter() - started
            journal.segment_done(progress.step)

        def validation_is_due() -> bool:
            due = is_due(progress.step, eval_interval_iters, num_total_iterations)
            return due and progress.validated_step < progress.step

        def validate() -> None:
            val_loss, val_accuracy = score(dataloader=val_loader)
            with stop.finishing():
                is_best = val_accuracy > progress.best_accuracy
                journal.validation(progress.step, val_loss, val_accuracy, is_best)
                progress.validated_step = progress.step
                if is_best:
                    progress.best_step, progress.best_accuracy = progress.step, val_accuracy
                    progress.best = checkpoint.model_content(
                        model,
                        arch=arch,
                        arch_args=arch_args,
                        flags=flags,
                        classes=list(class_to_idx),
                        mean=train_loader.dataset.mean,
                        std=train_loader.dataset.std,
                        step=progress.step,
                        val_loss=val_loss,
                        val_accuracy=val_accuracy,
                    )
                    checkpoint.save(files.model, progress.best)

        def save_if_due() -> None:
            if is_due(progress.step, saving_interval, num_total_iterations):
                with stop.finishing():
                    files.state.save(progress, learner)

        try:
            with journal, enough_memory(f"--batch_size {max(1, batch_size // 2)}"):
                while progress.validated_step < num_total_iterations:
                    if validation_is_due():
                        validate()
                    else:
                        train()
                    if not validation_is_due():
                        save_if_due()
                    stop.raise_if_requested()
                model.load_state_dict(progress.best["model"])
                test_loss, test_accuracy = score(dataloader=test_loader)
        except Stopped:
            if not files.state.holds(progress):  # during the test the network has other weights
                files.state.save(progress, learner)
            journal.line(report.stopped(progress, stop))
            sys.exit(stop.exit_code)
        results = report.results(
            progress, flags, device, train_loader, model, test_loss, test_accuracy
        )
        checkpoint.save_results(files.results, results)
        journal.results(report.ending(results, files))


if __name__ == "__main__":
    cli.run(main)
