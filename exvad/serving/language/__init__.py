"""The language model of the server: what runs it while many requests are in progress at once."""
