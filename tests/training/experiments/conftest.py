"""Pictures and an encoder that are small enough for trials of seconds."""

from tests.training.own.conftest import encoder as encoder
from tests.training.own.conftest import folder as folder
