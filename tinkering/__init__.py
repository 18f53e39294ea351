"""The rooms of the training program, each with one job.

cli               the strict front of Fire: help, errors, exit codes
options           the flags of a training run: types, ranges, meanings
flags             a command line read against a function's signature
errors            what stops a run, and the exit code it stops with
stopping          Ctrl-C, SIGTERM and the end of the time allowed
emnist_dataset    which data sets there are, their classes, their loaders
mnist_family      torchvision's data sets, mended where they hurt
sources           getting the IDX files: find, unpack, verify, map into memory
downloads         shown, checked, and there only when whole
glyphs            characters drawn on the spot: the data set that needs no download
batches           the order of the samples as a function of (seed, step)
augment           random affine, each sample its own draw
models            the networks, by name
recipes           optimizers, learning rates and losses, by name
device            which device, which precision
stream            any loader's batches without an end, shared by the segments of a run
train             the two loops: run_train_iterations, run_validation
atomic            files that appear whole or not at all
checkpoint        what a run leaves on disk to be used afterwards
state             what a run leaves on disk to go on from
resume            where a run's files lie, whose they are, and how it begins
journal           what a run tells on the console, and metrics.csv
report            the words and figures at a run's beginning and at its end
verify_resume     a run killed in the middle against one that was not
plots             contact sheets

`run_gradient_based.py` puts them together; read it first.
"""
