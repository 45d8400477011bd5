"""The supervisor of the command: it owns every process of a run, and says how the run ended.

Only the standard library is imported here, so that Ctrl-C is answered from the first moment on.
"""
