"""One thread per process: the numbers of threads is part of the numerics. A Prefect of our own.

Prefect reads its settings when a test module imports it: they stand here, before any is read.
"""

import atexit
import os
import shutil
import tempfile

import torch

from flows.pipeline.prefect_settings import prepare_prefect

torch.set_num_threads(1)
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="sonic-tests-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
prepare_prefect()
