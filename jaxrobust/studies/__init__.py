"""What can be set, trained and evaluated; the only folder that knows the engine."""
