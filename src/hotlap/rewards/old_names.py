"""Names of NumPy 1.x, SciPy 1.13 and Shapely 1.x for reward functions, which were written for the original's Python.

A user's modules get an `__import__` of their own (`user_builtins`), which gives them copies of those packages' modules:
plain modules that hold every name of the real one, so that nothing costs more than before, and a `__getattr__` for the
names that are gone. The packages themselves, and what everybody else sees of them, stay as they are.
"""

from __future__ import annotations

import builtins
import importlib
import linecache
import re
import sys
import warnings
from types import ModuleType
from typing import Any, Final

import numpy as np

_NUMPY: Final = {
    # Gone with 1.24: they were Python's own types.
    **{name: name for name in ("float", "int", "object", "complex", "str")},
    **{"unicode": "str", "bool8": "np.bool_", "object0": "np.object_", "int0": "np.intp", "uint0": "np.uintp"},
    **{"str0": "np.str_", "bytes0": "np.bytes_", "void0": "np.void"},
    # Gone with 2.0.
    **{name: "np.inf" for name in ("Inf", "Infinity", "infty", "PINF")},
    **{"NINF": "-np.inf", "NaN": "np.nan", "NAN": "np.nan", "PZERO": "0.0", "NZERO": "-0.0"},
    **{"float_": "np.float64", "longfloat": "np.longdouble", "singlecomplex": "np.complex64"},
    **{"complex_": "np.complex128", "cfloat": "np.complex128"},
    **{"clongfloat": "np.clongdouble", "longcomplex": "np.clongdouble"},
    **{"unicode_": "np.str_", "string_": "np.bytes_", "mat": "np.asmatrix", "round_": "np.round"},
    **{"alltrue": "np.all", "sometrue": "np.any", "product": "np.prod", "cumproduct": "np.cumprod"},
    **{"in1d": "np.isin", "trapz": "np.trapezoid", "row_stack": "np.vstack", "rank": "np.ndim", "alen": "len"},
    **{"msort": "np.sort", "asscalar": "numpy.ndarray.item", "asfarray": "np.asarray", "issctype": "issubclass"},
    **{"find_common_type": "np.result_type", "issubclass_": "issubclass", "cast": "np.asarray", "disp": "print"},
    "math": "math",
}
_WINDOWS: Final = ["hann", "hamming", "gaussian", "boxcar", "triang", "blackman", "bartlett", "kaiser", "tukey"]

OLD_NAMES: Final[dict[str, dict[str, str]]] = {
    "numpy": _NUMPY,
    # SciPy gave NumPy's functions and constants under its own name until 1.12; what NumPy loads only when it is asked
    # for, at a tenth of a second, are modules.
    "scipy": {name: f"np.{name}" for name in sorted(np.__all__) if not isinstance(vars(np).get(name, np), ModuleType)},
    "scipy.integrate": {
        "trapz": "scipy.integrate.trapezoid",
        "simps": "scipy.integrate.simpson",
        "cumtrapz": "scipy.integrate.cumulative_trapezoid",
        "romberg": "scipy.integrate.quad",
        "quadrature": "scipy.integrate.quad",
    },
    "scipy.interpolate": {"interp2d": "scipy.interpolate.RectBivariateSpline"},
    "scipy.misc": {name: f"scipy.special.{name}" for name in ("factorial", "comb", "logsumexp")},
    "scipy.signal": {name: f"scipy.signal.windows.{name}" for name in _WINDOWS},
    "scipy.stats": {"itemfreq": "np.unique", "binom_test": "scipy.stats.binomtest"},
    "scipy.special": {"btdtri": "scipy.special.betaincinv"},
    "scipy.linalg": {"tril": "np.tril", "triu": "np.triu", "kron": "np.kron", "pinv2": "scipy.linalg.pinv"},
    "shapely": {},
    "shapely.geometry": {
        "asShape": "shapely.geometry.shape",
        **{f"as{kind}": f"shapely.geometry.{kind}" for kind in ("Point", "LineString", "Polygon", "MultiPoint")},
    },
    "shapely.ops": {"cascaded_union": "shapely.ops.unary_union"},
}
"""By module, what each name that is gone is called today."""

told: dict[str, tuple[str, int, str]] = {}
"""The names that this process's reward functions used: by sentence, file, line and sentence."""

