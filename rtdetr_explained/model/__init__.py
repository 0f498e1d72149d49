"""The detector: one concept per file, from the backbone to the weights."""
