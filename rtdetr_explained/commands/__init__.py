"""The command line, one command a file: `add_to` declares its options, `run` does the work and returns the exit code.

What needs torch is imported when a command runs, so that a help text does not wait for it.
"""
