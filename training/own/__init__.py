"""People's own images: a folder of pictures and a few labels in, a tested bundle out."""
