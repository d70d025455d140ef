// Points on a plain canvas: drawn pixel by pixel, moved, zoomed, and selected by a box. Knows no pictures.

export const MARGIN = 0.88; // of half the canvas: where 1 lies
const LEAST = 0.8; // zoom
const MOST = 60;
const NEAR = 12; // CSS pixels within which a point is meant
const CLICK = 4; // CSS pixels that a click may move
const FADED = 0.16; // of the points that are not selected

/** Draws n points at x, y in about [-1, 1]; `colours` are [r, g, b] by point. */
export class Plot {
  constructor(canvas, { clicked, hovered, boxed, moved }) {
    Object.assign(this, { canvas, clicked, hovered, boxed, moved });
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.view = { x: 0, y: 0, zoom: 1 };
    this.points = { x: [], y: [], colours: [], rings: [] };
    this.selected = null; // Uint8Array, or null where all are
    this.boxing = false; // whether dragging selects
    this.pointers = new Map();
    this.box = null;
    this.frame = 0;
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    for (const [kind, act] of Object.entries({ pointerdown: "down", pointermove: "move", pointerup: "up", pointercancel: "up", pointerleave: "leave", wheel: "wheel", keydown: "key" })) {
      canvas.addEventListener(kind, (event) => this[act](event), { passive: kind !== "wheel" && kind !== "keydown" });
    }
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  /** [pixels of half the map, middle x, middle y], device pixels. */
  get scale() {
    const { width, height } = this.canvas;
    return [(Math.min(width, height) / 2) * MARGIN * this.view.zoom, width / 2, height / 2];
  }

  draw() {
    const ratio = devicePixelRatio;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (!width) return;
    const started = performance.now();
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    if (this.image?.width !== width || this.image?.height !== height) this.image = this.context.createImageData(width, height);
    const style = getComputedStyle(this.canvas);
    const paper = rgb(style.backgroundColor);
    new Uint32Array(this.image.data.buffer).fill(0xff000000 | (paper[2] << 16) | (paper[1] << 8) | paper[0]);
    const radius = ratio * Math.min(4.5, 1.6 + 0.5 * Math.log2(this.view.zoom + 1));
    const dot = mask(radius, 0);
    const ring = mask(radius + 2.2 * ratio, radius + 1 * ratio);
    const ink = rgb(style.color);
    for (const chosen of this.selected ? [0, 1] : [1]) this.#stamp(chosen, dot, ring, ink);
    this.context.putImageData(this.image, 0, 0);
    if (this.box) this.#frame(style, ratio);
    performance.measure("map drawn", { start: started, end: performance.now() });
  }

  #stamp(chosen, dot, ring, ink) {
    const { x, y, colours, rings } = this.points;
    const [size, middleX, middleY] = this.scale;
    for (let i = 0; i < x.length; i++) {
      if (this.selected && this.selected[i] !== chosen) continue;
      const [px, py] = [middleX + (x[i] - this.view.x) * size, middleY - (y[i] - this.view.y) * size];
      stamp(this.image, px, py, dot, colours[i], chosen ? 0.85 : FADED);
      if (rings[i] && chosen) stamp(this.image, px, py, ring, ink, 1);
    }
  }

