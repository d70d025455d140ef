"""The most similar images by scikit-learn: `python examples/sklearn_search.py http://127.0.0.1:8000 examples/7.png`."""

import sys
from pathlib import Path

from fetch import embed, embeddings
from sklearn.neighbors import NearestNeighbors

service, *names = sys.argv[1:]
ids, vectors = embeddings(service)
search = NearestNeighbors(n_neighbors=5, metric="cosine").fit(vectors)
distances, rows = search.kneighbors(embed(service, [Path(name) for name in names]))
for name, found, far in zip(names, rows, distances, strict=True):
    for row, distance in zip(found, far, strict=True):
        print(f"{name}\t{ids[row]}\t{1 - distance:.4f}")
