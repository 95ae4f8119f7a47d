"""A reward function by which tests end a training at a certain call."""

# A reward function that counts its calls in a file, and stands still or fails at the call that another file names.
WATCHED = """
import pathlib
import time

HERE = pathlib.Path(__file__).parent

def reward_function(params):
    with open(HERE / "calls", "a") as file:
        file.write(".")
    for what in ("hang", "fail"):
        if (HERE / what).exists() and (HERE / "calls").stat().st_size >= int((HERE / what).read_text()):
            if what == "fail":
                raise RuntimeError("as asked")
            (HERE / "hanging").touch()
            time.sleep(1000)
    return 1.0 - params["distance_from_center"] / params["track_width"]
"""
