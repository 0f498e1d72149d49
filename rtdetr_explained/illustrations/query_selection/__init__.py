"""Query selection: which cells of the three maps become queries."""
