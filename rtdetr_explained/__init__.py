"""RT-DETRv2, explained: a readable detector, its traces, and the eight illustrations drawn from them."""
