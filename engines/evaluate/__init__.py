"""How good a network is, on labelled pictures: what must go and goes, what goes in vain, and whose boxes are right."""
