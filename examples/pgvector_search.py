"""The most similar images by pgvector: `python examples/pgvector_search.py http://127.0.0.1:8000 examples/7.png`.

Fills a table of its own, `pictures`, in the database that libpq's variables name (PGHOST, PGDATABASE, …).
"""

import sys
from pathlib import Path

import psycopg
from fetch import embed, embeddings

service, *names = sys.argv[1:]
ids, vectors = embeddings(service)
with psycopg.connect("") as database:
    database.execute("CREATE EXTENSION IF NOT EXISTS vector")
    database.execute("DROP TABLE IF EXISTS pictures")
    database.execute(f"CREATE TABLE pictures (id TEXT PRIMARY KEY, embedding VECTOR({vectors.shape[1]}))")
    with database.cursor().copy("COPY pictures FROM STDIN") as copy:
        for own_id, vector in zip(ids, vectors, strict=True):
            copy.write_row((own_id, str(vector.tolist())))
    database.execute("CREATE INDEX ON pictures USING hnsw (embedding vector_cosine_ops)")
    database.execute("SET hnsw.ef_search = 100")
    for name, wanted in zip(names, embed(service, [Path(name) for name in names]), strict=True):
        nearest = "SELECT id, embedding <=> %s::vector AS distance FROM pictures ORDER BY distance LIMIT 5"
        for own_id, distance in database.execute(nearest, [str(wanted.tolist())]):
            print(f"{name}\t{own_id}\t{1 - distance:.4f}")
