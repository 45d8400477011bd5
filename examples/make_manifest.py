"""Writes the example manifest: python examples/make_manifest.py"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [
    {
        "id": "ada",
        "portrait": "ada.png",
        "audio": "young_man.wav",
        "output": "../out/ada.mp4",
        "seed": 2,
        "text": "He was not an ill disposed young man.",
    },
    {
        "id": "ben",
        "portrait": "ben.png",
        "audio": "amiable.wav",
        "output": "../out/ben.mp4",
        "seed": 1,
        "text": "He might even have been made amiable himself.",
    },
]

if __name__ == "__main__":
    pq.write_table(pa.Table.from_pylist(ROWS), Path(__file__).with_name("manifest.parquet"))
