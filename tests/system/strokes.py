"""Digits as people draw them, and something that is none: strokes of points, in hundredths of the pad's side."""

Stroke = list[tuple[float, float]]
"""Points in [0, 1], from the upper left corner."""


def strokes(text: str) -> list[Stroke]:
    """`x,y x,y / x,y …` → the strokes."""
    return [[_point(one) for one in stroke.split()] for stroke in text.split("/")]


def _point(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return int(x) / 100, int(y) / 100


def smooth(stroke: Stroke, parts: int = 6) -> Stroke:
    """The same points on curves (Catmull and Rom 1974), `parts` times as many."""
    padded = [stroke[0], *stroke, stroke[-1]]
    found = [stroke[0]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, parts + 1):
            t = step / parts
            found.append((_between(a[0], b[0], c[0], d[0], t), _between(a[1], b[1], c[1], d[1], t)))
    return found


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    return b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))) / 2


DIGITS = {
    "0": strokes("50,20 36,26 28,45 30,64 42,79 56,78 69,62 70,40 62,25 50,20"),
    "1": strokes("50,20 50,40 49,60 49,80"),
    "2": strokes("30,34 38,23 53,20 66,28 66,42 54,57 40,69 30,78 50,77 72,78"),
    "3": strokes("33,25 50,20 65,28 63,40 47,48 64,55 69,67 58,78 42,79 30,73"),
    "4": strokes("36,22 33,40 31,53 50,54 71,52 / 61,22 60,45 58,65 57,82"),
    "5": strokes("68,22 50,22 37,23 35,35 34,46 50,44 64,50 68,62 60,75 45,79 31,74"),
    "6": strokes("60,20 46,30 36,46 33,62 40,76 54,79 65,70 62,58 50,54 37,60"),
    "7": strokes("28,24 50,23 72,23 66,40 58,60 50,82"),
    "8": strokes("63,29 50,20 38,27 41,39 55,49 65,60 63,73 50,80 37,73 39,60 52,48 62,38 63,29"),
    "9": strokes("66,32 54,22 40,28 37,41 47,50 60,45 66,33 66,50 62,67 57,82"),
}
NO_DIGIT = strokes("20,20 80,20 80,80 20,80 20,20 / 20,20 80,80 / 80,20 20,80")
