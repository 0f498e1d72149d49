"""A model small enough to be trained in a test, `tiny`; run under torchrun, the command line that knows it."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from rtdetr_explained import cli
from rtdetr_explained.model.config import CONFIGS

TINY = replace(
    CONFIGS["nano"],
    name="tiny",
    width=8,
    hidden_dim=32,
    encoder_ffn_dim=32,
    decoder_dim=32,
    decoder_ffn_dim=32,
    num_heads=4,
    num_layers=2,
    num_queries=20,
    num_denoising=10,
    image_size=(64, 64),
)

# Without a choice among the 84 tokens of a 64-pixel image, rounding cannot change which of them become queries.
STEADY = replace(TINY, name="steady", num_queries=84)

if __name__ == "__main__":
    CONFIGS["tiny"], CONFIGS["steady"] = TINY, STEADY
    # So that a test can find this process among those that torchrun started.
    Path(os.environ["PID_FOLDER"], os.environ["RANK"]).write_text(str(os.getpid()))
    sys.exit(cli.main())
