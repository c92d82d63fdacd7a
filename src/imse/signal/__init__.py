"""Signals at 16 kHz: spectra, resampling, and segments of recordings of any length. No torch."""
