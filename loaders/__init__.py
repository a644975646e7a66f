"""Loaders: from a vendor's API into its staging tables, losing no row and writing nothing that did not
change.
"""
