"""librosa, imported by one process at a time.

The import compiles functions into numba's cache on disk. Processes that do so at the same moment
damage the cache, and from then on every call ends the process (seen with numba 0.68.1: three
processes that import librosa.util with an empty NUMBA_CACHE_DIR).
"""

import os
import tempfile
from hashlib import sha256
from pathlib import Path

import librosa
from filelock import FileLock

__all__ = ["librosa", "nn_filter"]

_PLACE = sha256(f"{os.environ.get('NUMBA_CACHE_DIR')} {librosa.__file__}".encode()).hexdigest()[:12]
_LOCK = Path(tempfile.gettempdir()) / f"sonic-librosa-{os.getuid()}-{_PLACE}.lock"

with FileLock(_LOCK):
    import librosa.core.pitch
    import librosa.util.utils
    from librosa.decompose import nn_filter
