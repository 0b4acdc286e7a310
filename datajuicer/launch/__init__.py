"""Where computations run: local worker processes; anything else that is a `concurrent.futures.Executor` works
too.
"""
