"""JSON as one of our dataclasses, with every value of the type that its field has."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

Record = TypeVar("Record")

Measured = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number that was not finite is written as null, and is NaN again when it is read."""


def parse_record(kind: type[Record], data: bytes | str) -> Record:
    """Read an object; keys that ``kind`` does not have are ignored.

    Raises:
        ValueError: If it is no JSON object, or lacks a value or has one of another type; names the key.
    """
    try:
        return _adapter(kind).validate_json(data, strict=True)  # type: ignore[arg-type]  # mypy: kinds have no hash
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ascii(".".join(map(str, first["loc"])))[1:-1][:100]
    raise ValueError(f"{place}: {first['msg']}" if place else first["msg"])


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
