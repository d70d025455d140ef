// The view "Label": one picture after the other, each answered by one key and stored before the next one appears.

import { Adding } from "./adding.js";
import { ask, askJson, inPath, send } from "./api.js";
import { thumbnail } from "./answer.js";
import { $, count, element, remember, write } from "./dom.js";
import { Queue } from "./queue.js";
import { hasOwnPictures, knownLabels, showCommands } from "./table.js";

const SHOWN = 12; // answers that are shown, the newest first
const DIGITS = [..."1234567890"];
const LETTERS = [..."abcdefghijklmopqrstuvwxyz"]; // without n: a new class
let model, trouble, queue, current, totals;
let parts = {};
let labels = new Map(); // class → how many pictures a person gave it
let answers = []; // what was done, for undo
let busy = false;
let again = false;
let own = false; // whether people have sent pictures

export async function start(described, showTrouble) {
  model = described;
  trouble = showTrouble;
  build();
  window.addEventListener("keydown", pressed);
}

export async function show(query) {
  const asked = query.get("look") === "again";
  if (current && asked === again) return;
  again = asked;
  parts.fresh.setAttribute("aria-pressed", String(!again));
  parts.look.setAttribute("aria-pressed", String(again));
  await begin();
}

async function begin() {
  busy = true;
  try {
    [totals] = await ask("index");
    [labels, own] = await Promise.all([knownLabels(model), hasOwnPictures()]);
    refuse(totals.writable ? (totals.available ? "" : `Nothing can be stored now: ${totals.problem}.`) : NOT_WRITABLE);
    queue = new Queue(model, again);
    write(parts.progress, again ? "Comparing each label with the pictures around it …" : "Choosing the pictures that teach most …");
    await advance();
  } catch (problem) {
    trouble(problem.message);
  } finally {
    busy = false;
  }
}

const NOT_WRITABLE = "Nothing is stored here: others reach this service, and it has no keys. Who starts it can set FEWLABEL_API_KEYS_FILE.";

function refuse(why) {
  $("label").classList.toggle("readonly", Boolean(why));
  parts.adding.disable(Boolean(why));
  trouble(why);
}

function build() {
  const button = (text, click, keys, more = {}) =>
    element("button", { type: "button", click, "aria-keyshortcuts": keys, ...more }, text, element("kbd", { "aria-hidden": "true" }, keys));
  parts = {
    picture: element("div", { class: "subject" }),
    name: element("p", { class: "small" }),
    classes: element("div", { class: "classes", role: "group", "aria-label": "Classes" }),
    typed: element("input", { type: "text", id: "new-class", maxlength: "255", autocomplete: "off", placeholder: "Name of a class" }),
    progress: element("p", { class: "progress", role: "status" }),
    tally: element("p", { class: "tally" }),
    done: element("ul", { class: "thumbs done", "aria-label": "What you labelled, the newest first" }),
    undo: button("Undo", undo, "Backspace"),
    commands: element("div", { class: "commands" }),
    fresh: element("button", { type: "button", "aria-pressed": "true", click: () => look(false) }, "New pictures"),
    look: element("button", { type: "button", "aria-pressed": "false", click: () => look(true) }, "Look at these again"),
    adding: new Adding(trouble, added),
  };
  const form = element(
    "form",
    { class: "newclass", submit: named },
    element("label", { for: "new-class" }, "Another class"),
    parts.typed,
    element("button", { type: "submit" }, "Label"),
  );
  $("label").append(
    element("div", { class: "modes tools" }, parts.fresh, parts.look),
    element("div", { class: "working" },
      element("div", {}, parts.picture, parts.name),
      element("div", { class: "answers" }, parts.progress, parts.tally, parts.classes, form,
        element("div", { class: "tools" }, button("Skip", skip, "Space"), button("Not sure", notSure, "?"), parts.undo))),
    parts.done,
    parts.adding.node,
    parts.commands,
  );
}

async function look(asked) {
  if (asked === again) return;
  remember("label", { look: asked ? "again" : "" });
  current = null;
  await show(new URLSearchParams(asked ? "look=again" : ""));
}

async function added() {
  [totals] = await ask("index");
  own = true;
  if (current) queue.exhausted = false;
  else await begin();
}

/** Shows the next picture. */
async function advance(started = 0) {
  current = await queue.next();
  parts.picture.replaceChildren(...(current?.image ? [current.image] : []));
  const [image] = parts.picture.children;
  image?.classList.toggle("coarse", Math.max(image.naturalWidth, image.naturalHeight) <= 96);
  if (started) performance.measure("key to picture", { start: started, end: performance.now() });
  write(parts.name, current ? current.id : "");
  $("label").classList.toggle("finished", !current);
  drawClasses();
  tellProgress();
}

