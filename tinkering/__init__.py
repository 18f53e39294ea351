"""The rooms of the training program, each with one job.

cli               every flag checked before any work, then Fire
errors            what stops a run, and the exit code it stops with
emnist_dataset    which data sets there are, their classes, their loaders
sources           getting the IDX files: find, download, unpack, verify, map into memory
glyphs            characters drawn on the spot: the data set that needs no download
batches           the order of the samples as a function of (seed, step)
augment           random affine, each sample its own draw
models            the networks, by name
recipes           optimizer and learning-rate schedule
device            which device, which precision
train             the two loops: run_train_iterations, run_validation
checkpoint        what a run leaves on disk to be used afterwards
journal           what a run tells on the console
plots             contact sheets

`run_gradient_based.py` puts them together; read it first.
"""
