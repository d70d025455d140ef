"""What can be wrong with a picture file. Knows nothing about requests.

PictureError
├── NotAnImage           the bytes are no image of a known kind
├── UndecodableImage     an image of a known kind, but damaged
└── TooLarge             more pixels, or blocks, than are decoded
"""


class PictureError(Exception):
    """A picture that cannot be read; its text says why, for the person who sent it."""


class NotAnImage(PictureError):
    """The bytes are no image of a known kind."""


class UndecodableImage(PictureError):
    """The image is damaged."""


class TooLarge(PictureError):
    """More pixels, or blocks, than are decoded."""
