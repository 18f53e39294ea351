"""The layers of a network as a table: what --summary prints."""

import copy
import re

import torch
from torch import nn


def layer_table(model: nn.Module, image_shape: tuple[int, int, int], batch_size: int) -> str:
    """Each layer with its output's shape, its parameters and its multiply-adds, then the sums.

    Of a batch of images, float (batch_size, *image_shape). Nothing is computed: the layers are
    those of a copy on the meta device, where tensors have shapes and no elements.
    """
    from torchinfo.torchinfo import clear_cached_forward_pass, summary

    table = summary(
        copy.deepcopy(model).to("meta"),
        input_data=torch.zeros(batch_size, *image_shape, device="meta"),
        col_names=("output_size", "num_params", "mult_adds"),
        col_width=18,
        row_settings=("depth", "ascii_only"),
        verbose=0,
    )
    clear_cached_forward_pass()  # it would keep the copy for as long as the program runs
    return re.sub(r"Units\.(.)\w+", r"\1", str(table))  # M, not Units.MEGABYTES
