// The view "Map": the whole index, the alike together; what is selected there is shown as a grid of pictures.

import { thumbnail } from "./answer.js";
import { ask, blobOf, inPath, showThumbnail } from "./api.js";
import { $, atFrame, count, element, remember, write } from "./dom.js";
import { Plot, rgb } from "./plot.js";

const PAGE = 48; // pictures of the grid that are shown at once
const LIKE = 24; // pictures that are shown beside one that was clicked
const CHIPS = 24; // classes in the legend
let trouble, plot, points;
let parts = {};
let colours = new Map(); // label → CSS colour
let state = { q: "", label: null, box: null, like: "" };
let order = []; // points of the grid
let shownUpTo = PAGE;
let found = []; // of a picture that was clicked: ids of the most similar ones

export async function start(_model, showTrouble) {
  trouble = showTrouble;
  build();
}

export async function show(query) {
  try {
    await read(); // labels may have changed; places are kept by the service
  } catch (problem) {
    return trouble(problem.message);
  }
  state = { q: query.get("q") ?? "", label: query.get("class"), box: numbers(query.get("box"), 4), like: query.get("like") ?? "" };
  const [x, y, zoom] = numbers(query.get("at"), 3) ?? [0, 0, 1];
  parts.search.value = state.q;
  plot.look({ x, y, zoom: Math.min(60, Math.max(0.8, zoom)) });
  found = [];
  if (state.like) await findLike();
  select();
}

function numbers(text, length) {
  const values = (text ?? "").split(",").map(Number);
  return values.length === length && values.every(Number.isFinite) ? values : null;
}

function build() {
  const tool = (text, label, click, more = {}) => element("button", { type: "button", click, "aria-label": label, title: label, ...more }, text);
  parts = {
    canvas: element("canvas", { tabindex: "0", role: "img", "aria-label": "Map of the index. Arrow keys move it, + and - zoom, 0 shows all. Select with the search field and the classes beside it." }),
    tip: element("div", { class: "tip", hidden: true, "aria-hidden": "true" }),
    search: element("input", { type: "search", id: "map-search", placeholder: "Name or label", autocomplete: "off", input: () => change({ q: parts.search.value.trim() }) }),
    legend: element("div", { class: "legend", role: "group", "aria-label": "Classes" }),
    told: element("p", { class: "progress", role: "status" }),
    grid: element("ul", { class: "thumbs", "aria-label": "Selected pictures; one that is clicked becomes the query" }),
    more: element("button", { type: "button", click: () => ((shownUpTo += PAGE), drawGrid()) }, "Show more"),
    none: element("button", { type: "button", click: () => change({ q: "", label: null, box: null, like: "" }) }, "Select none"),
  };
  parts.boxing = tool("Select a box", "Select a box: drag, or hold Shift", () => {
    plot.boxing = !plot.boxing;
    parts.boxing.setAttribute("aria-pressed", String(plot.boxing));
  }, { "aria-pressed": "false" });
  $("map").append(
    element("div", { class: "world" },
      element("div", { class: "sheet" }, parts.canvas, parts.tip),
      element("div", { class: "tools" }, parts.boxing, tool("+", "Zoom in", () => zoom(1.6)), tool("−", "Zoom out", () => zoom(1 / 1.6)), tool("All", "Show all", () => (plot.look({ x: 0, y: 0, zoom: 1 }), save())))),
    element("div", { class: "chosen" },
      element("label", { for: "map-search", class: "quiet" }, "Search names and labels"), parts.search, parts.legend, parts.told, parts.grid,
      element("div", { class: "tools" }, parts.more, parts.none)),
  );
  parts.more.hidden = parts.none.hidden = true;
  plot = new Plot(parts.canvas, { clicked, hovered, boxed: (box) => change({ box: box.map((value) => Number(value.toFixed(3))), like: "" }), moved: save });
}

