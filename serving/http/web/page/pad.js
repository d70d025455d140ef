// A pad to draw on: strokes as points, the same for the eye, for the model and for the address.

import { grayPng } from "./png.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const GRID = 4095; // a coordinate is two characters of the address
const NEAR = 0.008; // of the pad's side: points closer than this to the last one say nothing new
const WIDTH = 0.075; // of the pad's side: as thick as the digits that the model has learnt from
const SIDE = 140; // pixels of what is sent
const MOST = 6000; // characters of an address

/** Strokes of points in [0, 1]; `changed(ended, more)` is called with each new point, and at the end of a stroke. */
export class Pad {
  constructor(canvas, changed) {
    this.strokes = [];
    this.canvas = canvas;
    this.changed = changed;
    this.pointer = null;
    this.sent = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.#up(event));
    const redraw = () => {
      this.colour = getComputedStyle(canvas).color;
      this.draw();
    };
    new ResizeObserver(redraw).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  get empty() {
    return this.strokes.length === 0;
  }

  clear() {
    this.strokes = [];
    this.pointer = null;
    this.draw();
  }

  undo() {
    this.strokes.pop();
    this.draw();
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    const part = (value) => Math.round(GRID * Math.min(1, Math.max(0, value))) / GRID;
    return [part((event.clientX - box.left) / box.width), part((event.clientY - box.top) / box.height)];
  }

  #down(event) {
    if (this.pointer !== null || event.button > 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.strokes.push([this.#point(event)]);
    this.changed(false, true);
    this.draw();
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    let more = false;
    for (const one of event.getCoalescedEvents?.() ?? [event]) more = this.#add(this.#point(one), NEAR) || more;
    if (!more) return;
    this.changed(false, true);
    this.draw();
  }

  #up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    const more = event.type === "pointerup" && this.#add(this.#point(event), NEAR);
    this.changed(true, more);
    if (more) this.draw();
  }

  #add(point, near) {
    const stroke = this.strokes[this.strokes.length - 1];
    const [x, y] = stroke[stroke.length - 1];
    if (Math.hypot(point[0] - x, point[1] - y) < near) return false;
    stroke.push(point);
    return true;
  }

  draw() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!side) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    paint(context, this.strokes, side, this.colour);
  }

  /** The drawing as a gray PNG file, black on white whatever the eye sees. */
  png() {
    this.sent.fillStyle = "#fff";
    this.sent.fillRect(0, 0, SIDE, SIDE);
    paint(this.sent, this.strokes, SIDE, "#000");
    return grayPng(this.sent.getImageData(0, 0, SIDE, SIDE).data, SIDE);
  }

  /** For the address; "" where it would be too long. */
  get text() {
    const coded = (value) => ALPHABET[Math.round(value * GRID) >> 6] + ALPHABET[Math.round(value * GRID) & 63];
    const text = this.strokes.map((stroke) => stroke.map(([x, y]) => coded(x) + coded(y)).join("")).join(".");
    return text.length > MOST ? "" : text;
  }

  set text(text) {
    const decoded = (two) => ((ALPHABET.indexOf(two[0]) << 6) | ALPHABET.indexOf(two[1])) / GRID;
    const valid = text.length <= MOST && /^([\w-]{4})+(\.([\w-]{4})+)*$/.test(text);
    const strokes = valid ? text.split(".").map((one) => one.match(/.{4}/g)) : [];
    this.strokes = strokes.map((points) => points.map((four) => [decoded(four.slice(0, 2)), decoded(four.slice(2))]));
    this.draw();
  }
}

/** Curves through the middles between points, so that corners of the pointer's path do not show. */
function paint(context, strokes, side, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = WIDTH * side;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [x * side, y * side]);
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) {
      const [x, y] = points[i];
      context.quadraticCurveTo(x, y, (x + points[i + 1][0]) / 2, (y + points[i + 1][1]) / 2);
    }
    context.lineTo(...points[points.length - 1]);
    context.stroke();
  }
}
