"""Worker processes and what passes between them and the run."""
