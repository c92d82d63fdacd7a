"""Sound from a device or a pipe, enhanced by `imse.Stream` while it comes, to another device or pipe: `imse live`.

Of these modules, `devices.py` and `duplex.py` alone need PortAudio (the extra `live`).
"""
