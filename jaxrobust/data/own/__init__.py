"""Users' own data: arrays, files and folders, written once to the prepared cache under their digest."""
