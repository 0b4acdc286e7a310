"""What is done to parameters, and how a network is made to bear it."""
