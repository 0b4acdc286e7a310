"""The stitching study: trained donors, stitches between them, and what they are measured by."""
