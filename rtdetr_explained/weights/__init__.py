"""Weights: the models known by name, files of weights in every layout, and their download."""
