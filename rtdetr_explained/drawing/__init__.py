"""A small grammar of graphics: marks in panels, drawn alike for the screen and for print."""
