"""Charts of the documentation: each function returns one, as a specification for Vega-Lite that holds its data."""
