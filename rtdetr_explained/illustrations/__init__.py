"""The eight illustrations: a trace becomes view data, and view data become a plotly and a matplotlib figure."""
