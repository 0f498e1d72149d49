"""Images in: reading and checking photographs, and generating scenes of shapes."""
