"""Where documents of a collection come from.

files     files and folders of this machine, read here
remote    objects of a storage, by URL, read by whoever builds
parts     those that one task reads: of a huge file a range of lines, or some row groups
records   files of any size that hold a document a row: Parquet, JSON lines; lines: of any range
estimate  how many passages sources hold, about
"""
