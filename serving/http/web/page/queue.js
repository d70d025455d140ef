// What is to be labelled, one picture after the other: suggestions of the service, their images loaded ahead.

import { ask, blobOf, hasKey, inPath, send } from "./api.js";

const ASKED = 40; // suggestions in one answer: choosing them takes about a second
const FEW = 12; // waiting suggestions from which on more are asked for
const AHEAD = 4; // images that are loaded before they are shown
const LEFT = "fewlabel-not-sure";

export class Queue {
  /** `again`: not new pictures, but labels that the pictures around them contradict. */
  constructor(model, again) {
    this.model = model;
    this.again = again;
    this.waiting = [];
    this.seen = new Set(JSON.parse(sessionStorage.getItem(LEFT) ?? "[]"));
    this.asking = null;
    this.exhausted = false;
  }

  /** The next picture, its image decoded; null where there is none. */
  async next() {
    if (!this.waiting.length) await this.#more();
    const item = this.waiting.shift() ?? null;
    if (item) this.seen.add(item.id);
    if (this.waiting.length < FEW) this.#more().catch(() => {});
    for (const one of this.waiting.slice(0, AHEAD)) this.#load(one);
    if (item) item.image = await this.#load(item);
    return item;
  }

  /** Puts a picture back in front. */
  back(item) {
    this.waiting.unshift(item);
  }

  /** Puts a picture at the end. */
  later(item) {
    this.waiting.push(item);
  }

  /** Leaves a picture out as long as this tab is open. */
  leaveOut(item) {
    const left = JSON.parse(sessionStorage.getItem(LEFT) ?? "[]");
    sessionStorage.setItem(LEFT, JSON.stringify([...left, item.id]));
  }

  async #more() {
    if (this.exhausted) return;
    this.asking ??= this.#ask().finally(() => (this.asking = null));
    await this.asking;
  }

  async #ask() {
    const [{ items }] = await ask(this.again ? `index/doubtful?n=${ASKED}` : `index/next?n=${ASKED}`);
    const known = new Set([...this.seen, ...this.waiting.map((one) => one.id)]);
    const fresh = items.filter((one) => !known.has(one.id));
    this.exhausted = fresh.length === 0;
    this.waiting.push(...fresh);
  }

  #load(item) {
    item.loading ??= load(item, this.model).catch(() => null);
    return item.loading;
  }
}

/** The image element of a picture, and what the model takes it for. */
async function load(item, model) {
  const image = new Image();
  image.alt = `Picture ${item.id}`;
  const small = `index/thumbnails/${inPath(item.id)}`;
  for (const path of item.source === "user" ? [`index/images/${inPath(item.id)}`, small] : [small]) {
    try {
      const blob = path === small || hasKey() ? await blobOf(path) : null;
      if (blob) item.blob = blob;
      image.src = blob ? URL.createObjectURL(blob) : path;
      await image.decode();
      break;
    } catch {
      image.removeAttribute("src"); // none that this browser shows
    }
  }
  item.guess = item.suggested ?? item.label;
  if (!item.guess && model.classes.length) item.guess = await guess(item, small);
  return image;
}

async function guess(item, small) {
  try {
    const { response } = await send("predict", { method: "POST", body: item.blob ?? (await blobOf(small)) });
    return (await response.json()).label;
  } catch {
    return null;
  }
}
