"""The most similar images by FAISS: `python examples/faiss_search.py http://127.0.0.1:8000 examples/7.png`."""

import sys
from pathlib import Path

import faiss
from fetch import embed, embeddings

service, *names = sys.argv[1:]
ids, vectors = embeddings(service)
index = faiss.IndexFlatIP(vectors.shape[1])  # exact; the dot product of unit vectors is their similarity
index.add(vectors)
scores, rows = index.search(embed(service, [Path(name) for name in names]), 5)
for name, found, similar in zip(names, rows, scores, strict=True):
    for row, score in zip(found, similar, strict=True):
        print(f"{name}\t{ids[row]}\t{score:.4f}")
