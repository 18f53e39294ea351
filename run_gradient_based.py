"""Train a ResNet on handwritten characters: the whole run on one page."""

from tinkering.cli import process

if __name__ == "__main__":
    process.exit_at_ctrl_c()  # before the other imports

from tinkering.cli import configs, options
from tinkering.cli.run import run as run_cli


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
    model_name: options.ModelName = None,
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
    """Train a ResNet on handwritten characters for a fixed number of optimizer steps.

    usage: python run_gradient_based.py [--flag value | --flag=value] ...
    """
    flags = dict(locals())  # before there are other names
    import torch  # here, so that --help and a mistyped flag are answered before torch is loaded

    from tinkering import emnist_dataset, extras, models
    from tinkering.data import loader, splits
    from tinkering.models import checks
    from tinkering.optim import losses, optimizers, schedules
    from tinkering.reporting import journal, rehearsal, report
    from tinkering.reporting.console import RunConsole
    from tinkering.runs import layout, state
    from tinkering.runs.run import Run
    from tinkering.runtime import compiling, distributed, memory, signals
    from tinkering.runtime import device as devices
    from tinkering.train import run_train_iterations, run_validation

    # Processes, device, files
    extras.check(arch, tensorboard)
    group = distributed.join_group()
    target = devices.choose_device(device)
    devices.make_fast(target, batch_size, group.local_rank)
    amp = devices.choose_precision(precision, target)
    run_id, model_name = layout.run_names(flags)
    files = layout.RunFiles(save_path, run_id, model_name)
    group.broadcast_from_rank0(files.check if dry_run else files.prepare)

    # Data: all images as uint8, then training, validation and test part, then their loaders
    with group.rank0_first():
        train_set, test_set, classes = emnist_dataset.load_datasets(
            dataset, data_dir_root, emnist_split, augment, seed, not dry_run, data_on, target
        )
    images_per_step = batch_size * grad_accum_steps * group.world_size
    overfit = images_per_step if overfit_one_batch else None
    parts = splits.make_splits(train_set, test_set, val_size, train_subset, test_subset, overfit)
    loaders = loader.make_loaders(*parts, batch_size, grad_accum_steps, seed, group)
    num_steps = loaders.train.steps_in(num_total_epochs) or num_total_iterations

    # Network, loss, optimizer, learning-rate schedule
    image_shape, sizes = train_set.image_shape, loaders.train.micro_batch_sizes(batch_size)
    arch_args = models.arguments_of(arch, len(classes), image_shape, width)
    checks.check_network(arch, arch_args, image_shape, sizes, memory.available_memory(target))
    torch.manual_seed(seed)
    with memory.enough_memory("a smaller --width"):
        model = models.build(arch, arch_args, target)
        ema = optimizers.make_ema(model, ema_decay)
    criterion = losses.make_criterion(loss, label_smoothing)
    opt = optimizers.make_optimizer(optimizer, model, lr, weight_decay, momentum, betas, nesterov)
    scheduler = schedules.make_scheduler(
        schedule, opt, num_steps, final_lr_factor, step_size_iters, gamma, warmup_iters
    )

    # The run: its state, its files, its console
    flags |= {"run_id": run_id, "model_name": model_name, "precision": amp.name}
    flags |= {"num_total_iterations": num_steps, "num_total_epochs": None}
    train_state = state.TrainState(model, opt, scheduler, amp.scaler, ema)
    run = Run(files, flags, train_state, loaders, arch_args, classes, group)
    console = RunConsole(num_steps, images_per_step, quiet=not group.is_rank0)
    scoring: dict = {"autocast": amp.autocast, "group": group, "progress_bar": console.progress_bar}
    training = scoring | {"progress_bar": console.segment_bar, "scaler": amp.scaler, "ema": ema}
    training |= {"micro_batch_size": batch_size, "clip_grad_norm": clip_grad_norm}
    training |= {"on_nonfinite": on_nonfinite, "log_interval_iters": log_interval_iters}

    advice = f"--batch_size {max(1, batch_size // 2)}"
    with signals.Stopper(max_minutes, group) as stop, memory.enough_memory(advice):
        compiled = compiling.compile_forward(
            model, criterion, (max(sizes), *image_shape), target, amp.autocast, compile
        )
        training |= {"forward": compiled.forward, "scheduler": scheduler}
        if dry_run:
            rehearsal.rehearse(console, run, criterion, target, compiled.line, training, scoring)
            return
        text, free_flags = configs.config_text(main, flags), configs.free_on_resume(main)
        with (
            run.started(resume, text, free_flags) as loop,
            journal.open_journal(console, run, stop, target, compiled.line) as log,
        ):
            training |= {"meter": loop.meter, "log": log.training, "should_stop": stop.is_requested}
            while not run.is_finished:
                if not run.awaits_validation:
                    with stop.finishing(), run.segment() as n:
                        *_, loop.step = run_train_iterations(
                            model, loaders.train, opt, criterion, target, n, loop.step, **training
                        )
                stop.raise_if_requested()
                if run.awaits_validation:
                    val_loss, val_accuracy = run_validation(
                        train_state.eval_model, loaders.val, criterion, target, **scoring
                    )
                    with stop.finishing():
                        is_best = run.record_validation(val_loss, val_accuracy)
                        log.validation(val_loss, val_accuracy, is_best)
                with stop.finishing():
                    run.save_if_due()
                stop.raise_if_requested()
            scores = run_validation(run.best_model(), loaders.test, criterion, target, **scoring)
            log.results(report.make_results(run, target, compiled.seconds, *scores))


if __name__ == "__main__":
    run_cli(main)
