"""A model small enough to be trained in a test, as `tiny`; run as a program it is the command line that knows it."""

import sys
from dataclasses import replace

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
    sys.exit(cli.main())
