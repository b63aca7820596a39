"""What is where: roads with their limits, named places, geofences. Data that the models read beside the lake's tables."""
