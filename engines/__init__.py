"""The workshop: network, synthetic data, training, export, evaluation. Nothing here is imported by the box itself."""
