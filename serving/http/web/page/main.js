// Which view is shown, what the page says of the model, and the dialog for a key.

import { ask, askForKeysWith, listener } from "./api.js";
import { $, count, either, element, percent, place, write } from "./dom.js";
import * as tryView from "./try.js";

const VIEWS = { try: async () => tryView, map: () => styled("./map.js"), label: () => styled("./label.js") };
const MOST_NAMED = 4; // classes that the title names
const started = new Set();
let model = null;
let styles = null;

/** A view's module, once the styles of all but the first view are there. */
function styled(path) {
  styles ??= new Promise((resolve) => {
    const link = element("link", { rel: "stylesheet", href: new URL("views.css", import.meta.url).pathname, load: resolve, error: resolve });
    document.head.append(link);
  });
  return Promise.all([import(path), styles]).then(([module]) => module);
}

function showTrouble(text) {
  write($("trouble"), text);
  $("trouble").hidden = !text;
}

/** The one line that says what one is looking at. */
function titleOf(view) {
  const { classes, input } = model;
  if (view === "map") return classes.length ? "Pictures that look alike lie together." : "Every picture of the index, the alike together.";
  if (view === "label") return "A few labels, chosen well, teach the most.";
  if (input.kind === "digit") return "Draw a digit.";
  if (!classes.length) return "Which pictures look like yours?";
  return classes.length <= MOST_NAMED ? `Is it ${either(classes)}?` : `Which of ${classes.length} classes is it?`;
}

function aboutOf() {
  const score = model.metrics.test_accuracy;
  const name = model.model.split("@")[0];
  if (!model.classes.length) return `The model ${name} has seen no labels yet: it finds pictures that look alike.`;
  const told = `The model ${name} tells ${count(model.classes.length, "class", "classes")} apart`;
  return score ? `${told}: it named ${percent(score.value, score.n < 1000 ? 0 : 2)} of ${count(score.n, "test picture")} right.` : `${told}.`;
}

async function show() {
  if (!model) return;
  const [asked, query] = place();
  const view = asked in VIEWS ? asked : "try";
  write($("title"), titleOf(view));
  write($("about"), aboutOf());
  $("about").title = model.protocol;
  document.title = `fewlabel: ${view}`;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== view;
  document.body.dataset.view = view;
  showTrouble("");
  const module = await VIEWS[view]();
  if (!started.has(view)) {
    started.add(view);
    await module.start(model, showTrouble);
  }
  await module.show(query);
}

function askForKey(why) {
  return new Promise((resolve) => {
    const dialog = $("key");
    let given = null;
    write($("key-why"), why || "It is one line of the file that the service was started with.");
    $("key-form").onsubmit = (event) => {
      event.preventDefault();
      given = $("key-text").value.trim();
      dialog.close();
    };
    $("key-no").onclick = () => dialog.close();
    dialog.onclose = () => {
      $("key-text").value = "";
      resolve(given || null);
    };
    dialog.showModal();
  });
}

async function start() {
  askForKeysWith(askForKey);
  listener.waiting = (problem) => showTrouble(`${problem.message} Trying again …`);
  listener.answered = () => !$("trouble").hidden && showTrouble("");
  try {
    [model] = await ask("model");
  } catch (problem) {
    write($("title"), "Nothing to see yet.");
    showTrouble(problem.message);
    return;
  }
  window.addEventListener("hashchange", show);
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault()); // or it is opened
  await show();
}

start();
