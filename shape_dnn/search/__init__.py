"""How shapes are chosen: Algorithm 1, and what decides with a confidence."""
