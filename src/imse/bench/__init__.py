"""How fast enhancement is on this machine, beside the plain torch network in the same run (`imse bench`).

Whatever is timed lives in a process of its own (`worker.py`, `tasks.py`), with its own number of threads, and all take
turns (`run.py`), so that what else the machine does meets all alike. Start-up and memory are those of whole processes
of `imse enhance` (`process.py`). `record.py` is what is found, `table.py` how it is printed.
"""
