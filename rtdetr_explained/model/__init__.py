"""The detector: a complete RT-DETRv2, one concept per file, to be read from `rtdetr.py` downwards."""
