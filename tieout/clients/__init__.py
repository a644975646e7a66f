"""One module a system: what its API is (address, login, limits, what its errors mean), and nothing of what is
read or written.
"""
