"""How fast enhancement is on this machine, beside the plain torch network in the same run (`imse bench`).

Each engine with each setting is opened in a worker process of its own (`worker.py`). The workers take turns (`run.py`),
so that other load on the machine slows all of them alike. Start-up and memory are those of whole processes of
`imse enhance` (`process.py`). `table.py` prints the results.
"""
