// Requests to the service, and what is said when one fails. Knows no view.

const KEY = "fewlabel-key";
const SENTENCES = {
  401: "The service asks for a key.",
  408: "The picture did not arrive in time. Is the connection slow?",
  413: "The picture is too large for this service.",
  415: "That is no picture: PNG, JPEG, WebP, BMP, GIF and TIFF are understood.",
  422: "That picture is damaged, so that it cannot be read.",
  504: "The service took too long to answer.",
  507: "The index is full: nothing more is kept.",
};
const RETRIES = 3;

let waitingForKey = null;
let keyDialog = async () => null;

export class Problem extends Error {
  constructor(status, sentence, detail, retryMs = 0) {
    super(sentence);
    Object.assign(this, { status, detail, retryMs });
  }
}

/** How a key is asked for: `dialog(why)` resolves to a key, or null. */
export function askForKeysWith(dialog) {
  keyDialog = dialog;
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** Says while a request is tried again; replaced by `main`. */
export const listener = { waiting: () => {}, answered: () => {} };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function once(path, options) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers.set("X-API-Key", key);
  const started = performance.now();
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer. Is it still running?", String(error.message));
  }
  if (response.ok) return { response, started };
  throw await problemOf(response);
}

async function problemOf(response) {
  let detail = "";
  try {
    detail = (await response.json()).detail ?? "";
  } catch {
    // a proxy's own page
  }
  const busy = response.status === 503;
  const sentence = SENTENCES[response.status] ?? (busy ? "The service is busy." : detail || `It failed: HTTP ${response.status}.`);
  return new Problem(response.status, sentence, detail, busy ? 1000 * Number(response.headers.get("retry-after") ?? 1) : 0);
}

/** The answer to a request, tried again while the service is busy and once a key is given; raises Problem. */
export async function send(path, options = {}) {
  for (let retries = RETRIES; ; ) {
    try {
      const answered = await once(path, options);
      listener.answered();
      return answered;
    } catch (problem) {
      if (problem.status === 401 && (await newKey(problem.detail))) continue;
      if (!problem.retryMs || options.once || retries-- === 0) throw problem;
      listener.waiting(problem);
      await pause(problem.retryMs);
    }
  }
}

async function newKey(why) {
  waitingForKey ??= keyDialog(hasKey() ? why : "");
  const key = await waitingForKey;
  waitingForKey = null;
  if (key === null) return false;
  sessionStorage.setItem(KEY, key);
  return true;
}

/** JSON, and how long it took: `[fields, {ms, queue, inference}]`. */
export async function ask(path, options = {}) {
  const { response, started } = await send(path, options);
  const fields = await response.json();
  return [fields, { ms: performance.now() - started, ...serverTiming(response) }];
}

export const askJson = (path, method, fields) =>
  ask(path, { method, body: JSON.stringify(fields), headers: { "Content-Type": "application/json" } });

function serverTiming(response) {
  const found = {};
  for (const [, name, value] of (response.headers.get("server-timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g)) {
    found[name] = Number(value);
  }
  return found;
}

/** An id as it stands in a path. */
export const inPath = (id) => id.split("/").map(encodeURIComponent).join("/");

export async function blobOf(path) {
  return (await send(path)).response.blob();
}

/** Shows an item's small picture; where there is none, `missing()` is called. */
export function showThumbnail(image, id, missing) {
  const path = `index/thumbnails/${inPath(id)}`;
  image.addEventListener("error", missing, { once: true });
  if (!hasKey()) {
    image.src = path;
    return;
  }
  blobOf(path).then((blob) => {  // an image element sends no key
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    image.src = URL.createObjectURL(blob);
  }, missing);
}
