"""How RT-DETRv2 learns: matcher, criterion, EMA, optimiser, checkpoints and the loop that joins them."""
