from tests.faults.rig import CNN as zoo

__all__ = ["zoo"]
