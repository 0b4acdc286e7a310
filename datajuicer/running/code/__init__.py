"""The code behind a result: its digests, what it reaches, and how it differs from the present code."""
