from tests.faults.rig import RNN as zoo

__all__ = ["zoo"]
