"""What a visitor looks at: the view, its images, weights and traces."""
