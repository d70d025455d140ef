"""Images and a few labels in, a served bundle out. Knows torch; knows nothing of HTTP or serving."""
