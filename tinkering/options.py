"""The flags of a training run: the type of each, what it means and which values it takes."""

from typing import Annotated, Literal

from tinkering.flags import Flag

Dataset = Annotated[
    Literal["emnist", "mnist", "fashion_mnist", "kmnist", "glyphs"],
    Flag("the data set; glyphs needs no download"),
]
EmnistSplit = Annotated[
    Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"],
    Flag("the classes of emnist and of glyphs"),
]
DataDirRoot = Annotated[str, Flag("folder of the data sets")]
ValSize = Annotated[
    int | Literal["auto"],
    Flag(
        "training images held out for validation; auto: as many as the test set has, at "
        "most a tenth; 0: validate on the test set",
        minimum=0,
    ),
]
Augment = Annotated[Literal["none", "affine"], Flag("changes to training images")]
NumWorkers = Annotated[
    int, Flag("the most loader processes to start; none where data are in memory", minimum=0)
]
Arch = Annotated[
    Literal["resnet4stage", "resnet18", "preact20", "convnet", "lenet5", "mlp", "fcn"],
    Flag("the network"),
]
Width = Annotated[
    int,
    Flag("channels of resnet4stage's first stage, hidden units of mlp", minimum=1, maximum=4096),
]
NumTotalIterations = Annotated[int, Flag("optimizer steps in all", minimum=1)]
BatchSize = Annotated[int, Flag("images a step", minimum=1)]
Loss = Annotated[
    Literal["cross_entropy", "nll"], Flag("nll: on log-probabilities, the same numbers")
]
LabelSmoothing = Annotated[
    float, Flag("share of the target spread over all classes", minimum=0, maximum=1)
]
Optimizer = Annotated[Literal["adamw", "adam", "sgd", "adadelta", "rmsprop"], Flag("the optimizer")]
Lr = Annotated[float, Flag("the highest learning rate", above=0)]
WeightDecay = Annotated[float, Flag("of weights; norms and biases go without", minimum=0)]
Momentum = Annotated[float, Flag("of sgd and rmsprop", minimum=0, maximum=1)]
Betas = Annotated[
    tuple[float, float], Flag("running means of adam and adamw", minimum=0, maximum=1)
]
Nesterov = Annotated[bool, Flag("Nesterov's momentum, for sgd")]
Schedule = Annotated[
    Literal["linear", "constant", "step", "cosine", "onecycle"],
    Flag("how the learning rate goes from lr at the first step to the last"),
]
FinalLrFactor = Annotated[
    float,
    Flag("last learning rate of linear and cosine over the first", minimum=0, maximum=1),
]
WarmupIters = Annotated[int, Flag("steps of a rise to lr before the schedule", minimum=0)]
StepSizeIters = Annotated[int, Flag("steps from drop to drop of step", minimum=1)]
Gamma = Annotated[float, Flag("each drop of step", above=0, maximum=1)]
EvalIntervalIters = Annotated[int, Flag("steps from validation to validation", minimum=1)]
LogIntervalIters = Annotated[int, Flag("steps from line to line of metrics", minimum=1)]
Seed = Annotated[int, Flag("of weights, order and augmentation", minimum=0, maximum=2**32 - 1)]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], Flag("where to compute")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"], Flag("of the forward pass; auto: bf16 if fast")
]
SavePath = Annotated[str, Flag("folder for what the run leaves")]
ModelName = Annotated[str, Flag("the best checkpoint's file in save_path", is_file_name=True)]
RunId = Annotated[
    str | None,
    Flag(
        "the run's folder in save_path",
        is_file_name=True,
        none_means="model_name without its ending",
    ),
]
Resume = Annotated[
    Literal["auto", "never", "must"],
    Flag(
        "going on with the run of this run_id; auto: if there is one; never: start anew, "
        "moving it aside; must: end with exit code 3 if there is none"
    ),
]
CheckpointIntervalIters = Annotated[
    int | None,
    Flag("steps from saved state to saved state", minimum=1, none_means="eval_interval_iters"),
]
MaxMinutes = Annotated[
    float | None,
    Flag("stop cleanly after this time, to go on later", above=0, none_means="no limit"),
]
OnNonfinite = Annotated[
    Literal["stop", "skip"],
    Flag("at a loss that is not finite; skip: leave the batch out, ten in a row at most"),
]
ClipGradNorm = Annotated[
    float | None, Flag("longest gradient, as a norm", above=0, none_means="no limit")
]
Traceback = Annotated[bool, Flag("show the frames of an error, too")]