_copies: dict[str, ModuleType] = {}
_sizes: dict[str, int] = {}  # number of names of each module when its copy was filled
_EMPTY_SHELLS: Final = ("interp2d",)  # still there, but only to say that they are gone


def user_builtins() -> dict[str, Any]:
    """What the `__builtins__` of a user's module shall be; made when it is executed, as others may change the real."""
    return {**vars(builtins), "__import__": _import}


def _import(
    name: str, globals: Any = None, locals: Any = None, fromlist: tuple[str, ...] | None = (), level: int = 0
) -> Any:
    """`__import__` as a user's module sees it."""
    package = name.partition(".")[0]
    if level or package not in ("numpy", "scipy", "shapely"):
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    # `from scipy import misc`: what is gone as a whole is there as a copy alone.
    module: Any = builtins.__import__(name, globals, locals, (), 0)
    if package == "shapely":
        _read_geometries(_copy(np))
    if not fromlist:
        return _copy(module)
    for part in name.split(".")[1:]:
        module = getattr(module, part)
    if "*" in fromlist:
        return _starred(module, (globals or {}).get("__file__", ""))
    for part in fromlist:
        full = f"{module.__name__}.{part}"
        if part not in OLD_NAMES.get(module.__name__, {}) and not hasattr(module, part):
            try:
                importlib.import_module(full)
            except ModuleNotFoundError as error:
                if error.name != full:
                    raise
    return _copy(module)


def _copy(module: ModuleType) -> ModuleType:
    """The module as users see it; itself if there is nothing to add in it or below it."""
    name = module.__name__
    if name not in OLD_NAMES:
        return module
    copy = _copies.get(name)
    if copy is None:
        copy = _copies[name] = ModuleType(name, module.__doc__)
        copy.__dict__["__getattr__"] = lambda attribute: _missing(module, attribute)
        if name == "numpy" and "shapely" in sys.modules:
            _read_geometries(copy)
    if _sizes.get(name) == len(vars(module)):  # modules hold each other, and submodules may come later
        return copy
    _sizes[name] = len(vars(module))
    for key, value in list(vars(module).items()):
        if key not in copy.__dict__ and key not in _EMPTY_SHELLS:
            copy.__dict__[key] = _copy(value) if isinstance(value, ModuleType) else value
    return copy


def _starred(module: ModuleType, file: str) -> ModuleType:
    """For `from module import *`: with those of the old names that the file mentions."""
    copy = _copy(module)
    if copy is module:
        return module
    text = "".join(linecache.getlines(file))
    public = list(getattr(module, "__all__", None) or [each for each in vars(module) if not each.startswith("_")])
    shadowed = set(vars(builtins))
    old = [
        name
        for name in OLD_NAMES[module.__name__]
        if name not in shadowed and re.search(rf"\b{re.escape(name)}\b", text)
    ]
    starred = ModuleType(module.__name__)
    starred.__dict__.update(copy.__dict__)
    starred.__dict__["__all__"] = [*public, *old]
    return starred


def _missing(module: ModuleType, attribute: str) -> Any:
    """What a name stands for that the copy of a module does not have (yet)."""
    today = OLD_NAMES[module.__name__].get(attribute)
    if today is None:
        value = getattr(module, attribute)  # with the library's own error
        if isinstance(value, ModuleType):  # loaded by this; from now on as fast as any name
            value = _copies[module.__name__].__dict__[attribute] = _copy(value)
        return value
    value = _special(module.__name__, attribute)
    if value is None:
        value = _named(today)
    short = "np" if module.__name__ == "numpy" else module.__name__
    tell(f"{short}.{attribute} is gone from today's {module.__name__.partition('.')[0]}; write {today} instead")
    _copies[module.__name__].__dict__[attribute] = value  # from now on as fast as any name
    return value


def tell(sentence: str) -> None:
    """Warn once per process, at the line of the user's file that runs."""
    if sentence in told:
        return
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    told[sentence] = (frame.f_code.co_filename, frame.f_lineno, sentence)
    warnings.warn_explicit(
        f"{sentence}; hotlap understands both.", UserWarning, frame.f_code.co_filename, frame.f_lineno, registry={}
    )


