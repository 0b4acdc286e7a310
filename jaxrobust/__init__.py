"""Neural networks that keep working when every parameter is a little wrong."""
