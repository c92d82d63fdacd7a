"""Speed of all engines on this machine, compared with the plain torch network in the same run (`imse bench`).

A worker process opens each engine with each setting (`worker.py`). The workers take turns (`run.py`), so that other
load on the machine slows all of them equally. Start-up and memory are measured on whole processes of `imse enhance`
(`process.py`). `table.py` formats the results.
"""
