"""Text to train on.

sources         queries and texts out of XML books and articles, and of train splits
corpus          windows of token ids, with pairs of query and text, in batches
tokens          whole texts as token ids on the disk
decontaminate   keep test collections out of what is learnt
"""
