"""Whole corpora on any number of machines, by Ray Data (`imse corpus`).

A unit is one input file and the one output file that is made of it: a recording, or a shard of many (Parquet, tar). One
worker, with one network, computes a unit from its beginning to its end, so that the result does not depend on the
workers. A unit is complete when its output is there, which appears whole or not at all: a run that was ended anywhere
lists the outputs and goes on with the rest.
"""
