"""What a page shows beside its figure."""
