"""What each op orders: one module a family of ops, one method an op, each naming its R-rule."""

from streamsan.traces.order.semantics.lowering import Lowering, copy_kind

__all__ = ["Lowering", "copy_kind"]
