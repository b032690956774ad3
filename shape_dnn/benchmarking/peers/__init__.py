"""Other ways of searching, a file for each package that they come from."""
