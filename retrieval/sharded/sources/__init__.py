"""Where documents of a collection come from.

files     files and folders of this machine, read here
remote    objects of a storage, by URL, read by whoever builds
records   files of any size that hold a document a row: Parquet, JSON lines
estimate  how many passages sources hold, about
"""
