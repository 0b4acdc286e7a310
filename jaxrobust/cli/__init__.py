"""The command lines: read words, call functions of the library, set the exit status."""
