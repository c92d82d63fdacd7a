"""Quality of recordings without a clean reference, before and after enhancement. Needs imse[eval], and no torch."""
