"""The rooms of the training program, each with one job.

cli               the strict front of Fire: help, errors, exit codes
options           the flags of a training run: types, ranges, meanings
flags             a command line read against a function's signature
values            what a flag takes: types, ranges
configs           flags from files: presets and configs
errors            what stops a run, and the exit code it stops with
extras            packages that only some runs need
stopping          Ctrl-C, SIGTERM and the end of the time allowed
emnist_dataset    which data sets there are, their classes, their loaders
parts             which images are trained on, validated on and tested on
mnist_family      torchvision's data sets, mended where they hurt
sources           getting the IDX files: find, unpack, verify, map into memory
downloads         shown, checked, and there only when whole
glyphs            characters drawn on the spot: the data set that needs no download
batches           the order of the samples as a function of (seed, step)
augment           random affine, each sample its own draw
models            the networks, by name
small_networks    those of a few layers
timm_networks     those of the package timm
layers            a table of a network's layers
recipes           optimizers, learning rates and losses, by name
muon              an optimizer for weights as matrices
device            which device, which precision
threads           how many threads a CPU computes with
allocator         memory that a step frees, kept for the next
compiled          torch.compile, where it can be had
processes         several processes that train one network
stream            any loader's batches without an end, shared by the segments of a run
train             the two loops: run_train_iterations, run_validation
gradients         the gradient of one step, from parts and from processes
meter             loss and accuracy as means over samples
dry_run           what a run would need, found out by a step of it
atomic            files that appear whole or not at all
checkpoint        what a run leaves on disk to be used afterwards
state             what a run leaves on disk to go on from
resume            where a run's files lie, whose they are, and how it begins
journal           what a run tells, and to whom
screen            the console: bars, panels, plain lines
metrics           metrics.csv
report            the words and figures at a run's beginning and at its end
page              report.md: a run on one page
plots             metrics in, figures out
samples           what the network sees, as a picture
plot_process      plots drawn beside the run
drawing           python -m tinkering plot
compare           python -m tinkering compare
verify_resume     python -m tinkering verify-resume

`run_gradient_based.py` puts them together; read it first.
"""
