"""Experiments that train: each asks one question, and leaves its answer as JSON and as a figure."""
