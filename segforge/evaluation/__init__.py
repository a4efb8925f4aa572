"""How well label maps agree with the truth."""
