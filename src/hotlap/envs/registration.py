"""Makes the environments known to Gymnasium, without loading Gymnasium or the simulator before someone wants them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

TIME_TRIAL = "hotlap/TimeTrial-v0"


def register() -> None:
    """Make ``gymnasium.make("hotlap/TimeTrial-v0")`` and ``make_vec`` work."""
    import gymnasium

    if TIME_TRIAL not in gymnasium.registry:
        gymnasium.register(
            id=TIME_TRIAL,
            entry_point="hotlap.envs.time_trial:TimeTrialEnv",
            vector_entry_point="hotlap.envs.time_trial:TimeTrialVectorEnv",
        )


def register_with_gymnasium() -> None:
    """`register` at once if Gymnasium is loaded, else as soon as it is.

    Gymnasium finds no plugins by itself since its version 1.0. Importing it here would cost every command of ours a
    third of a second.
    """
    if "gymnasium" in sys.modules:
        register()
    elif not any(isinstance(finder, _AtImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AtImport())


class _AtImport(MetaPathFinder):
    """Calls `register` after the module ``gymnasium`` is imported; then it is gone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
