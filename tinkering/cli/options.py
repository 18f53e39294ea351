"""The flags of a training run: the type of each, what it means and which values it takes."""

from typing import Annotated, Literal

from tinkering.cli.values import Flag

Config = Annotated[
    str | None, Flag("YAML file of flags; flags given here come before it", none_means="none")
]
Preset = Annotated[
    Literal["default", "pytorch-example", "mlp-mnist", "pipeline", "fcn-mnist", "speedrun"] | None,
    Flag("a recipe of the program's own; flags and config come before it", none_means="none"),
]
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
TrainSubset = Annotated[
    int | None, Flag("training images to keep of those there are", minimum=1, none_means="all")
]
TestSubset = Annotated[
    int | None, Flag("test images to keep of those there are", minimum=1, none_means="all")
]
OverfitOneBatch = Annotated[
    bool,
    Flag("train and score on one batch only: a network that cannot learn it has a bug"),
]
Augment = Annotated[Literal["none", "affine"], Flag("changes to training images")]
NumWorkers = Annotated[
    int, Flag("the most loader processes to start; none where data are in memory", minimum=0)
]
Arch = Annotated[
    Literal[
        *("resnet4stage", "resnet18", "preact20", "convnet", "lenet5", "stridenet", "mlp", "fcn"),
        "timm:NAME",
    ],
    Flag("the network; timm:NAME: any of the package timm's, an extra"),
]
Width = Annotated[
    int,
    Flag("channels of resnet4stage's first stage, hidden units of mlp", minimum=1, maximum=4096),
]
NumTotalIterations = Annotated[int, Flag("optimizer steps in all", minimum=1)]
NumTotalEpochs = Annotated[
    float | None,
    Flag(
        "passes over the training images, in place of num_total_iterations",
        above=0,
        instead_of="num_total_iterations",
        none_means="as num_total_iterations says",
    ),
]
BatchSize = Annotated[int, Flag("images a batch", minimum=1)]
GradAccumSteps = Annotated[int, Flag("batches an optimizer step", minimum=1)]
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
    Literal["linear", "constant", "step", "cosine", "onecycle", "plateau"],
    Flag("how the learning rate goes from lr at the first step to the last"),
]
FinalLrFactor = Annotated[
    float,
    Flag("last learning rate of linear and cosine over the first", minimum=0, maximum=1),
]
WarmupIters = Annotated[int, Flag("steps of a rise to lr before the schedule", minimum=0)]
StepSizeIters = Annotated[
    int,
    Flag("steps to each drop of step; of plateau, without a better validation loss", minimum=1),
]
Gamma = Annotated[float, Flag("each drop of step and plateau", above=0, maximum=1)]
EmaDecay = Annotated[
    float | None,
    Flag(
        "validate, test and save a running mean of the weights that keeps this share a step",
        minimum=0,
        maximum=1,
        none_means="the weights themselves",
    ),
]
Patience = Annotated[
    int | None,
    Flag(
        "stop after this many validations without a better accuracy", minimum=1, none_means="never"
    ),
]
MinDelta = Annotated[
    float, Flag("accuracy that counts as better, for patience", minimum=0, maximum=1)
]
EvalIntervalIters = Annotated[int, Flag("steps from validation to validation", minimum=1)]
LogIntervalIters = Annotated[int, Flag("steps from line to line of metrics", minimum=1)]
Seed = Annotated[int, Flag("of weights, order and augmentation", minimum=0, maximum=2**32 - 1)]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], Flag("where to compute")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"], Flag("of the forward pass; auto: bf16 if fast")
]
Compile = Annotated[
    bool | Literal["reduce-overhead"],
    Flag("torch.compile for network and loss; reduce-overhead: with CUDA graphs, too"),
]
DataOn = Annotated[
    Literal["auto", "host", "device"],
    Flag("where images wait and are augmented; auto: on a CUDA device if they fit"),
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
Plots = Annotated[bool, Flag("draw at each validation, beside the run, in <run_id>/plots")]
Tensorboard = Annotated[bool, Flag("metrics for TensorBoard, too, an extra")]
Summary = Annotated[bool, Flag("show the network's layers, parameters and multiply-adds")]
DryRun = Annotated[
    bool, Flag("plan, one step, one validation batch and what the run will need; writes nothing")
]
Traceback = Annotated[bool, Flag("show the frames of an error, too")]