  #frame(style, ratio) {
    const [x0, y0, x1, y1] = this.box.map((value) => value * ratio);
    this.context.strokeStyle = style.outlineColor;
    this.context.lineWidth = ratio;
    this.context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }

  #at(event) {
    const bounds = this.canvas.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  }

  /** A place on the canvas, CSS pixels → on the map. */
  place([px, py]) {
    const [size, middleX, middleY] = this.scale.map((value) => value / devicePixelRatio);
    return [this.view.x + (px - middleX) / size, this.view.y - (py - middleY) / size];
  }

  /** The point at a place on the canvas, or -1. */
  nearest(at) {
    const [mx, my] = this.place(at);
    const size = this.scale[0] / devicePixelRatio;
    let [best, least] = [-1, (NEAR / size) ** 2];
    for (let i = 0; i < this.points.x.length; i++) {
      if (this.selected && !this.selected[i]) continue;
      const apart = (this.points.x[i] - mx) ** 2 + (this.points.y[i] - my) ** 2;
      if (apart < least) [best, least] = [i, apart];
    }
    return best;
  }

  down(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#at(event));
    const boxing = this.pointers.size === 1 && (this.boxing || event.shiftKey);
    this.start = boxing ? this.#at(event) : null;
    this.pressed = this.pointers.size === 1 ? this.#at(event) : null;
    if (this.pointers.size > 1) this.box = null;
    this.hovered(-1);
  }

  move(event) {
    const [at, before] = [this.#at(event), this.pointers.get(event.pointerId)];
    if (!before) return this.hovered(this.nearest(at), at);
    if (this.start) {
      this.box = [...this.start, ...at];
    } else {
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const anchor = others[0];
      if (anchor) this.zoomAt(anchor, Math.hypot(at[0] - anchor[0], at[1] - anchor[1]) / Math.max(1, Math.hypot(before[0] - anchor[0], before[1] - anchor[1])));
      else this.pan(at[0] - before[0], at[1] - before[1]);
    }
    this.pointers.set(event.pointerId, at);
    this.redraw();
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const at = this.#at(event);
    const still = this.pressed && Math.hypot(at[0] - this.pressed[0], at[1] - this.pressed[1]) < CLICK;
    const box = this.box;
    [this.box, this.start, this.pressed] = [null, null, null];
    if (still) this.clicked(this.nearest(at));
    else if (box) this.boxed([...this.place(box.slice(0, 2)), ...this.place(box.slice(2))]);
    else this.moved();
    this.redraw();
  }

  leave() {
    this.hovered(-1);
  }

  wheel(event) {
    event.preventDefault();
    this.zoomAt(this.#at(event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)));
    this.moved();
  }

  key(event) {
    const step = 40;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const zooms = { "+": 1.4, "=": 1.4, "-": 1 / 1.4 };
    if (moves[event.key]) this.pan(...moves[event.key]);
    else if (zooms[event.key]) this.zoomBy(zooms[event.key]);
    else if (event.key === "0") this.look({ x: 0, y: 0, zoom: 1 });
    else return;
    event.preventDefault();
    this.moved();
  }

  zoomBy(factor) {
    this.zoomAt([this.canvas.clientWidth / 2, this.canvas.clientHeight / 2], factor);
  }

  zoomAt(at, factor) {
    const before = this.place(at);
    this.view.zoom = Math.min(MOST, Math.max(LEAST, this.view.zoom * factor));
    const after = this.place(at);
    this.look({ ...this.view, x: this.view.x + before[0] - after[0], y: this.view.y + before[1] - after[1] });
  }

  pan(dx, dy) {
    const size = this.scale[0] / devicePixelRatio;
    this.look({ ...this.view, x: this.view.x - dx / size, y: this.view.y + dy / size });
  }

  look(view) {
    const within = (value) => Math.min(1.2, Math.max(-1.2, value));
    this.view = { x: within(view.x), y: within(view.y), zoom: view.zoom };
    this.redraw();
  }
}

/** Pixels of a disc, or of a ring without what lies within `inner`: [dx, dy, share] each. */
function mask(outer, inner) {
  const reach = Math.ceil(outer + 0.5);
  const found = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const away = Math.hypot(dx, dy);
      const share = Math.min(1, Math.max(0, outer + 0.5 - away)) - (inner ? Math.min(1, Math.max(0, inner + 0.5 - away)) : 0);
      if (share > 0.02) found.push(dx, dy, share);
    }
  }
  return found;
}

function stamp({ data, width, height }, px, py, shape, [r, g, b], strength) {
  const [cx, cy] = [Math.round(px), Math.round(py)];
  if (cx < -9 || cy < -9 || cx > width + 9 || cy > height + 9) return;
  for (let k = 0; k < shape.length; k += 3) {
    const x = cx + shape[k];
    const y = cy + shape[k + 1];
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const share = shape[k + 2] * strength;
    const at = 4 * (y * width + x);
    data[at] += (r - data[at]) * share;
    data[at + 1] += (g - data[at + 1]) * share;
    data[at + 2] += (b - data[at + 2]) * share;
  }
}

const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

/** Any colour of CSS → [r, g, b]. */
export function rgb(colour) {
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}
