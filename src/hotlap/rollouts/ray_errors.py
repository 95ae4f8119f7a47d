"""What Ray raises, in words for the user's log."""

from __future__ import annotations

from hotlap.errors import HotlapError

_WIDTH = 200


def user_error(error: BaseException) -> HotlapError | None:
    """What a user's file is to blame for."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, HotlapError) else None


def reason(error: BaseException) -> str:
    """What became of a process, to follow its name: ``worker 3 lost its machine``."""
    from ray import exceptions

    text = " ".join(str(error).split())
    if isinstance(error, exceptions.RayTaskError):
        return f"raised {_last_line(error)}"
    if isinstance(error, exceptions.OutOfMemoryError) or "memory on the node" in text:
        return "was ended because its machine ran out of memory"
    if isinstance(error, exceptions.NodeDiedError) or "node has died" in text or "node was terminated" in text:
        return "was lost with its machine"
    if isinstance(error, exceptions.ActorUnavailableError):
        return "cannot be reached"
    if "error raised in its creation task" in text:
        return f"could not be started: {_last_line(error)}"
    if isinstance(error, exceptions.ActorDiedError):
        return "died: it was killed, or crashed in compiled code"
    if isinstance(error, exceptions.ObjectLostError):
        return "was lost with what it had played"
    return f"failed: {type(error).__name__}: {_last_line(error)}"


def _last_line(error: BaseException) -> str:
    """The line that names an error, below its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[-1].rstrip(".") if lines else type(error).__name__
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."
