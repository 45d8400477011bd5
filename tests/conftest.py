"""One thread per process: the numbers of threads is part of the numerics."""

import torch

torch.set_num_threads(1)
