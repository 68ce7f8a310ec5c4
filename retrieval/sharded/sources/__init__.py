"""Sources of a collection's documents.

files     files and folders on this machine, read here
remote    objects in storage, by URL, read by build tasks
parts     what one task reads: whole files, or lines or row groups of a huge file
records   files of any size with one document per row: Parquet, JSON lines; lines: reading ranges
estimate  estimating how many passages sources have
"""
