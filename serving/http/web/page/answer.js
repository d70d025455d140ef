// How an answer is shown: the class in large type, a bar a class, what the model saw, and the most similar pictures.

import { inPath, showThumbnail } from "./api.js";
import { $, element, percent, write } from "./dom.js";

const ALL = 12; // classes up to which each keeps its place
const BEST = 8; // of more classes, so many are shown, the most probable first
const rows = [];

export function prepareBars(classes) {
  const shown = classes.length <= ALL ? classes.length : BEST;
  for (let i = 0; i < shown; i++) {
    const parts = { name: element("span", { class: "name" }), fill: element("span", { class: "fill" }), value: element("span", { class: "value" }) };
    const row = element("li", {}, parts.name, element("span", { class: "track" }, parts.fill), parts.value);
    rows.push({ row, ...parts });
    if (classes.length <= ALL) write(parts.name, classes[i]);
    $("bars").append(row);
  }
  if (Math.max(0, ...classes.map((name) => name.length)) > 2) $("bars").classList.add("named");
}

/** Bars move to these probabilities; none of them stands out where the picture shows none of the classes. */
export function showBars(classes, probabilities, known) {
  let order = probabilities.map((_, i) => i);
  const best = order.reduce((top, i) => (probabilities[i] > probabilities[top] ? i : top), 0);
  if (classes.length > ALL) order = order.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, BEST);
  order.forEach((i, place) => {
    const { row, name, fill, value } = rows[place];
    write(name, classes[i]);
    fill.style.transform = `scaleX(${probabilities[i]})`;
    write(value, probabilities[i] < 0.0005 ? "" : percent(probabilities[i]));
    row.classList.toggle("best", i === best && known);
  });
}

export function emptyBars() {
  for (const { row, fill, value } of rows) {
    fill.style.transform = "";
    write(value, "");
    row.classList.remove("best");
  }
}

/** What is said of an answer, in one or two sentences. */
export function sentence({ label, confidence, known, several }) {
  const more = several ? " There is more than one in the picture: the one with most ink was taken." : "";
  if (!known) return `None of them. If it had to be one: ${label}, at ${percent(confidence)}.${more}`;
  return `${percent(confidence)} sure.${more}`;
}

export function showVerdict(answer) {
  const glyph = $("glyph");
  write(glyph, answer.known ? answer.label : "None of them");
  glyph.style.setProperty("--letters", Math.max(1, glyph.textContent.length));
  glyph.classList.toggle("word", glyph.textContent.length > 2);
  $("verdict").classList.toggle("unknown", !answer.known);
  write($("sure"), answer.known ? sentence(answer) : sentence(answer).replace("None of them. ", ""));
}

export function emptyVerdict() {
  write($("glyph"), "\u00a0");
  write($("sure"), "\u00a0");
  $("glyph").classList.remove("word");
  $("verdict").classList.remove("unknown");
}

export function showSeen(source, { height, width }) {
  $("seen").hidden = !source;
  $("unseen").hidden = Boolean(source);
  if (!source) return;
  $("seen").src = source;
  $("seen").alt = `What the model saw: ${width} by ${height} pixels`;
  $("seen").classList.toggle("coarse", Math.max(height, width) <= 64);
}

/** A picture of the index as a tile: its small picture, or its label where there is none. */
export function thumbnail({ id, label, label_source, source, score }, attributes = {}, wrap = "button") {
  const image = element("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  const said = label === null ? "no label" : label_source === "predicted" ? `${label} (a guess)` : label;
  const words = [id, said, source === "user" ? "yours" : "", score === undefined ? "" : `similarity ${score.toFixed(2)}`];
  const tile = element(
    wrap,
    { class: "tile", "aria-label": words.filter(Boolean).join(", "), title: words.filter(Boolean).join(" · "), ...attributes },
    image,
    element("span", { class: "tag", "aria-hidden": "true" }, label ?? "–"),
  );
  tile.classList.toggle("yours", source === "user");
  tile.classList.toggle("guessed", label_source === "predicted");
  showThumbnail(image, id, () => {
    image.remove();
    tile.classList.add("bare");
  });
  return tile;
}

export function showNeighbors(neighbors, choose) {
  $("neighbors").replaceChildren(
    ...neighbors.map((one) => element("li", {}, thumbnail(one, { type: "button", click: () => choose(one) }))),
  );
}

/** For a shell, in single quotes. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as a line for a shell; a drawing is part of the line, a file is named. */
export function commandOf({ blob, name, drawn, id }, path, hasKey) {
  const url = new URL(path, document.baseURI).href;
  const key = hasKey ? ' -H "X-API-Key: $KEY"' : "";
  if (drawn) {
    return `echo ${btoa(String.fromCharCode(...blob))} | base64 -d | curl${key} --data-binary @- ${quoted(url)}`;
  }
  if (id) {
    const from = new URL(`index/thumbnails/${inPath(id)}`, document.baseURI).href;
    return `curl -s${key} ${quoted(from)} | curl${key} --data-binary @- ${quoted(url)}`;
  }
  return `curl${key} --data-binary ${quoted(`@${name}`)} ${quoted(url)}`;
}
