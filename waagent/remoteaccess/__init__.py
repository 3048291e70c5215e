"""Just-in-time users: accounts that the fabric lends for some hours (spec EXT 11)."""
