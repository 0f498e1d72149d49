"""Traces: what every tap of the model saw in one forward pass, and re-runs with edits."""
