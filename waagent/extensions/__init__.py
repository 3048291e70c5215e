"""Other people's extensions: fetched, installed, run, asked how they are."""
