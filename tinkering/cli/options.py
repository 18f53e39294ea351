"""The flags of a training run: the type, the meaning and the range of each."""

from typing import Annotated, Literal

from tinkering.cli.values import Flag

Config = Annotated[
    str | None,
    Flag(
        "YAML file of flags; flags on the command line override it",
        is_path=True,
        none_means="none",
        free_on_resume=True,
        in_config=False,
    ),
]
Preset = Annotated[
    Literal["default", "pytorch-example", "mlp-mnist", "pipeline", "fcn-mnist", "speedrun"] | None,
    Flag(
        "recipe that comes with the program; the config and the command line override it",
        none_means="none",
        free_on_resume=True,
        in_config=False,
    ),
]
Dataset = Annotated[
    Literal["emnist", "mnist", "fashion_mnist", "kmnist", "glyphs"],
    Flag("data set; glyphs needs no download"),
]
EmnistSplit = Annotated[
    Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"],
    Flag("split of emnist, and classes of glyphs"),
]
DataDirRoot = Annotated[str, Flag("folder of the data sets", is_path=True, free_on_resume=True)]
ValSize = Annotated[
    int | Literal["auto"],
    Flag(
        "training images held out for validation; auto: as many as the test set has, at "
        "most a tenth; 0: validate on the test set",
        minimum=0,
    ),
]
TrainSubset = Annotated[
    int | None, Flag("train on a random subset of this many images", minimum=1, none_means="all")
]
TestSubset = Annotated[
    int | None, Flag("test on a random subset of this many images", minimum=1, none_means="all")
]
OverfitOneBatch = Annotated[
    bool, Flag("train and score on one batch only: a network that cannot learn it has a bug")
]
Augment = Annotated[Literal["none", "affine"], Flag("augmentation of the training images")]
NumWorkers = Annotated[
    int,
    Flag(
        "maximum number of loader processes; none are started for data in memory",
        minimum=0,
        free_on_resume=True,
    ),
]
Arch = Annotated[
    Literal[
        "resnet4stage",
        "resnet18",
        "preact20",
        "convnet",
        "lenet5",
        "stridenet",
        "mlp",
        "fcn",
        "timm:NAME",
    ],
    Flag("network architecture; timm:NAME: any of the optional package timm"),
]
Width = Annotated[
    int,
    Flag("channels of resnet4stage's first stage, hidden units of mlp", minimum=1, maximum=4096),
]
NumTotalIterations = Annotated[int, Flag("number of optimizer steps", minimum=1)]
NumTotalEpochs = Annotated[
    float | None,
    Flag(
        "number of epochs, in place of num_total_iterations",
        above=0,
        maximum=10**6,
        instead_of="num_total_iterations",
        none_means="set by num_total_iterations",
    ),
]
BatchSize = Annotated[int, Flag("images per micro-batch", minimum=1, free_on_resume=True)]
GradAccumSteps = Annotated[
    int, Flag("micro-batches per optimizer step", minimum=1, free_on_resume=True)
]
Loss = Annotated[
    Literal["cross_entropy", "nll"],
    Flag("loss function; nll, on log-probabilities: the same numbers"),
]
LabelSmoothing = Annotated[
    float, Flag("share of the target spread over all classes", minimum=0, maximum=1)
]
Optimizer = Annotated[Literal["adamw", "adam", "sgd", "adadelta", "rmsprop"], Flag("optimizer")]
Lr = Annotated[float, Flag("maximum learning rate", above=0)]
WeightDecay = Annotated[float, Flag("weight decay, but not of biases and norms", minimum=0)]
Momentum = Annotated[float, Flag("momentum of sgd and rmsprop", minimum=0, maximum=1)]
Betas = Annotated[
    tuple[float, float], Flag("decay rates of adam's and adamw's averages", minimum=0, maximum=1)
]
Nesterov = Annotated[bool, Flag("Nesterov momentum, for sgd")]
Schedule = Annotated[
    Literal["linear", "constant", "step", "cosine", "onecycle", "plateau"],
    Flag("learning-rate schedule"),
]
FinalLrFactor = Annotated[
    float, Flag("final learning rate of linear and cosine, as a share of lr", minimum=0, maximum=1)
]
WarmupIters = Annotated[int, Flag("steps of linear warm-up before the schedule", minimum=0)]
StepSizeIters = Annotated[
    int,
    Flag(
        "steps between drops of step; for plateau, steps without a better validation loss",
        minimum=1,
    ),
]
Gamma = Annotated[
    float, Flag("factor of each learning-rate drop of step and plateau", above=0, maximum=1)
]
EmaDecay = Annotated[
    float | None,
    Flag(
        "validate, test and save an exponential moving average of the weights with this decay",
        minimum=0,
        maximum=1,
        none_means="no average",
    ),
]
Patience = Annotated[
    int | None,
    Flag(
        "stop after this many validations without a better accuracy",
        minimum=1,
        none_means="no early stopping",
    ),
]
MinDelta = Annotated[
    float, Flag("smallest gain in accuracy that patience counts as better", minimum=0, maximum=1)
]
EvalIntervalIters = Annotated[int, Flag("steps between validations", minimum=1)]
LogIntervalIters = Annotated[int, Flag("steps between rows of metrics", minimum=1)]
Seed = Annotated[
    int,
    Flag("random seed of weights, order of images and augmentation", minimum=0, maximum=2**32 - 1),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    Flag("device to train on; auto: the fastest available", free_on_resume=True),
]
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
    Flag(
        "memory in which images are stored and augmented; auto: a CUDA device's if they fit",
        free_on_resume=True,
    ),
]
SavePath = Annotated[str, Flag("folder of all runs", is_path=True, free_on_resume=True)]
ModelName = Annotated[
    str | None,
    Flag(
        "file name of the best checkpoint, in save_path",
        is_file_name=True,
        none_means="<run_id>.pt",
        free_on_resume=True,
    ),
]
RunId = Annotated[
    str | None,
    Flag(
        "name of the run, and of its folder in save_path",
        is_file_name=True,
        none_means="model_name without its ending, else a name of data set and network",
        free_on_resume=True,
    ),
]
Resume = Annotated[
    Literal["auto", "never", "must"],
    Flag(
        "whether to resume the run of this run_id; auto: if there is one; never: start a new run "
        "and move the old one's files aside; must: exit with code 3 if there is none",
        free_on_resume=True,
        in_config=False,
    ),
]
CheckpointIntervalIters = Annotated[
    int | None,
    Flag(
        "steps between saves of the training state",
        minimum=1,
        none_means="eval_interval_iters",
        free_on_resume=True,
    ),
]
MaxMinutes = Annotated[
    float | None,
    Flag(
        "stop cleanly after this many minutes; the run can be resumed",
        above=0,
        maximum=60 * 24 * 30,  # Windows allows a timer 49 days
        none_means="no limit",
        free_on_resume=True,
    ),
]
OnNonfinite = Annotated[
    Literal["stop", "skip"],
    Flag(
        "when the loss is infinite or NaN; skip: leave the batch out, at most ten in a row",
        free_on_resume=True,
    ),
]
ClipGradNorm = Annotated[
    float | None, Flag("maximum gradient norm", above=0, none_means="no limit")
]
Plots = Annotated[
    bool,
    Flag(
        "draw the metrics at validations, in the run's own process, into <run_id>/plots",
        free_on_resume=True,
    ),
]
Tensorboard = Annotated[
    bool, Flag("write metrics for the optional package tensorboard", free_on_resume=True)
]
Summary = Annotated[bool, Flag("print layers, parameters and multiply-adds", free_on_resume=True)]
DryRun = Annotated[
    bool,
    Flag(
        "print the plan, try a step, estimate time and memory; writes nothing",
        free_on_resume=True,
        in_config=False,
    ),
]
Traceback = Annotated[
    bool, Flag("print the Python traceback of an error", free_on_resume=True, in_config=False)
]