def _named(today: str) -> Any:
    """The object that an expression of the table names."""
    if today[0] in "-0":
        return float(today.replace("np.", ""))
    head, _, name = today.rpartition(".")
    if not head:
        return importlib.import_module("math") if today == "math" else getattr(builtins, today)
    if head == "numpy.ndarray":
        return lambda array: array.item()
    return getattr(importlib.import_module("numpy" if head == "np" else head), name)


def _special(module: str, name: str) -> Any:
    """Those whose successor is called in another way."""
    match module, name:
        case "numpy", "asfarray":
            return lambda a, dtype=np.float64: np.asarray(a, dtype if np.issubdtype(dtype, np.inexact) else np.float64)
        case "numpy", "msort":
            return lambda a: np.sort(a, axis=0)
        case "numpy", "in1d":
            return lambda ar1, ar2, **options: np.isin(np.ravel(ar1), ar2, **options)
        case "numpy", "issctype":
            return lambda rep: isinstance(rep, type) and issubclass(rep, np.generic)
        case "numpy", "issubclass_":
            return lambda one, two: isinstance(one, type) and issubclass(one, two)
        case "numpy", "find_common_type":
            return lambda arrays, scalars: np.result_type(*arrays, *scalars)
        case "numpy", "cast":
            return _Casts()
        case "scipy.integrate", "simps":
            from scipy.integrate import simpson

            return lambda y, x=None, dx=1.0, axis=-1, even=None: simpson(y, x=x, dx=dx, axis=axis)
        case "scipy.integrate", "romberg":
            from scipy.integrate import quad

            return lambda function, a, b, args=(), **_: quad(function, a, b, args=args)[0]
        case "scipy.integrate", "quadrature":
            from scipy.integrate import quad

            return lambda function, a, b, args=(), **_: quad(lambda x: np.ravel(function(x, *args))[0], a, b)
        case "scipy.interpolate", "interp2d":
            return _interp2d
        case "scipy.stats", "itemfreq":
            return lambda a: np.stack(np.unique(a, return_counts=True), axis=1)
        case "scipy.stats", "binom_test":
            from scipy.stats import binomtest

            return lambda x, n=None, p=0.5, alternative="two-sided": binomtest(x, n, p, alternative).pvalue
    return None


class _Casts(dict[Any, Any]):
    """`np.cast[dtype](values)`."""

    def __missing__(self, dtype: Any) -> Any:
        return lambda values: np.asarray(values).astype(dtype)


def _interp2d(x: Any, y: Any, z: Any, kind: str = "linear", **_: Any) -> Any:
    """On a regular grid, as SciPy's transition guide says."""
    from scipy.interpolate import RectBivariateSpline

    degree = {"linear": 1, "cubic": 3, "quintic": 5}[kind]
    xs, ys = np.unique(x), np.unique(y)
    spline = RectBivariateSpline(xs, ys, np.reshape(z, (len(ys), len(xs))).T, kx=degree, ky=degree)

    def values(new_x: Any, new_y: Any) -> Any:
        grid = spline(np.sort(np.atleast_1d(new_x)), np.sort(np.atleast_1d(new_y))).T
        return grid[0] if len(grid) == 1 else grid

    return values


def _read_geometries(copy: ModuleType) -> None:
    """Let geometries be read as they were with Shapely 1.x.

    That is their coordinates by the user's `np.array` and `np.asarray`, and the parts of a collection by a loop. A loop
    asks the collection's class, which is everybody's; without this it is an error for all.
    """
    from shapely.geometry import LineString, Point
    from shapely.geometry.base import BaseMultipartGeometry

    def parts(collection: Any) -> Any:
        tell("a geometry is no longer a sequence of its parts; write geometry.geoms")
        return iter(collection.geoms)

    BaseMultipartGeometry.__iter__ = parts

    def reading(convert: Any, name: str) -> Any:
        def array(values: Any, *args: Any, **options: Any) -> Any:
            if isinstance(values, Point | LineString):
                tell(f"np.{name} no longer reads the coordinates of a geometry; write np.{name}(geometry.coords)")
                coordinates = convert(values.coords, *args, **options)
                return coordinates[0] if isinstance(values, Point) else coordinates
            return convert(values, *args, **options)

        return array

    copy.__dict__["array"] = reading(np.array, "array")
    copy.__dict__["asarray"] = reading(np.asarray, "asarray")