async function read() {
  if (!points) write(parts.told, "Laying out the map …");
  [points] = await ask("index/map");
  const counts = new Map();
  for (const label of points.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  counts.delete(null);
  const names = [...counts.keys()].sort(new Intl.Collator("en", { numeric: true }).compare);
  colours = new Map(names.map((name, i) => [name, hue(i, names.length)]));
  const rgbs = new Map([...colours].map(([name, colour]) => [name, rgb(colour)]));
  const gray = rgb("oklch(0.65 0.01 80)");
  plot.points = {
    x: Float32Array.from(points.x),
    y: Float32Array.from(points.y),
    colours: points.labels.map((label) => rgbs.get(label) ?? gray),
    rings: points.sources.map((source) => source === "user"),
  };
  points.texts = points.ids.map((id, i) => `${id}\n${points.labels[i] ?? ""}`.toLowerCase());
  points.row = new Map(points.ids.map((id, i) => [id, i]));
  parts.legend.replaceChildren(
    ...names.slice(0, CHIPS).map((name) => {
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = colours.get(name);
      return element("button", { type: "button", "aria-pressed": "false", "data-label": name, click: () => change({ label: state.label === name ? null : name, like: "" }) }, swatch, name);
    }),
  );
}

/** Evenly around the circle; of many classes every second one is darker. */
function hue(i, n) {
  return `oklch(${n > 12 && i % 2 ? 0.52 : 0.66} 0.15 ${Math.round((360 * i) / n + 25)})`;
}

function zoom(factor) {
  plot.zoomBy(factor);
  save();
}

function change(fields) {
  Object.assign(state, fields);
  if (!state.like) found = [];
  select();
  save();
}

const save = atFrame(() => {
  if ($("map").hidden) return;
  const { x, y, zoom: times } = plot.view;
  const rounded = (values) => values.map((value) => value.toFixed(3)).join(",");
  const at = times === 1 && !x && !y ? "" : rounded([x, y, times]);
  remember("map", { q: state.q, class: state.label, box: state.box && rounded(state.box), like: state.like, at });
});

/** What is selected: a clicked picture and those like it; else all that search, class and box let through. */
function select() {
  const all = !state.q && state.label === null && !state.box && !state.like;
  order = [];
  if (state.like) order = [state.like, ...found].map((id) => points.row.get(id)).filter((i) => i !== undefined);
  else if (!all) for (let i = 0; i < points.ids.length; i++) if (passes(i)) order.push(i);
  plot.selected = null;
  if (!all) {
    plot.selected = new Uint8Array(points.ids.length);
    for (const i of order) plot.selected[i] = 1;
  }
  for (const chip of parts.legend.children) chip.setAttribute("aria-pressed", String(chip.dataset.label === state.label));
  shownUpTo = PAGE;
  plot.redraw();
  tell(all);
  drawGrid();
}

function passes(i) {
  if (state.q && !points.texts[i].includes(state.q.toLowerCase())) return false;
  if (state.label !== null && points.labels[i] !== state.label) return false;
  if (!state.box) return true;
  const [x0, y0, x1, y1] = state.box;
  const between = (value, a, b) => value >= Math.min(a, b) && value <= Math.max(a, b);
  return between(points.x[i], x0, x1) && between(points.y[i], y0, y1);
}

function tell(all) {
  const shown = points.ids.length;
  const rest = shown < points.total ? `, of ${count(points.total, "picture")} in the index` : "";
  if (all) write(parts.told, shown ? `${count(shown, "picture")}${rest}. Click one, draw a box, pick a class or search.` : "The index is empty.");
  else if (state.like) write(parts.told, `${state.like}, and what is most like it.`);
  else write(parts.told, order.length ? `${count(order.length, "picture")} selected.` : "Nothing is like that.");
  parts.none.hidden = all;
}

function drawGrid() {
  const item = (i) => ({ id: points.ids[i], label: points.labels[i], label_source: points.label_sources[i], source: points.sources[i] });
  parts.grid.replaceChildren(
    ...order.slice(0, shownUpTo).map((i) => {
      const query = new URLSearchParams({ id: points.ids[i] });
      return element("li", {}, thumbnail(item(i), { href: `#try?${query}` }, "a"));
    }),
  );
  parts.more.hidden = order.length <= shownUpTo;
}

async function clicked(i) {
  if (i < 0) return change({ like: "", box: null });
  Object.assign(state, { like: points.ids[i], box: null });
  await findLike();
  change({});
}

async function findLike() {
  const asked = state.like;
  found = [];
  try {
    const [answer] = await ask(`search?k=${LIKE}`, { method: "POST", body: await blobOf(`index/thumbnails/${inPath(asked)}`) });
    if (asked === state.like) found = answer.neighbors.map(({ id }) => id).filter((id) => id !== asked);
  } catch (problem) {
    if (problem.status !== 404) trouble(problem.message);
  }
}

let hoveredAt = -1;

function hovered(i, at) {
  parts.canvas.classList.toggle("over", i >= 0);
  if (i !== hoveredAt) {
    hoveredAt = i;
    parts.tip.hidden = i < 0;
    if (i < 0) return;
    const image = element("img", { alt: "" });
    showThumbnail(image, points.ids[i], () => image.remove());
    parts.tip.replaceChildren(image, element("span", {}, points.labels[i] ?? "no label"));
  }
  if (i >= 0) {
    parts.tip.style.transform = `translate(${Math.min(at[0] + 14, parts.canvas.clientWidth - 80)}px, ${Math.max(0, at[1] - 100)}px)`;
  }
}
