"""The eight pages, one file per slug."""
