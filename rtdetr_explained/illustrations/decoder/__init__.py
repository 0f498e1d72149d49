"""The decoder: boxes and scores from layer to layer."""
