"""Between picture and detector: scale, mask, boxes. Knows neither file formats nor engines."""