/** One key a class: its own name if that is one character, else digits, then letters. */
function keysOf(names) {
  const single = names.every((name) => name.length === 1);
  const keys = single ? names.map((name) => name.toLowerCase()) : [...DIGITS, ...LETTERS];
  return new Map(names.slice(0, keys.length).map((name, i) => [name, keys[i]]));
}

function drawClasses() {
  const names = [...labels.keys()];
  const keys = keysOf(names);
  const guess = current?.guess;
  parts.classes.replaceChildren(
    ...names.map((name) => {
      const key = keys.get(name);
      return element(
        "button",
        { type: "button", class: name === guess ? "guess" : "", "aria-keyshortcuts": name === guess ? `${key ?? ""} Enter`.trim() : key, click: () => answer(name) },
        element("kbd", { "aria-hidden": "true" }, key === name.toLowerCase() ? "" : (key ?? "")),
        element("span", { class: "name" }, name),
        element("span", { class: "number" }, name === guess ? "Enter" : labels.get(name) ? String(labels.get(name)) : ""),
      );
    }),
  );
}

function tellProgress() {
  const total = [...labels.values()].reduce((sum, number) => sum + number, 0);
  const empty = again ? "No label is contradicted by the pictures around it." : totals.searched ? "Every picture has a label." : "There are no pictures yet. Add some below.";
  const said = current?.guess ? (again ? `Labelled ${current.label}, but like ${current.guess}.` : `It looks like ${current.guess}.`) : labels.size ? "What is it?" : "What is it? Name the first class.";
  write(parts.progress, current ? said : empty);
  write(parts.tally, `${count(total, "label")} from people so far.`);
  parts.undo.disabled = !answers.length;
  showCommands(parts.commands, total, own, trouble);
}

async function answer(label) {
  if (busy || !current || $("label").classList.contains("readonly")) return;
  const started = performance.now();
  busy = true;
  try {
    await askJson(`index/items/${inPath(current.id)}`, "PATCH", { label });
    const before = again ? current.label : null;
    answers.push({ item: current, label, before });
    if (before !== null) labels.set(before, labels.get(before) - 1);
    labels.set(label, (labels.get(label) ?? 0) + 1);
    drawDone();
    await advance(started);
  } catch (problem) {
    trouble(problem.message);
  } finally {
    busy = false;
  }
}

async function undo() {
  if (busy || !answers.length) return;
  busy = true;
  const { item, label, before } = answers[answers.length - 1];
  try {
    if (label !== null) {
      const path = `index/items/${inPath(item.id)}`;
      // What came with the model has its own label again when what lies over it is taken away.
      if (item.source === "bundle" && item.label_source !== "person") await send(path, { method: "DELETE" });
      else await askJson(path, "PATCH", { label: before });
      labels.set(label, labels.get(label) - 1);
      if (before !== null) labels.set(before, (labels.get(before) ?? 0) + 1);
    }
    answers.pop();
    drawDone();
    if (current) queue.back(current);
    queue.back(item);
    await advance();
  } catch (problem) {
    trouble(problem.message);
  } finally {
    busy = false;
  }
}

async function pass(after) {
  if (busy || !current) return;
  busy = true;
  after();
  answers.push({ item: current, label: null, before: null });
  try {
    await advance();
  } catch (problem) {
    trouble(problem.message);
  } finally {
    busy = false;
  }
}

const skip = () => pass(() => queue.later(current));
const notSure = () => pass(() => queue.leaveOut(current));

function named(event) {
  event.preventDefault();
  const name = parts.typed.value.trim();
  if (!name || busy) return;
  parts.typed.value = "";
  parts.typed.blur();
  answer(name);
}

function pressed(event) {
  if ($("label").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input, dialog") || (event.target.closest?.("button, a, summary") && [" ", "Enter"].includes(event.key))) return;
  const name = [...keysOf([...labels.keys()])].find(([, key]) => key === event.key.toLowerCase())?.[0];
  const act = name !== undefined ? () => answer(name) : ACTIONS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

const ACTIONS = {
  Enter: () => current?.guess && answer(current.guess),
  " ": skip,
  ArrowRight: skip,
  "?": notSure,
  Backspace: undo,
  "+": () => parts.typed.focus(),
  n: () => parts.typed.focus(),
};

function drawDone() {
  const told = answers.filter(({ label }) => label !== null).slice(-SHOWN).reverse();
  parts.done.replaceChildren(
    ...told.map(({ item, label }) => element("li", {}, thumbnail({ ...item, label, label_source: "person" }, {}, "span"))),
  );
}
