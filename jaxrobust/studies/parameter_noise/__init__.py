"""The first study: flat words, each network family with every setting, and its published protocols."""
