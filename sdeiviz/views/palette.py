"""Colours of drawings: `--sdeiviz-NAME` where a page gives it, else ours, light or dark."""

from typing import Final

LIGHT: Final = {
    "ink": "#1f2328",
    "muted": "#57606a",
    "pane": "#ffffff",
    "rule": "#818b98",
    "accent": "#0969da",
    "accent-soft": "#ddf4ff",
    "bad": "#cf222e",
}
DARK: Final = {
    "ink": "#e6edf3",
    "muted": "#a9b3bf",
    "pane": "#161b22",
    "rule": "#768390",
    "accent": "#6cb6ff",
    "accent-soft": "#12304f",
    "bad": "#ff7b72",
}


def style(name: str, rules: str) -> str:
    """Return the style sheet of a drawing whose root has the class `name`."""

    def colours(palette: dict[str, str]) -> str:
        return " ".join(f"--{k}: var(--sdeiviz-{k}, {v});" for k, v in palette.items())

    dark = colours(DARK)
    return (
        f"\n.{name} {{ {colours(LIGHT)} }}\n"
        f'[data-jp-theme-light="false"] .{name} {{ {dark} }}\n'
        "@media (prefers-color-scheme: dark) {\n"
        f":root:not(:has([data-jp-theme-light])) .{name}, svg.{name}:root"
        f" {{ {dark} }}\n}}"
        f"{rules}"
    )
