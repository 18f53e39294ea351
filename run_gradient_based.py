"""Trains a ResNet on handwritten characters: the whole run on one page.

    python run_gradient_based.py --lr 1e-5 --emnist_split byclass
    python run_gradient_based.py --dataset mnist --num_total_iterations 2000

The rooms that this page puts together are listed in tinkering/__init__.py.
"""

from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal

from tinkering import cli
from tinkering.flags import Flag

Dataset = Literal["emnist", "mnist", "fashion_mnist", "kmnist", "glyphs"]
Split = Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"]


def main(
    *,
    dataset: Annotated[Dataset, Flag("the data set; glyphs needs no download")] = "emnist",
    emnist_split: Annotated[Split, Flag("the classes of emnist and of glyphs")] = "byclass",
    data_dir_root: Annotated[str, Flag("folder of the data sets")] = "./emnist_data",
    val_size: Annotated[
        int | Literal["auto"],
        Flag(
            "training images held out for validation; auto: as many as the test set has, at "
            "most a tenth; 0: validate on the test set",
            minimum=0,
        ),
    ] = "auto",
    augment: Annotated[Literal["none", "affine"], Flag("changes to training images")] = "none",
    num_workers: Annotated[
        int, Flag("the most loader processes to start; none where data are in memory", minimum=0)
    ] = 4,
    arch: Annotated[Literal["resnet4stage"], Flag("the network")] = "resnet4stage",
    width: Annotated[int, Flag("channels of its first stage", minimum=1, maximum=4096)] = 64,
    num_total_iterations: Annotated[int, Flag("optimizer steps in all", minimum=1)] = 20_000,
    batch_size: Annotated[int, Flag("images a step", minimum=1)] = 64,
    lr: Annotated[float, Flag("AdamW's learning rate at the first step", above=0)] = 1e-3,
    final_lr_factor: Annotated[
        float, Flag("learning rate of the last step over that of the first", minimum=0, maximum=1)
    ] = 0.01,
    weight_decay: Annotated[float, Flag("AdamW's weight decay", minimum=0)] = 1e-4,
    eval_interval_iters: Annotated[
        int, Flag("steps from validation to validation", minimum=1)
    ] = 500,
    log_interval_iters: Annotated[int, Flag("steps from line to line of metrics", minimum=1)] = 100,
    seed: Annotated[
        int, Flag("of weights, order and augmentation", minimum=0, maximum=2**32 - 1)
    ] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Flag("where to compute")] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], Flag("of the forward pass; auto: bf16 if fast")
    ] = "auto",
    save_path: Annotated[str, Flag("folder for what the run leaves")] = "./saved_models",
    model_name: Annotated[
        str, Flag("the best checkpoint's file in save_path", is_file_name=True)
    ] = "resnet_emnist.pt",
    run_id: Annotated[
        str | None,
        Flag(
            "the run's folder in save_path",
            is_file_name=True,
            none_means="model_name without its ending",
        ),
    ] = None,
) -> None:
    """Trains a ResNet on handwritten characters for a fixed number of optimizer steps.

    usage: python run_gradient_based.py [--flag value | --flag=value] ...
    """
    flags = dict(locals())  # before there are other names
    # Not at the top: --help and a mistyped flag are answered before torch is loaded.
    import rich.traceback
    import torch

    from tinkering import checkpoint
    from tinkering.device import choose_device, choose_precision
    from tinkering.emnist_dataset import get_emnist_dataloaders, hold_out_validation
    from tinkering.journal import Journal
    from tinkering.models import ARCHITECTURES
    from tinkering.recipes import linear_decay
    from tinkering.train import run_train_iterations, run_validation

    rich.traceback.install()
    device = choose_device(device)
    precision = choose_precision(precision, device)
    model_path = Path(save_path, model_name)
    results_path = Path(save_path, run_id or Path(model_name).stem, "results.json")
    checkpoint.prepare_folders(model_path, results_path)

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
    arch_args = {"num_classes": num_classes, "in_channels": 1, "width": width}
    model = ARCHITECTURES[arch](**arch_args).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    criterion = torch.nn.CrossEntropyLoss()
    scheduler = linear_decay(optimizer, num_total_iterations, final_lr_factor)

    journal = Journal(num_total_iterations, batch_size)
    num_parameters = sum(p.numel() for p in model.parameters())
    split = emnist_split if dataset in ("emnist", "glyphs") else None
    journal.plan(
        {
            "data set": f"{' '.join(filter(None, (dataset, split)))}: {num_classes} classes, "
            f"in {data_dir_root}",
            "images": f"{len(train_loader.dataset):,} to train on, {len(val_loader.dataset):,} to "
            f"validate, {len(test_loader.dataset):,} to test; augment {augment}",
            "network": f"{arch}, width {width}: {num_parameters:,} parameters",
            "steps": f"{num_total_iterations:,} of {batch_size} images, seed {seed}",
            "learning rate": f"{lr:g} to {lr * final_lr_factor:g}, weight decay {weight_decay:g}",
            "device": f"{device}, {precision.name}, {torch.get_num_threads()} threads",
            "files": f"{model_path} and {results_path}",
        }
    )
    optimistic = "OPTIMISTIC: the checkpoint was chosen on the test set (val_size 0)"
    if val_size == 0:
        journal.line(f"scores will be {optimistic}")
    step, best_step, best_accuracy, train_seconds = 0, 0, -1.0, 0.0
    with journal:
        while step < num_total_iterations:
            started = perf_counter()
            _, _, step = run_train_iterations(
                model,
                train_loader,
                optimizer,
                criterion,
                device,
                min(eval_interval_iters, num_total_iterations - step),
                step,
                scheduler,
                autocast=precision.autocast,
                scaler=precision.scaler,
                log_interval_iters=log_interval_iters,
                log=journal.training,
                progress_bar=journal.segment_bar,
            )
            train_seconds += perf_counter() - started
            journal.segment_done(step)
            val_loss, val_accuracy = run_validation(
                model,
                val_loader,
                criterion,
                device,
                autocast=precision.autocast,
                progress_bar=journal.progress_bar,
            )
            improved = val_accuracy > best_accuracy
            journal.validation(step, val_loss, val_accuracy, "best so far" if improved else "")
            if improved:
                best_step, best_accuracy = step, val_accuracy
                checkpoint.save_model(
                    model_path,
                    model,
                    arch=arch,
                    arch_args=arch_args,
                    flags=flags,
                    classes=list(class_to_idx),
                    mean=train_loader.dataset.mean,
                    std=train_loader.dataset.std,
                    step=step,
                    val_loss=val_loss,
                    val_accuracy=val_accuracy,
                )
        model.load_state_dict(checkpoint.load_model(model_path)["model"])
        test_loss, test_accuracy = run_validation(
            model,
            test_loader,
            criterion,
            device,
            autocast=precision.autocast,
            progress_bar=journal.progress_bar,
        )
    images_per_second = train_loader.batch_sampler.num_drawn(step) / train_seconds
    results = {
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "best_val_accuracy": best_accuracy,
        "best_step": best_step,
        "num_parameters": num_parameters,
        "images_per_second": images_per_second,
        "train_seconds": train_seconds,
        "seed": seed,
        "dataset": dataset,
        "emnist_split": split,
        "device": str(device),
        "precision": precision.name,
        "note": optimistic if val_size == 0 else "",
        "versions": checkpoint.versions(),
        "flags": flags,
    }
    checkpoint.save_results(results_path, results)
    journal.results(
        {
            "test accuracy": f"{test_accuracy:.2%}" + (f"  {optimistic}" if val_size == 0 else ""),
            "test loss": f"{test_loss:.4f}",
            "best validation": f"{best_accuracy:.2%} at step {best_step:,}",
            "training": f"{train_seconds:.0f} s, {images_per_second:,.0f} images/s",
            "best checkpoint": str(model_path),
            "figures": str(results_path),
        }
    )


if __name__ == "__main__":
    cli.run(main)
