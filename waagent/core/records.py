"""``@dataclass(frozen=True)`` of the standard library, at a quarter of the price.

For each class that one writes and compiles six functions, half a millisecond: together a third of
what a start of the agent takes. Here they are compiled once and shared, all but ``__init__``. To a
type checker, and to whoever reads a class, it is the standard decorator.
"""

from __future__ import annotations

import dataclasses
from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "fields", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: Any = None, *, frozen: bool = False) -> Any:
        """See ``dataclasses.dataclass``, which also makes what is not frozen."""
        if frozen:
            return _make_record
        return dataclasses.dataclass(cls)


class _Shared:
    """What all records have in common; it is copied into each class that does not have its own."""

    _compared: tuple[str, ...]
    _hashed: tuple[str, ...]
    __dataclass_fields__: dict[str, dataclasses.Field[Any]]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _values(self, self._compared) == _values(other, self._compared)

    def __hash__(self) -> int:
        return hash(_values(self, self._hashed))

    def __repr__(self) -> str:
        """As the standard one, without the tokens of URLs: what is shown is soon in a log."""
        from waagent.core.redact import redact  # whose patterns a quick command need not prepare

        known = self.__dataclass_fields__.values()
        shown = [f"{each.name}={getattr(self, each.name)!r}" for each in known if each.repr]
        return redact(f"{type(self).__qualname__}({', '.join(shown)})")

    def __setattr__(self, name: str, value: object) -> None:
        """Each field is set once, by ``__init__``."""
        if name in self.__dict__ or name not in self.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED = ("__eq__", "__hash__", "__repr__", "__setattr__", "__delattr__")


def _make_record(cls: Any) -> Any:
    cls = dataclasses.dataclass(repr=False, eq=False)(cls)
    known = fields(cls)
    cls._compared = tuple(each.name for each in known if each.compare)
    cls._hashed = tuple(
        each.name for each in known if (each.compare if each.hash is None else each.hash)
    )
    for name in _SHARED:
        if name not in cls.__dict__:
            setattr(cls, name, getattr(_Shared, name))
    return cls


def _values(record: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([getattr(record, name) for name in names])
