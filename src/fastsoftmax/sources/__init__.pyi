# Types of fastsoftmax.sources for users' type checkers. tests/test_typing.py holds the signatures
# to those of the files that the classes are in.

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, Protocol, TypeAlias

import numpy as np

Files: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]]

class Block:
    number: int
    X: Any
    y: Any
    sample_weight: Any
    def __init__(self, number: int, X: Any, y: Any = None, sample_weight: Any = None) -> None: ...

class Source:
    n_blocks: int | None
    max_memory: int
    def __init__(self, max_memory: int = 268435456) -> None: ...
    def read(self, number: int) -> Block: ...
    def blocks(self, seed: int | Sequence[int] | None = None) -> Iterator[Block]: ...
    @property
    def block_bytes(self) -> int: ...
    @property
    def name(self) -> str: ...

class ArraySource(Source):
    def __init__(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, max_memory: int = 268435456
    ) -> None: ...

class NpySource(Source):
    def __init__(
        self,
        X: Files,
        y: Files | None = None,
        sample_weight: Files | None = None,
        *,
        max_memory: int = 268435456,
    ) -> None: ...

class ParquetSource(Source):
    def __init__(
        self,
        paths: Files,
        label: str | None = None,
        features: str | Sequence[str] | None = None,
        sample_weight: str | None = None,
        *,
        max_memory: int = 268435456,
    ) -> None: ...
    @property
    def feature_names(self) -> list[str]: ...

class CsvSource(Source):
    def __init__(
        self,
        paths: Files,
        label: str | None = None,
        features: str | Sequence[str] | None = None,
        sample_weight: str | None = None,
        *,
        delimiter: str = ",",
        max_memory: int = 268435456,
    ) -> None: ...
    @property
    def feature_names(self) -> list[str]: ...

class SvmlightSource(Source):
    def __init__(
        self,
        paths: Files,
        n_features: int,
        *,
        zero_based: bool = False,
        dtype: type[np.float32 | np.float64] = ...,
        max_memory: int = 268435456,
    ) -> None: ...

class _DataIter(Protocol):
    def next(self, input_data: Callable[..., Any]) -> Any: ...
    def reset(self) -> Any: ...

class IterableSource(Source):
    def __init__(
        self,
        blocks: Iterable[tuple[Any, ...]] | Callable[[], Iterator[tuple[Any, ...]]] | _DataIter,
        *,
        max_memory: int = 268435456,
    ) -> None: ...
