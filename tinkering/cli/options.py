"""The flags of a training run: the type, the meaning and the range of each."""

from functools import partial
from typing import Annotated, Literal

from tinkering.cli.values import Flag

positive = partial(Flag, minimum=1)
share = partial(Flag, minimum=0, maximum=1)
free = partial(Flag, free_on_resume=True)
path = partial(free, is_path=True)
file_name = partial(free, is_file_name=True)
command = partial(free, in_config=False)  # not part of a run's own config

Config = Annotated[str | None, command("YAML file of flags; given flags override it", is_path=True)]
Preset = Annotated[
    Literal["default", "pytorch-example", "mlp-mnist", "pipeline", "fcn-mnist", "speedrun"] | None,
    command("recipe that comes with the program; config and command line override it"),
]
Dataset = Annotated[
    Literal["emnist", "mnist", "fashion_mnist", "kmnist", "glyphs"],
    Flag("data set; glyphs needs no download"),
]
EmnistSplit = Annotated[
    Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"],
    Flag("split of emnist, and classes of glyphs"),
]
DataDirRoot = Annotated[str, path("folder of the data sets")]
ValSize = Annotated[
    int | Literal["auto"],
    Flag(
        "training images held out for validation; auto: as many as the test set has, at most a "
        "tenth; 0: validate on the test set",
        minimum=0,
    ),
]
TrainSubset = Annotated[int | None, positive("number of random training images", none_means="all")]
TestSubset = Annotated[int | None, positive("number of random test images", none_means="all")]
OverfitOneBatch = Annotated[
    bool, Flag("train and score on one batch: a network that cannot learn it has a bug")
]
Augment = Annotated[Literal["none", "affine"], Flag("augmentation of the training images")]
NumWorkers = Annotated[int, free("loader processes at most; data in memory need none", minimum=0)]
Arch = Annotated[
    Literal["resnet4stage", "resnet18", "preact20", "convnet", "lenet5", "stridenet"]
    | Literal["mlp", "fcn", "timm:NAME"],
    Flag("network architecture; timm:NAME: any of the optional package timm"),
]
Width = Annotated[
    int, positive("first channels of resnet4stage, hidden units of mlp", maximum=4096)
]
NumTotalIterations = Annotated[int, positive("number of optimizer steps")]
NumTotalEpochs = Annotated[
    float | None, Flag("epochs, in place of num_total_iterations", above=0, maximum=10**6)
]
BatchSize = Annotated[int, free("images per micro-batch", minimum=1)]
GradAccumSteps = Annotated[int, free("micro-batches per optimizer step", minimum=1)]
Loss = Annotated[Literal["cross_entropy", "nll"], Flag("loss function; both give the same numbers")]
LabelSmoothing = Annotated[float, share("share of the target spread over all classes")]
Optimizer = Annotated[Literal["adamw", "adam", "sgd", "adadelta", "rmsprop"], Flag("optimizer")]
Lr = Annotated[float, Flag("maximum learning rate", above=0)]
WeightDecay = Annotated[float, Flag("weight decay, but not of biases and norms", minimum=0)]
Momentum = Annotated[float, share("momentum of sgd and rmsprop")]
Betas = Annotated[tuple[float, float], share("decay rates of adam's and adamw's averages")]
Nesterov = Annotated[bool, Flag("Nesterov momentum, for sgd")]
Schedule = Annotated[
    Literal["linear", "constant", "step", "cosine", "onecycle", "plateau"],
    Flag("learning-rate schedule"),
]
FinalLrFactor = Annotated[float, share("final rate of linear and cosine, as a share of lr")]
WarmupIters = Annotated[int, Flag("steps of linear warm-up before the schedule", minimum=0)]
StepSizeIters = Annotated[
    int, positive("steps between drops of step; for plateau, steps without a better loss")
]
Gamma = Annotated[float, Flag("factor of the drops of step and plateau", above=0, maximum=1)]
EmaDecay = Annotated[
    float | None,
    share("score and save an exponential moving average of the weights with this decay"),
]
Patience = Annotated[int | None, positive("stop after this many validations without improvement")]
MinDelta = Annotated[float, share("smallest gain in accuracy that patience counts as better")]
EvalIntervalIters = Annotated[int, positive("steps between validations")]
LogIntervalIters = Annotated[int, positive("steps between rows of metrics")]
Seed = Annotated[int, Flag("seed of weights, order and augmentation", minimum=0, maximum=2**32 - 1)]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], free("device; auto: the fastest")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    Flag("format of the forward pass; auto: bf16 where it is fast, else fp32"),
]
Compile = Annotated[
    bool | Literal["reduce-overhead"],
    Flag("torch.compile for network and loss; reduce-overhead: with CUDA graphs"),
]
DataOn = Annotated[
    Literal["auto", "host", "device"],
    free("memory in which images are stored and augmented; auto: a CUDA device's if they fit"),
]
SavePath = Annotated[str, path("folder of all runs")]
ModelName = Annotated[
    str | None, file_name("file of the best checkpoint, in save_path", none_means="<run_id>.pt")
]
RunId = Annotated[
    str | None,
    file_name(
        "name of the run, and of its folder in save_path",
        none_means="from model_name, data set or network",
    ),
]
Resume = Annotated[
    Literal["auto", "never", "must"],
    command(
        "whether to resume the run of this run_id; auto: if there is one; never: start a new run "
        "and move the old one's files aside; must: exit with code 3 if there is none"
    ),
]
CheckpointIntervalIters = Annotated[
    int | None,
    free("steps between saves of the state", minimum=1, none_means="eval_interval_iters"),
]
MaxMinutes = Annotated[
    float | None,  # Windows limits a timer to 49 days
    free("stop cleanly after this time; the run can be resumed", above=0, maximum=60 * 24 * 30),
]
OnNonfinite = Annotated[
    Literal["stop", "skip"],
    free("when the loss is infinite or NaN; skip: leave the batch out, at most ten in a row"),
]
ClipGradNorm = Annotated[float | None, Flag("maximum gradient norm", above=0)]
Plots = Annotated[bool, free("draw the metrics at validations, into <run_id>/plots")]
Tensorboard = Annotated[bool, free("write metrics for the optional package tensorboard")]
Summary = Annotated[bool, free("print layers, parameters and multiply-adds")]
DryRun = Annotated[bool, command("print plan, time and memory of the run; write nothing")]
Traceback = Annotated[bool, command("print the Python traceback of an error")]
