"""The suite: serving/ and e2e/ run without torch too."""
