// Elements and text. Names and labels become text nodes only: nothing that the service says is read as HTML.

export const $ = (id) => document.getElementById(id);

/** An element: `element("button", {type: "button"}, "Undo")`; a property that is a function listens. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Sets text, and touches the document only where it changes. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** 0.99358 → "99.4 %"; what is not quite all is not said to be all. */
export function percent(share, digits = 1) {
  const most = 100 - 10 ** -digits;
  const value = share < 1 ? Math.min(100 * share, most) : 100;
  return `${value.toFixed(digits)} %`;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** "a, b or c". */
export function either(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names[names.length - 1]}`;
}

/** The view and what it shows, as the address has them: "#map?label=7" → ["map", URLSearchParams]. */
export function place() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return [view, new URLSearchParams(query)];
}

/** Puts a view's state into the address without a step in the history. */
export function remember(view, fields) {
  const query = new URLSearchParams(Object.entries(fields).filter(([, value]) => value));
  const text = query.toString();
  history.replaceState(null, "", `#${view}${text && `?${text}`}`);
}

/** One callback for many calls: runs at the next frame. */
export function atFrame(callback) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      callback();
    });
  };
}
