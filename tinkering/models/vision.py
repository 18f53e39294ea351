"""torchvision, importable also where pip has paired a CUDA build of it with a CPU torch.

There its compiled operators cannot load, and `import torchvision` fails on registering a
shape rule for two of them (pytorch#122494, pytorch#157648). Declaring the two is enough for
its data sets, transforms and models, which use no compiled operator.
"""

import torch

try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    # The library must stay referenced: its operators go with it.
    declared = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
