// All labels that people gave, as a table, and what is done with it: a download, and the lines that train with it.

import { ask, blobOf, hasKey } from "./api.js";
import { count, element } from "./dom.js";

/** Classes that the model or a person knows of, with how many labels a person gave. */
export async function knownLabels(model) {
  const found = new Map(model.classes.map((name) => [name, 0]));
  const table = await (await blobOf("index/labels.csv")).text();
  for (const name of secondColumn(table).slice(1)) found.set(name, (found.get(name) ?? 0) + 1);
  return found;
}

/** Of a table with two columns (RFC 4180). */
function secondColumn(table) {
  const cell = String.raw`("(?:[^"]|"")*"|[^",\n]*)`;
  return [...table.matchAll(new RegExp(`${cell},${cell}\n`, "gy"))].map(([, , text]) =>
    text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text,
  );
}

/** Whether people have sent pictures of their own, which the export then holds. */
export async function hasOwnPictures() {
  const [{ items }] = await ask("index/items?source=user&limit=1");
  return items.length > 0;
}

/** What to do with the labels: the table, and the line that trains with it. */
export function showCommands(place, total, own, trouble) {
  if (!total) return place.replaceChildren();
  const table = new URL("index/labels.csv", document.baseURI).href;
  const key = hasKey() ? ' -H "X-API-Key: $KEY"' : "";
  const lines = own ? ["python -m serving.index export photos/    # pictures and labels.csv"] : [`curl${key} -o photos/labels.csv ${table}    # beside the pictures`];
  lines.push("make train-export DATA=photos/ NAME=photos");
  place.replaceChildren(
    element("h2", {}, `Train with ${count(total, "label")}`),
    element("pre", { tabindex: "0" }, element("code", {}, lines.join("\n"))),
    element("button", { type: "button", click: () => download(trouble) }, "Download labels.csv"),
  );
}

async function download(trouble) {
  try {
    const url = URL.createObjectURL(await blobOf("index/labels.csv"));
    element("a", { href: url, download: "labels.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (problem) {
    trouble(problem.message);
  }
}
