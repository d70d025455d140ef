// The view "Try": a drawing or a picture goes to the model while it is made, and its answer is shown.

import * as shown from "./answer.js";
import { ask, askJson, blobOf, hasKey, inPath } from "./api.js";
import { $, remember, write } from "./dom.js";
import { Pad } from "./pad.js";

const NEIGHBORS = 12;
const AT_ONCE = 1; // requests under way; a drawing that changes meanwhile is sent when it is answered
let model, pad, trouble;
let draws = false;
let picture = null; // {blob, name, id, url}: what is asked about instead of a drawing
let version = 0; // of the drawing or picture
let sentVersion = 0;
let shownVersion = 0;
let underWay = 0;
let endedAt = 0; // when the stroke ended whose bars are waited for
let last = null; // what was shown last

export function start(described, showTrouble) {
  model = described;
  trouble = showTrouble;
  draws = model.input.kind === "digit";
  shown.prepareBars(model.classes);
  document.body.classList.toggle("classless", !model.classes.length);
  $("pad").hidden = !draws;
  $("drop").hidden = draws;
  for (const id of ["clear", "undo"]) $(id).hidden = !draws;
  pad = new Pad($("ink"), drawn);
  $("clear").addEventListener("click", clear);
  $("undo").addEventListener("click", () => {
    pad.undo();
    drawn(true, true);
  });
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files.length) take($("file").files);
    $("file").value = "";
  });
  $("random").hidden = false;
  $("random").addEventListener("click", anyOfTheIndex);
  $("copy").addEventListener("click", copy);
  listenForPictures();
  showNothing();
}

/** Shows what the address says: a drawing, or a picture of the index. */
export function show(query) {
  const [strokes, id] = [query.get("d") ?? "", query.get("id") ?? ""];
  if (id) return picture?.id === id ? undefined : takeItem({ id });
  if (!draws || !strokes || (!picture && strokes === pad.text)) return;
  forgetPicture();
  pad.text = strokes;
  if (!pad.empty) drawn(true, true);
}

/** A picture of the index that was clicked; the way back leads to what was asked about before. */
function choose(item) {
  history.pushState(null, "", location.href);
  return takeItem(item);
}

