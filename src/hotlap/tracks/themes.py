"""How a track looks: the colors of its surfaces before light falls on them, and the measures of its paint."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hotlap.errors import TrackError

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Theme:
    """Colors (red, green, blue; 0 to 255) and paint of a track.

    The light is added when the ground is baked (``hotlap.tracks.ground``).
    Source of the measures and of the first two color families: the DeepRacer simapp's track meshes and textures.
    """

    name: str
    road: RGB
    field: RGB
    edge_line: RGB
    center_line: RGB
    wall: RGB
    sky: RGB = (0.0, 0.0, 0.0)
    edge_line_width: float = 0.0762
    """Width of the white lines [m]; their outer edge is the border of the road."""
    center_line_width: float = 0.0254
    """Width of the dashed center line [m]."""
    dash: float = 0.0508
    """Length of a dash [m]."""
    gap: float = 0.0508
    """Length of the gap between dashes [m]."""
    wall_light: tuple[float, float, float, float] = (0.35, 0.86, 0.98, 0.5)
    """Share of the wall color that light leaves on the south, east, north and west wall."""
    road_grain: float = 0.085
    """Standard deviation of the road's fine brightness pattern, relative to its brightness."""
    field_grain: float = 0.042
    """The same of the field."""
    line_grain: float = 0.045
    """The same of all lines."""


_CLASSIC = Theme(
    name="classic",
    road=(64, 63, 61),
    field=(126, 133, 65),
    edge_line=(223, 223, 222),
    center_line=(225, 143, 0),
    wall=(36, 70, 81),
)

THEMES: dict[str, Theme] = {
    theme.name: theme
    for theme in (
        _CLASSIC,
        Theme(
            name="reinvent_2018",
            road=(36, 49, 64),
            field=(95, 136, 104),
            edge_line=(194, 194, 190),
            center_line=(194, 117, 0),
            wall=(36, 70, 81),
            wall_light=(0.0, 0.86, 0.98, 0.38),
        ),
        replace(_CLASSIC, name="carpet", road=(50, 50, 50)),
        replace(_CLASSIC, name="concrete", road=(116, 110, 107)),
        replace(_CLASSIC, name="wood", road=(110, 71, 41)),
        replace(_CLASSIC, name="brick", road=(116, 86, 77)),
        replace(_CLASSIC, name="night", road=(38, 40, 52), field=(28, 44, 58), wall=(20, 24, 44), sky=(4, 6, 16)),
        replace(
            _CLASSIC, name="desert", road=(92, 84, 78), field=(196, 158, 104), wall=(150, 104, 70), sky=(150, 190, 220)
        ),
        replace(
            _CLASSIC,
            name="snow",
            road=(58, 64, 76),
            field=(186, 196, 206),
            edge_line=(204, 66, 52),
            wall=(108, 138, 164),
            sky=(170, 196, 216),
        ),
    )
}
"""Color themes by name."""


def find_theme(name: str) -> Theme:
    """The theme called ``name``.

    Raises:
        TrackError: If there is none.
    """
    if name not in THEMES:
        raise TrackError(f"there is no color theme {name!r}; the themes are {', '.join(sorted(THEMES))}.")
    return THEMES[name]
