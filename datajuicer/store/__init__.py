"""Results on disk: records, arrays, claims."""
