"""The figure parts that several experiments share."""
