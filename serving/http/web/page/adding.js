// Pictures of one's own, sent into the index: how a new user begins.

import { inPath, send } from "./api.js";
import { $, count, element, write } from "./dom.js";

const AT_ONCE = 3;
const TOLD = 5; // files that could not be taken, named

export class Adding {
  /** `done()` is called when some pictures were added. */
  constructor(trouble, done) {
    this.trouble = trouble;
    this.done = done;
    this.running = false;
    this.input = element("input", { type: "file", multiple: true, accept: "image/*", id: "add", class: "quiet", change: () => this.#chosen() });
    this.told = element("p", { class: "small", role: "status" });
    this.node = element(
      "div",
      { class: "adding" },
      element("label", { for: "add", class: "button" }, "Add pictures"),
      this.input,
      element("p", { class: "small" }, "or drop them anywhere here. They are kept in the service's index, under their file names."),
      this.told,
    );
    window.addEventListener("drop", (event) => {
      if (!$("label").hidden && event.dataTransfer.files.length) this.#take([...event.dataTransfer.files]);
    });
    window.addEventListener("paste", (event) => {
      if (!$("label").hidden && event.clipboardData?.files.length) this.#take([...event.clipboardData.files]);
    });
  }

  disable(disabled) {
    this.input.disabled = disabled;
    this.node.hidden = disabled;
  }

  #chosen() {
    this.#take([...this.input.files]);
    this.input.value = "";
  }

  async #take(files) {
    if (this.running || this.input.disabled) return;
    this.running = true;
    const failed = [];
    let sent = 0;
    const waiting = files.slice();
    const work = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        try {
          await send(`index/items/${inPath(file.webkitRelativePath || file.name)}`, { method: "PUT", body: file });
          sent++;
        } catch (problem) {
          failed.push(`${file.name}: ${problem.message}`);
          if ([0, 401, 403, 507].includes(problem.status)) waiting.length = 0;
        }
        write(this.told, `${sent} of ${count(files.length, "picture")} added.`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.running = false;
    const more = failed.length > TOLD ? [`and ${failed.length - TOLD} more`] : [];
    this.trouble(failed.length ? `Left out: ${[...failed.slice(0, TOLD), ...more].join("; ")}` : "");
    if (sent) await this.done();
  }
}
