"""Planning, looking up, computing and storing the points of a grid."""
