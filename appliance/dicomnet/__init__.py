"""DICOM over the network, in a process and under a user of its own: pictures come in by C-STORE, results go out by C-STORE.

It shares folders with the daemon and nothing else; the daemon itself has no network. It decodes no picture, keeps no identifier and
logs none.
"""