function listenForPictures() {
  const active = () => !$("try").hidden;
  window.addEventListener("dragover", () => {
    if (active()) document.body.classList.add("dragging");
  });
  window.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
  window.addEventListener("drop", (event) => {
    document.body.classList.remove("dragging");
    if (active() && event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
  window.addEventListener("paste", (event) => {
    if (active() && event.clipboardData?.files.length) take(event.clipboardData.files);
  });
}

function take(files) {
  usePicture({ blob: files[0], name: files[0].name || "picture.png" });
  remember("try", {});
  if (files.length > 1) trouble(`${files.length} files: the first is shown.`);
}

async function takeItem(item) {
  try {
    usePicture({ blob: await blobOf(`index/thumbnails/${inPath(item.id)}`), name: item.id, id: item.id });
    remember("try", { id: item.id });
    document.body.scrollIntoView({ block: "start" });
  } catch (problem) {
    trouble(problem.status === 404 ? `The index keeps no picture of ${item.id}.` : problem.message);
  }
}

/** Some picture of the index: the nearest to a random direction. */
async function anyOfTheIndex() {
  const embedding = Array.from({ length: model.dim }, () => Math.random() - 0.5);
  try {
    const [{ neighbors }] = await askJson("search/vector?k=20", "POST", { embedding });
    if (neighbors.length) await takeItem(neighbors[Math.floor(Math.random() * neighbors.length)]);
    else trouble("The index is empty.");
  } catch (problem) {
    trouble(problem.message);
  }
}

function usePicture(found) {
  forgetPicture();
  pad.clear();
  picture = { ...found, url: URL.createObjectURL(found.blob) };
  $("pad").hidden = true;
  $("drop").hidden = false;
  $("shown").hidden = false;
  $("shown").onerror = () => ($("shown").hidden = true); // a kind that this browser does not show
  $("shown").src = picture.url;
  $("shown").alt = `Your picture: ${picture.name}`;
  $("drop").classList.add("filled");
  write($("clear"), draws ? "Draw again" : "Clear");
  $("clear").hidden = false;
  $("undo").hidden = true;
  version++;
  endedAt = performance.now();
  request(true);
}

function forgetPicture() {
  if (picture) URL.revokeObjectURL(picture.url);
  picture = null;
  $("shown").hidden = true;
  $("shown").removeAttribute("src");
  $("drop").classList.remove("filled");
  $("drop").hidden = draws;
  $("pad").hidden = !draws;
  write($("clear"), "Clear");
  for (const id of ["clear", "undo"]) $(id).hidden = !draws;
}

function clear() {
  forgetPicture();
  pad.clear();
  pad.draw();
  shownVersion = sentVersion = ++version;
  remember("try", {});
  trouble("");
  showNothing();
}

function showNothing() {
  $("hint").hidden = false;
  $("clear").disabled = $("undo").disabled = true;
  shown.emptyBars();
  shown.emptyVerdict();
  shown.showSeen("", model.input);
  shown.showNeighbors([]);
  write($("said"), "");
  write($("timing"), "\u00a0");
  $("curl").hidden = true;
}

function drawn(ended, more) {
  if (pad.empty) return clear();
  if (more) version++;
  endedAt = ended ? performance.now() : 0;
  if (sentVersion < version) request(ended);
  else if (ended && shownVersion === version) finish(last);
  $("hint").hidden = true;
  $("clear").disabled = $("undo").disabled = false;
}

/** Sends what there is now: at a stroke's end even while others are under way. */
async function request(ended) {
  if (!ended && underWay >= AT_ONCE) return;
  $("clear").disabled = false;
  const own = (sentVersion = version);
  const path = model.classes.length ? "predict?debug=true&embedding=true" : "embed";
  underWay++;
  try {
    const content = picture ?? { blob: pad.png(), drawn: true };
    const [answer, timing] = await ask(path, { method: "POST", body: content.blob });
    if (own < shownVersion || own > version) return;
    shownVersion = own;
    last = { answer, timing, own, content, path };
    showAnswer(answer);
    if (own === version && endedAt) finish(last);
  } catch (problem) {
    if (own === version) trouble(problem.message ?? String(problem));
  } finally {
    underWay--;
    if (sentVersion < version) request(endedAt > 0);
  }
}

function showAnswer(answer) {
  if (!model.classes.length) return;
  shown.showBars(model.classes, answer.probabilities, answer.known);
  shown.showVerdict(answer);
  shown.showSeen(answer.seen, model.input);
}

/** What is shown only of a whole stroke or picture: neighbours, times, the line for a shell, the address. */
async function finish({ answer, timing, own, content, path }) {
  performance.measure("stroke to bars", { start: endedAt, end: performance.now() });
  endedAt = 0;
  if (content.drawn) remember("try", { d: pad.text });
  write($("said"), model.classes.length ? `${answer.label}: ${shown.sentence(answer)}` : "The most similar pictures are shown.");
  const parts = [`answered in ${timing.ms.toFixed(0)} ms`];
  if (timing.inference !== undefined) parts.push(`${timing.inference.toFixed(1)} ms of them in the model`);
  write($("timing"), parts.join(", "));
  write($("command"), shown.commandOf(content, path, hasKey()));
  $("curl").hidden = false;
  try {
    const [found] = await askJson(`search/vector?k=${NEIGHBORS}`, "POST", { embedding: answer.embedding });
    if (own === version) shown.showNeighbors(found.neighbors, choose);
  } catch (problem) {
    if (own === version) trouble(problem.message);
  }
}

async function copy() {
  await navigator.clipboard.writeText($("command").textContent);
  write($("copy"), "Copied");
  setTimeout(() => write($("copy"), "Copy"), 1500);
}

