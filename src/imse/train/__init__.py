"""Training: recipes, data mixed on the fly, losses, the metric discriminator and the loop.

Nothing here is imported by the layer that enhances recordings.
"""
