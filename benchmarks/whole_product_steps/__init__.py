"""The steps of `whole_product.py`: each is a function that returns one row."""
