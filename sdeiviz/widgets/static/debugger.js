// @ts-check
// The debugger's surface. It shows the traits of `DebuggerWidget` and sends what the reader asks for.
//
// What a guest or its file can say (symbols, source, console, reasons) arrives as text and is only
// ever put into text nodes. Addresses and register values are hexadecimal strings: a number of
// JavaScript would lose the low bits.

/**
 * @typedef {{ at: number, of: number, span: number, time: string, pc: string, where: string,
 *   level: string, masked: boolean, forked: boolean, pe: number, pinned: boolean, said: string,
 *   epoch: number }} Moment
 * @typedef {[kind: string, start: number, end: number, label: string]} Stroke lane -1: hypervisor
 * @typedef {[index: number, kind: string, text: string, answer?: string, effects?: string,
 *   reason?: string, failed?: number, pe?: number, strokes?: Stroke[]]} LogRow
 * @typedef {[address: string, instruction: string, label: string, line: number,
 *   source: string]} CodeRow
 * @typedef {[event: number, state?: number, pending?: number, before?: number, entry?: string,
 *   refused?: string]} EventRow
 * @typedef {{ pes: number, kinds: Record<string, string>, strokes: Record<string, string>,
 *   look: string, tables: [name: string, title: string, columns: string[], none: string][],
 *   drawings: [name: string, title: string][] }} Machine more than one PE and its own events
 * @typedef {{ id: string, image: string, profile: string, registers: string[], signs: Record<string, string>,
 *   states: [number, string, string][], rules: [string, [string, string][]][], diagram: string,
 *   program: CodeRow[] | null, machine: Machine | null }} Guest
 * @typedef {{ get(name: string): any, on(name: string, f: Function): void,
 *   off(name: string, f: Function): void, send(message: object): void,
 *   widget_manager?: any }} Model
 */

/** Commands: name, label, key, what it does, icon, group. */
const COMMANDS = /** @type {[string, string, string, string, string, number][]} */ ([
  ["start", "Start", "a", "Go to the first instruction", "M3 3h2v10H3zM13 3v10L6 8z", 0],
  ["back", "Back", "b", "One instruction back", "M11 3v10L4 8z", 0],
  ["step", "Step", "s", "Run one instruction", "M5 3v10l7-5z", 0],
  ["previous", "Prev SDEI", "p", "Back to the SDEI moment before", "M2 8l4-4 4 4-4 4zM14 4v8L10 8z", 1],
  ["next", "Next SDEI", "n", "On to the next SDEI moment", "M14 8l-4 4-4-4 4-4zM2 4v8l4-4z", 1],
  ["continue", "Continue", "c", "Run to a breakpoint or the end", "M2 3v10l6-5zM8 3v10l6-5z", 2],
  ["stop", "Stop", "x", "Stop a run", "M4 4h8v8H4z", 2],
]);
/** @type {typeof COMMANDS[0]} */
const OVER = ["over", "Step PE", "o", "Run one instruction of the PE shown, over the turns of others",
  "M5 2v8l6-4zM3 12h10v2H3z", 0];
const BOLT = "M9 1L3 9h4l-1 6 7-9H8z";
const TRAITS = ["moment", "registers", "context", "events", "pes", "table", "drawing", "log", "markers", "console",
  "code", "breakpoints", "running", "error", "done"];
/** What a PE does, by its letter: a sign and a word. */
const DOES = /** @type {Record<string, [string, string]>} */ ({
  c: ["▶", "running"], r: ["·", "ready"], w: ["⏸", "waiting"], o: ["○", "off"],
});
const ROWS = { before: 14, after: 4 }; // entries of the sequence around now
const SHAPE = { gutter: 58, least: 92, most: 180, line: 22, bar: 10 }; // its lengths in pixels
const ROOM = 200; // rows of the log that the page holds on either side of now
const BUSY = "The guest is running: press Stop first.";
const GONE = "The kernel behind this debugger is gone: run its cell again.";
const BEFORE_SDEI = "No handler is running, so nothing is interrupted. When an event is delivered, "
  + "the PC, PSTATE and x0 to x17 that it interrupts are kept here.";

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any>} attributes `class`, `on...` handlers, or plain attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Make an element of a drawing.
 * @param {string} tag @param {Record<string, any>} attributes @param {...(Node | string)} children
 */
function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** @param {string} path @returns {Element} */
const icon = (path) => draw("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, draw("path", { d: path }));

/** Change a node's text only where it differs. @param {Node} node @param {string} text */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {string} digits @returns {string} */
const pad = (digits) => digits.padStart(16, "0");

/** Show 16 digits, leading zeros apart. @param {HTMLElement} cell @param {string} digits */
function sayValue(cell, digits) {
  if (cell.dataset.value === digits) return;
  cell.dataset.value = digits;
  const zeros = digits === "0" ? 15 : 16 - digits.length;
  cell.replaceChildren(h("span", { class: "zeros" }, "0".repeat(zeros)), digits);
}

/** An event's number as the kernel side writes it. @param {number} event @returns {string} */
const eventName = (event) => event < 10000 ? String(event) : `0x${event.toString(16)}`;

/** @param {number} value @returns {string} */
const grouped = (value) => value.toLocaleString("en");

/**
 * What the page has been told of one debugger, joined from windows; shared by all its views.
 */
class Store {
  constructor() {
    /** @type {Map<number, LogRow>} */
    this.log = new Map();
    /** @type {Map<string, CodeRow>} */
    this.code = new Map();
    this.console = { start: 0, text: "" };
    this.epoch = -1;
    this.sent = 0;
    this.gone = false;
    /** @type {Set<() => void>} */
    this.views = new Set();
  }

  /** @param {Model} model */
  connect(model) {
    this.sent = model.get("done");
    this.takeAll(model);
    model.on("change:moment", () => this.renew(model));
    model.on("change:log", () => this.takeLog(model));
    model.on("change:console", () => this.takeConsole(model));
    model.on("change:code", () => this.takeCode(model.get("code").rows));
    // Where the host says nothing of its kernel, a command that stays unanswered tells.
    model.widget_manager?.kernel?.statusChanged?.connect?.(
      (/** @type {any} */ _, /** @type {string} */ status) => {
        if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) this.lose();
      });
  }

  lose() {
    this.gone = true;
    for (const view of this.views) view();
  }

  /** @param {Model} model */
  takeAll(model) {
    this.takeCode(model.get("guest").program ?? []);
    if (model.get("code").rows) this.takeCode(model.get("code").rows);
    this.renew(model);
  }

  /** Where the past was changed, forget what followed. @param {Model} model */
  renew(model) {
    const { epoch } = model.get("moment");
    if (epoch === this.epoch) return;
    this.epoch = epoch;
    this.log.clear();
    this.console = { start: 0, text: "" };
    this.takeLog(model);
    this.takeConsole(model);
  }

  /** @param {Model} model */
  takeLog(model) {
    this.renew(model);
    const { first, rows } = model.get("log");
    rows.forEach((/** @type {LogRow} */ row, /** @type {number} */ n) => this.log.set(first + n, row));
  }

  /** @param {Model} model */
  takeConsole(model) {
    this.renew(model);
    const { length, tail } = model.get("console");
    const from = length - tail.length;
    const known = this.console;
    if (known.start <= from && from <= known.start + known.text.length) {
      known.text = known.text.slice(0, from - known.start) + tail;
    } else {
      this.console = { start: from, text: tail };
    }
  }

  /** @param {CodeRow[]} rows */
  takeCode(rows) {
    for (const row of rows) this.code.set(row[0], row);
  }
}

/** One view of one debugger. */
class Surface {
  /** @param {Model} model @param {HTMLElement} el @param {Store} store */
  constructor(model, el, store) {
    this.model = model;
    this.store = store;
    /** @type {Guest} */
    this.guest = model.get("guest");
    this.machine = this.guest.machine;
    this.several = (this.machine?.pes ?? 1) > 1;
    this.commands = this.several ? [...COMMANDS.slice(0, 3), OVER, ...COMMANDS.slice(3)] : COMMANDS;
    /** The table of the machine that is open, "" for the sequence. */
    this.tab = "";
    /** The event that was picked; before one is, the first that has a handler. @type {number | null} */
    this.event = null;
    this.note = "";
    /** @type {number | null} */
    this.wanted = null;
    /** @type {Set<string>} */
    this.dirty = new Set(TRAITS);
    this.queued = false;
    this.build(el);
    // What stands under the surface for readers without it (see Debugger._ipython_display_).
    for (const wait of [0, 300]) setTimeout(() => this.hideTwin(), wait);
    this.handlers = TRAITS.map((name) => {
      const handler = () => this.touch(name);
      model.on(`change:${name}`, handler);
      return /** @type {[string, Function]} */ ([name, handler]);
    });
    this.onStore = () => this.touch("done");
    store.views.add(this.onStore);
    this.resize = new ResizeObserver(() => {
      this.showHere();
      this.showCurrent();
      if (this.machine) this.touch("pes");
    });
    this.resize.observe(this.codeScroller);
    this.resize.observe(this.logScroller);
    if (this.machine) this.resize.observe(this.machineScroller);
    this.paint();
  }

  remove() {
    for (const [name, handler] of this.handlers) this.model.off(`change:${name}`, handler);
    this.store.views.delete(this.onStore);
    this.resize.disconnect();
    clearTimeout(this.patience);
  }

  hideTwin() {
    for (const twin of document.querySelectorAll(`.sdeiviz-moment[data-of="${this.guest.id}"]`)) {
      /** @type {HTMLElement} */ (twin).hidden = true;
    }
  }

  // -- talking to the kernel --------------------------------------------------------------------

  get waiting() {
    return this.store.sent > this.model.get("done");
  }

  get running() {
    return this.model.get("running") !== "";
  }

  /** Ask the kernel for something. @param {string} what @param {object} more */
  send(what, more = {}) {
    if (this.store.gone) return this.tell(GONE);
    if (this.running && !["stop", "log", "console", "code", "table", "drawing"].includes(what)) return this.tell(BUSY);
    this.note = "";
    this.store.sent += 1;
    try {
      this.model.send({ do: what, id: this.store.sent, ...more });
    } catch {
      this.store.lose();
    }
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.touch("done"), 700);
    this.touch("done");
  }

  /** Say something of our own. @param {string} text */
  tell(text) {
    this.note = text;
    this.touch("error");
  }

  /** @param {string} name */
  touch(name) {
    this.dirty.add(name);
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.paint();
    });
  }

  // -- building ---------------------------------------------------------------------------------

  /** @param {HTMLElement} el */
  build(el) {
    const root = h("div", {
      class: `sdeiviz${this.machine ? " machine" : ""}${this.machine?.drawings.length ? " paged" : ""}`,
      tabindex: 0, role: "group", "data-lm-suppress-shortcuts": "true",
      "aria-label": `Debugger of ${this.guest.image}`, onkeydown: (/** @type {any} */ e) => this.key(e),
    });
    this.root = root;
    const panes = h("div", { class: "panes" },
      this.buildCode(), this.buildDiagram(), this.buildRegisters(), this.buildLog(),
      this.buildContext(), this.buildConsole());
    if (this.machine) panes.append(this.buildMachine(this.machine));
    root.append(h("div", { class: "surface" },
      this.buildToolbar(), this.buildScrubber(), this.buildStatus(),
      ...(this.several ? [this.buildStrip()] : []), h("div", { class: "below" }, panes, this.buildKeys())));
    el.append(root);
  }

  buildToolbar() {
    /** @type {Record<string, HTMLElement>} */
    this.buttons = {};
    const bar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Move and run" });
    const add = (/** @type {HTMLElement} */ group, /** @type {string} */ name,
      /** @type {string} */ label, /** @type {string} */ key, /** @type {string} */ title,
      /** @type {string} */ path, /** @type {() => void} */ action) => {
      const button = h("button", {
        type: "button", class: `command ${name}`, title: `${title} (${key})`, tabindex: -1,
        "aria-keyshortcuts": key, onclick: action,
      }, path ? icon(path) : "", h("span", {}, label));
      this.buttons[name] = button;
      group.append(button);
    };
    let group = h("div", { class: "group" });
    let last = 0;
    for (const [name, label, key, title, path, number] of this.commands) {
      if (number !== last) {
        bar.append(group);
        group = h("div", { class: "group" });
        last = number;
      }
      add(group, name, label, key, title, path, () => this.send(name));
    }
    bar.append(group);
    group = h("div", { class: "group" });
    if (this.machine) {
      add(group, "inject", "Inject", "i", "Raise the event chosen beside its state, on the PE shown",
        BOLT, () => this.inject());
    } else {
      for (const [event] of /** @type {EventRow[]} */ (this.model.get("events"))) {
        add(group, `inject${event}`, `Inject ${event}`, String(event),
          `Raise event ${event} from the host`, BOLT, () => this.send("inject", { event }));
      }
    }
    bar.append(group);
    group = h("div", { class: "group" });
    add(group, "help", "?", "?", "Show the keys", "", () => this.toggleKeys());
    this.buttons.help.setAttribute("aria-label", "Keys");
    this.buttons.help.setAttribute("aria-expanded", "false");
    bar.append(group);
    this.buttons.step.tabIndex = 0;
    rove(bar, "button", "ArrowLeft", "ArrowRight");
    return bar;
  }

  buildFacts() {
    const fact = (/** @type {string} */ name) => h("span", { class: `fact ${name}` });
    this.facts = { level: fact("level"), mask: fact("mask"), time: fact("time"), fork: fact("fork") };
    const guest = h("span", { class: "fact guest" },
      h("b", {}, this.guest.image), ` ${this.guest.profile}`);
    return h("div", { class: "facts" }, guest, ...Object.values(this.facts));
  }

  /** A chip for each PE: what it does, and a click shows it. */
  buildStrip() {
    const chips = Array.from({ length: /** @type {Machine} */ (this.machine).pes }, (_, pe) => {
      const parts = { does: h("span", { class: "does" }), mask: h("span"), deep: h("span", { class: "deep" }) };
      const chip = h("button", {
        type: "button", class: "chip", tabindex: pe ? -1 : 0, "data-pe": pe, onclick: () => this.select(pe),
      }, h("b", {}, `PE ${pe}`), parts.does, parts.mask, parts.deep);
      return { chip, ...parts };
    });
    this.chips = chips;
    this.followButton = h("button", {
      type: "button", class: "chip follow", tabindex: -1, "aria-keyshortcuts": "f", onclick: () => this.select(null),
      title: "Show the PE whose turn it is (f)",
    }, "Follow turns");
    const strip = h("div", { class: "strip", role: "toolbar", "aria-label": "PEs" },
      ...chips.map(({ chip }) => chip), this.followButton);
    rove(strip, "button", "ArrowLeft", "ArrowRight");
    return strip;
  }

  buildScrubber() {
    this.marks = h("div", { class: "marks", "aria-hidden": "true" });
    this.recorded = h("div", { class: "recorded" });
    this.done = h("div", { class: "done" });
    this.thumb = h("div", { class: "thumb" });
    this.slider = h("div", {
      class: "slider", role: "slider", tabindex: 0, "aria-label": "Position in the recording",
      "aria-valuemin": 0,
    }, this.marks, h("div", { class: "track" }, this.recorded, this.done, this.thumb));
    this.slider.addEventListener("pointerdown", (e) => this.grab(e));
    this.slider.addEventListener("pointermove", (e) => e.buttons && this.drag(e));
    this.position = h("span", { class: "position" });
    return h("div", { class: "scrubber" }, this.slider, this.position);
  }

  buildStatus() {
    this.said = h("output", { class: "said", "aria-live": "polite" });
    this.error = h("div", { class: "error", role: "alert" });
    return h("div", { class: "status" }, this.buildFacts(),
      h("div", { class: "line" }, this.said, this.error));
  }

  /**
   * @param {string} name @param {string} title @param {Node[]} head @param {Node[]} body
   * @returns {[HTMLElement, HTMLElement]} the pane and its scroller
   */
  pane(name, title, head, body) {
    const scroller = h("div", {
      class: "scroller", "data-scroller": "", tabindex: 0, role: "region", "aria-label": title,
    }, ...body);
    const pane = h("section", { class: `pane ${name}`, "data-pane": name },
      h("header", {}, h("h3", {}, title), ...head), scroller);
    return [pane, scroller];
  }

  buildCode() {
    this.codeBody = h("tbody");
    this.where = h("span", { class: "where" });
    const head = h("thead", {}, h("tr", {}, ...["Breakpoint", "About to run", "Address", "Instruction",
      "Line", "Source"].map((name) => h("th", { scope: "col" }, name))));
    const table = h("table", { class: "listing" }, head, this.codeBody);
    const [pane, scroller] = this.pane("code", "Code", [this.where], [table]);
    this.codeScroller = scroller;
    /** @type {Map<string, HTMLElement>} */
    this.codeRows = new Map();
    this.codeBody.addEventListener("click", (e) => {
      const button = /** @type {Element} */ (e.target).closest("button");
      if (button) this.send("breakpoint", { address: button.dataset.address });
    });
    rove(this.codeBody, "button", "ArrowUp", "ArrowDown");
    return pane;
  }

  buildRegisters() {
    /** @type {Record<string, { row: HTMLElement, value: HTMLElement, mark: HTMLElement, says: HTMLElement | null }>} */
    this.cells = {};
    const names = this.guest.registers;
    const table = (/** @type {string} */ group, /** @type {string[]} */ members, wide = false) => {
      const rows = members.map((name) => {
        const value = h("td", { class: "value" });
        const mark = h("td", { class: "mark" });
        const says = wide ? h("td", { class: "says" }) : null;
        const row = h("tr", {}, h("th", { scope: "row" }, name), mark, value, ...(says ? [says] : []));
        this.cells[name] = { row, value, mark, says };
        return row;
      });
      return h("table", { class: `registers ${group}`, "aria-label": `Registers ${members[0]} to ${members.at(-1)}` },
        h("tbody", {}, ...rows));
    };
    const general = names.filter((name) => /^x\d+$/.test(name));
    const [pane] = this.pane("registers", "Registers", [h("span", { class: "hint" }, "* changed")], [
      h("div", { class: "tables" },
        table("now", names.slice(0, 3), true),
        ...[0, 8, 16, 24].map((n) => table(`x${n}`, general.slice(n, n + 8))),
        table("el1", names.slice(3 + general.length), true)),
    ]);
    return pane;
  }

  buildDiagram() {
    const parsed = new DOMParser().parseFromString(this.guest.diagram, "image/svg+xml");
    this.drawing = document.importNode(parsed.documentElement, true);
    // Two debuggers on one page must not share ids.
    for (const part of this.drawing.querySelectorAll("[id]")) {
      part.setAttribute("data-id", part.id);
      part.removeAttribute("id");
    }
    this.rules = this.buildRules();
    this.rules.hidden = true;
    this.pickers = this.machine
      ? h("select", { class: "pickers", "aria-label": "Event", onchange: () => this.pick(Number(this.pickers.value)) })
      : h("div", { class: "pickers", role: "group", "aria-label": "Event" });
    this.rulesButton = h("button", {
      type: "button", class: "small", "aria-pressed": "false", title: "What each call is told in each state",
      onclick: () => this.toggleRules(),
    }, "Rules");
    this.caption = h("div", { class: "caption" });
    const head = [this.pickers, this.rulesButton];
    const [pane, scroller] = this.pane("diagram", "Event state", head, [this.drawing, this.rules]);
    scroller.after(this.caption);
    return pane;
  }

  /** @param {Machine} machine */
  buildMachine(machine) {
    this.tabs = [["", "Sequence"], ...machine.tables, ...machine.drawings].map(([name, title]) => h("button", {
      type: "button", class: "small", "data-name": name, onclick: () => this.open(name),
    }, title));
    const parts = { heads: draw("svg", { class: "heads", "aria-hidden": "true" }), body: draw("svg", { role: "img" }) };
    this.sequence = h("div", { class: "sdeiviz-sequence" }, h("style", {}, machine.look), parts.heads, parts.body);
    this.sequenceParts = parts;
    this.grid = h("table", { class: "grid" });
    this.picture = h("div", { class: "picture" });
    this.gridNone = h("p", { class: "none" });
    const tabs = h("div", { class: "tabs", role: "group", "aria-label": "What of the machine" }, ...this.tabs);
    const [pane, scroller] = this.pane("machine", "Machine", [tabs], [this.sequence, this.grid, this.gridNone, this.picture]);
    this.machineScroller = scroller;
    return pane;
  }

  buildRules() {
    const states = this.guest.states.map(([, , title]) => title);
    const head = h("tr", {}, h("th", { scope: "col" }, "Call"),
      ...states.map((title) => h("th", { scope: "col", "data-state": title }, title)));
    const rows = this.guest.rules.map(([action, cells]) => h("tr", {},
      h("th", { scope: "row" }, action),
      ...cells.map(([state, told]) => h("td", {
        "data-state": state, class: told.startsWith("DENIED") ? "denied" : "",
      }, told.replace("->", "→")))));
    return h("table", { class: "rules" }, h("thead", {}, head), h("tbody", {}, ...rows));
  }

  buildLog() {
    this.logCount = h("span", { class: "hint" });
    this.logList = h("ol", { class: "log" });
    const [pane, scroller] = this.pane("log", "Calls and events", [this.logCount], [this.logList]);
    this.logScroller = scroller;
    this.logList.addEventListener("click", (e) => {
      const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (e.target).closest("button"));
      if (!button) return;
      if (button.dataset.first) this.send("log", { first: Number(button.dataset.first) });
      else this.send("goto", { index: Number(button.dataset.index) });
    });
    rove(this.logList, "button", "ArrowUp", "ArrowDown");
    return pane;
  }

  buildContext() {
    this.contextHint = h("span", { class: "hint" });
    this.contextNone = h("p", { class: "none" }, BEFORE_SDEI);
    const names = ["pc", "pstate", ...Array.from({ length: 18 }, (_, n) => `x${n}`)];
    this.pairs = names.map((name) => {
      const cells = { kept: h("td", { class: "value" }), sign: h("td", { class: "sign" }), live: h("td", { class: "value" }) };
      return { name, row: h("tr", {}, h("th", { scope: "row" }, name), cells.kept, cells.sign, cells.live), ...cells };
    });
    this.contextTable = h("table", { class: "pairs" },
      h("thead", {}, h("tr", {}, ...["", "Interrupted", "", "Live"].map((name, n) =>
        name ? h("th", { scope: "col" }, name) : h("td", { class: n ? "sign" : "" })))),
      h("tbody", {}, ...this.pairs.map((pair) => pair.row)));
    return this.pane("context", "Interrupted and live", [this.contextHint],
      [this.contextNone, this.contextTable])[0];
  }

  buildConsole() {
    this.written = h("pre", { class: "written" });
    const [pane, scroller] = this.pane("console", "Console", [], [this.written]);
    this.consoleScroller = scroller;
    return pane;
  }

  buildKeys() {
    const rows = [
      ...this.commands.map(([, , key, title]) => [key, title]),
      ...this.machine ? [["i", "Raise the event chosen beside its state, on the PE shown"]]
        : this.model.get("events").map((/** @type {EventRow} */ [event]) => [String(event), `Raise event ${event} from the host`]),
      ...this.several ? [["v", "Show the next PE"], ["f", "Show the PE whose turn it is"]] : [],
      ["t", "Set or remove a breakpoint at the line about to run"],
      ["← →", "In the toolbar: the next button. On the scrubber: back and step"],
      ["↑ ↓", "In the code and the log: the next line"],
      ["?", "Show or hide this list"],
    ];
    this.keys = h("div", { class: "keys", role: "region", "aria-label": "Keys" },
      h("table", {}, h("tbody", {}, ...rows.map(([key, what]) =>
        h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what))))));
    this.keys.hidden = true;
    return this.keys;
  }

  // -- the reader's hand ------------------------------------------------------------------------

  /** @param {KeyboardEvent} e */
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.target instanceof HTMLSelectElement) return;
    const command = this.commands.find(([, , key]) => key === e.key);
    const events = this.machine ? [] : this.model.get("events").map((/** @type {EventRow} */ [event]) => event);
    let action;
    if (command) action = () => this.send(command[0]);
    else if (events.includes(Number(e.key)) && e.key.trim()) action = () => this.send("inject", { event: Number(e.key) });
    else if (e.key === "i" && this.machine) action = () => this.inject();
    else if (e.key === "v" && this.several) action = () => this.select((this.model.get("moment").pe + 1) % this.machine.pes);
    else if (e.key === "f" && this.several) action = () => this.select(null);
    else if (e.key === "t") action = () => this.send("breakpoint", { address: this.model.get("moment").pc });
    else if (e.key === "?") action = () => this.toggleKeys();
    else if (e.key === "Escape" && !this.keys.hidden) action = () => this.toggleKeys();
    else if (e.target === this.slider) action = this.slide(e.key);
    if (!action) return;
    e.preventDefault();
    e.stopPropagation();
    // A key held down must not pile up commands.
    if (!(e.repeat && this.waiting)) action();
  }

  /** @param {string} key @returns {(() => void) | undefined} */
  slide(key) {
    const { of } = this.model.get("moment");
    return {
      ArrowLeft: () => this.send("back"), ArrowDown: () => this.send("back"),
      ArrowRight: () => this.send("step"), ArrowUp: () => this.send("step"),
      PageDown: () => this.send("previous"), PageUp: () => this.send("next"),
      Home: () => this.send("start"), End: () => this.send("goto", { index: of }),
    }[key];
  }

  /** @param {PointerEvent} e */
  grab(e) {
    this.slider.setPointerCapture(e.pointerId);
    this.drag(e);
  }

  /** @param {PointerEvent} e */
  drag(e) {
    const { of, span } = this.model.get("moment");
    const box = this.marks.getBoundingClientRect();
    const share = (e.clientX - box.left) / box.width;
    let index = Math.round(Math.min(Math.max(share, 0), 1) * span);
    const marks = /** @type {HTMLElement[]} */ ([...this.marks.children]);
    const near = marks.map((mark) => Number(mark.dataset.index))
      .sort((a, b) => Math.abs(a - index) - Math.abs(b - index))[0];
    if (near !== undefined && Math.abs(near - index) / span * box.width <= 6) index = near;
    index = Math.min(index, of);
    this.wanted = index;
    this.follow();
  }

  /** Go where the scrubber was dragged to last, one command at a time. */
  follow() {
    if (this.wanted === null || this.waiting) return;
    const index = this.wanted;
    this.wanted = null;
    if (index !== this.model.get("moment").at) this.send("goto", { index });
  }

  inject() {
    this.send("inject", { event: this.shownEvent()[0] });
  }

  /** Show a PE; null: whoever's turn it is. @param {number | null} pe */
  select(pe) {
    this.send("select", { pe });
  }

  /** The event whose state is shown. @returns {EventRow} */
  shownEvent() {
    /** @type {EventRow[]} */
    const events = this.model.get("events");
    return events.find(([n]) => n === this.event) ?? events.find(([, state]) => state) ?? events[0];
  }

  /** Show another event's state. @param {number} event */
  pick(event) {
    this.event = event;
    this.touch("events");
  }

  /** Open a table of the machine, or the sequence. @param {string} name */
  open(name) {
    this.tab = name;
    this.send("table", { name });
    this.touch("table");
  }

  toggleKeys() {
    this.keys.hidden = !this.keys.hidden;
    this.buttons.help.setAttribute("aria-expanded", String(!this.keys.hidden));
  }

  toggleRules() {
    this.rules.hidden = !this.rules.hidden;
    this.drawing.toggleAttribute("hidden", !this.rules.hidden);
    this.rulesButton.setAttribute("aria-pressed", String(!this.rules.hidden));
  }

  // -- painting ---------------------------------------------------------------------------------

  paint() {
    const dirty = this.dirty;
    this.dirty = new Set();
    const any = (/** @type {string[]} */ ...names) => names.some((name) => dirty.has(name));
    if (any("moment", "code")) this.paintCode();
    if (any("breakpoints", "code")) this.paintBreakpoints();
    if (any("moment", "markers", "log")) this.paintScrubber();
    if (any("registers")) this.paintRegisters();
    if (any("context", "registers")) this.paintContext();
    if (any("events", "log", "moment")) this.paintDiagram();
    if (any("log", "moment")) this.paintLog();
    if (this.several && any("pes", "moment")) this.paintStrip();
    if (this.machine && any("pes", "moment", "log", "table", "drawing")) this.paintMachine();
    if (any("console")) this.paintConsole();
    this.paintStatus();
    this.follow();
  }

  /** What just happened, in one sentence. @returns {string} */
  happened() {
    const { said } = this.model.get("moment");
    if (said) return said;
    const row = this.store.log.get(this.model.get("log").now - 1) ?? /** @type {LogRow} */ ([0, "", "…"]);
    const [, , text, answer, , , , pe] = row;
    return (pe !== undefined && this.several ? `PE ${pe}: ` : "") + (answer ? `${text} = ${answer}` : text);
  }

  paintStatus() {
    /** @type {Moment} */
    const moment = this.model.get("moment");
    const running = this.model.get("running");
    const late = this.waiting && !running;
    const error = this.store.gone ? GONE : this.note || this.model.get("error");
    say(this.said, running || (late && this.late() ? "Waiting for the kernel …" : this.happened()));
    say(this.error, error);
    this.root.classList.toggle("failed", error !== "");
    this.root.classList.toggle("running", running !== "");
    this.root.classList.toggle("gone", this.store.gone);
    this.root.classList.toggle("waiting", this.waiting && !this.store.gone);
    for (const [name, button] of Object.entries(this.buttons)) {
      if (name === "help") continue;
      const off = this.store.gone || (name === "stop" ? !running : running !== "");
      button.setAttribute("aria-disabled", String(off));
    }
    this.slider.setAttribute("aria-disabled", String(this.store.gone || running !== ""));
    const { level, mask, time, fork } = this.facts;
    say(level, moment.level);
    const number = this.several ? ` ${moment.pe}` : "";
    say(mask, moment.masked ? `⊘ PE${number} masked` : `PE${number} unmasked`);
    mask.classList.toggle("masked", moment.masked);
    say(time, moment.time);
    say(fork, moment.forked ? "⑂ changed" : "");
    fork.title = moment.forked ? "The host changed the past: this recording left the one it came from" : "";
  }

  /** Whether an answer is overdue. */
  late() {
    const now = performance.now();
    if (this.lastSent !== this.store.sent) {
      this.lastSent = this.store.sent;
      this.sentAt = now;
    }
    return now - (this.sentAt ?? now) > 600;
  }

  paintScrubber() {
    /** @type {Moment} */
    const { at, of, span } = this.model.get("moment");
    const share = (/** @type {number} */ index) => `${index / span * 100}%`;
    this.recorded.style.width = share(of);
    this.done.style.width = share(at);
    this.thumb.style.left = share(at);
    say(this.position, `${grouped(at)} of ${grouped(of)}`);
    this.slider.setAttribute("aria-valuenow", String(at));
    this.slider.setAttribute("aria-valuemax", String(of));
    this.slider.setAttribute("aria-valuetext", `${at} of ${of}. ${this.happened()}`);
    const marks = this.model.get("markers");
    const drawn = `${marks} ${span}`;
    if (this.drawnMarks === drawn) return;
    this.drawnMarks = drawn;
    this.marks.replaceChildren(...marks.split(" ").filter(Boolean).map((/** @type {string} */ mark) => {
      const index = parseInt(mark.slice(1), 36);
      const sign = h("span", { class: `mark ${mark[0]}`, "data-index": index, title: `SDEI moment at ${index}` },
        this.guest.signs[mark[0]]);
      sign.style.left = `clamp(7px, ${share(index)}, calc(100% - 7px))`;
      return sign;
    }));
  }

  paintCode() {
    const { pc, where } = this.model.get("moment");
    say(this.where, where);
    if (!this.codeRows.has(pc)) this.fillCode(pc);
    if (this.here) {
      this.here.classList.remove("here");
      this.here.removeAttribute("aria-current");
      say(this.here.children[1], "");
    }
    this.here = this.codeRows.get(pc);
    if (!this.here) return this.ask("code");
    this.here.classList.add("here");
    this.here.setAttribute("aria-current", "step");
    say(this.here.children[1], "▶");
    this.showHere();
  }

  /** Lay out the instructions that the page has around an address. @param {string} pc */
  fillCode(pc) {
    const code = this.store.code;
    const whole = this.guest.program && this.guest.program.some((row) => row[0] === pc);
    let rows = whole ? /** @type {CodeRow[]} */ (this.guest.program) : [];
    if (!whole) {
      const at = BigInt(`0x${pc}`);
      for (let n = -300n; n < 300n; n += 1n) {
        const row = code.get((at + 4n * n).toString(16));
        if (row) rows.push(row);
        else if (n < 0n) rows = [];
        else break;
      }
    }
    this.codeRows.clear();
    const lines = document.createDocumentFragment();
    for (const row of rows) {
      const [address, instruction, label, number, source] = row;
      if (label) {
        lines.append(h("tr", { class: "label" }, h("th", { colspan: 6, scope: "colgroup" }, `${label}:`)));
      }
      const [mnemonic, ...operands] = instruction.split(" ");
      const comment = source.search(/\/\//);
      const [text, rest] = comment < 0 ? [source, ""] : [source.slice(0, comment), source.slice(comment)];
      const line = h("tr", {},
        h("td", { class: "gutter" }, h("button", {
          type: "button", tabindex: -1, "data-address": address, "aria-pressed": "false",
          "aria-label": `Breakpoint at ${address}`,
        })),
        h("td", { class: "arrow" }),
        h("td", { class: "address" }, address),
        h("td", { class: "instruction" },
          h("b", { class: /^(hvc|smc|eret)$/.test(mnemonic) ? "exit" : "" }, mnemonic), ` ${operands.join(" ")}`),
        h("td", { class: "number" }, number ? String(number) : ""),
        h("td", { class: "source" }, text, h("i", {}, rest)));
      this.codeRows.set(address, line);
      lines.append(line);
    }
    this.codeBody.replaceChildren(lines);
    this.here = undefined;
    this.paintBreakpoints();
  }

  /** Bring the line about to run into sight, with some lines around it. */
  showHere() {
    if (!this.here) return;
    const box = this.codeScroller;
    const top = this.here.offsetTop;
    const room = 72;
    if (top < box.scrollTop + room || top > box.scrollTop + box.clientHeight - room - 24) {
      box.scrollTop = Math.max(0, top - box.clientHeight / 3);
    }
  }

  paintBreakpoints() {
    const set = new Set(this.model.get("breakpoints").split(" "));
    for (const [address, row] of this.codeRows) {
      const button = /** @type {HTMLElement} */ (row.firstElementChild?.firstElementChild);
      const on = set.has(address);
      button.setAttribute("aria-pressed", String(on));
      say(button, on ? "●" : "");
    }
    const tab = this.codeBody.querySelector('button[tabindex="0"]');
    if (!tab) this.codeRows.values().next().value?.querySelector("button")?.setAttribute("tabindex", "0");
  }

  paintRegisters() {
    const { now, changed: bits, was, says } = this.model.get("registers");
    const values = now.split(" ");
    const before = was.split(" ");
    const changes = BigInt(`0x${bits}`);
    this.guest.registers.forEach((name, n) => {
      const { row, value, mark, says: note } = this.cells[name];
      sayValue(value, values[n]);
      const changed = (changes >> BigInt(n) & 1n) === 1n;
      const old = changed ? before.shift() : "";
      row.classList.toggle("changed", changed);
      say(mark, changed ? "*" : "");
      row.title = old ? `was ${pad(old)}` : "";
      if (note) say(note, says[name] ?? "");
    });
  }

  paintContext() {
    const context = this.model.get("context");
    this.contextNone.hidden = context !== null;
    this.contextTable.hidden = context === null;
    const deep = context?.deep > 1 ? `, ${context.deep} deep` : "";
    say(this.contextHint, context ? `by event ${eventName(context.event)}${deep} · ${context.level}` : "");
    if (!context) return;
    const names = this.guest.registers;
    const live = this.model.get("registers").now.split(" ");
    const kept = context.values.split(" ");
    this.pairs.forEach((pair, n) => {
      const now = live[names.indexOf(pair.name)];
      sayValue(pair.kept, kept[n]);
      sayValue(pair.live, now);
      const differs = now !== kept[n];
      say(pair.sign, differs ? "≠" : "");
      pair.row.classList.toggle("differs", differs);
    });
  }

  paintDiagram() {
    /** @type {EventRow[]} */
    const events = this.model.get("events");
    const numbers = events.map(([n]) => n).join();
    if (this.picked !== numbers) {
      this.picked = numbers;
      this.pickers.replaceChildren(...events.map(([event]) => this.machine
        ? h("option", { value: event })
        : h("button", { type: "button", class: "small", onclick: () => this.pick(event) })));
    }
    const [event, state = 0, pending = 0, before = 0, entry = "", refused = ""] = this.shownEvent();
    events.forEach(([n, , waits], place) => {
      const picker = this.pickers.children[place];
      const kind = this.machine?.kinds[n];
      say(picker, `Event ${eventName(n)}${kind ? ` (${kind})` : ""}${waits ? " ○ pending" : ""}`);
      if (!this.machine) picker.setAttribute("aria-pressed", String(n === event));
    });
    if (this.machine) /** @type {HTMLSelectElement} */ (this.pickers).value = String(event);
    const nodeOf = (/** @type {number} */ state) =>
      this.guest.states.find(([value]) => value === state) ?? this.guest.states[0];
    const [, node, title] = nodeOf(state);
    const edge = before && `edge_${nodeOf(before - 1)[1].slice(6)}_${node.slice(6)}`;
    const last = this.store.log.get(this.model.get("log").now - 1);
    for (const part of this.drawing.querySelectorAll("[data-id]")) {
      const id = part.getAttribute("data-id");
      part.classList.toggle("current", id === node);
      part.classList.toggle("refused", id === node && refused !== "");
      part.classList.toggle("taken", id === edge);
    }
    for (const cell of this.rules.querySelectorAll("[data-state]")) {
      cell.classList.toggle("current", cell.getAttribute("data-state") === title);
    }
    const whose = !this.several ? "" : this.machine.kinds[event]?.includes("shared") ? ", shared" : ` on PE ${this.model.get("moment").pe}`;
    const facts = [`Event ${eventName(event)}${whose}: ${title}`, pending ? "pending" : "", entry ? `entry ${entry}` : ""];
    this.caption.replaceChildren(h("b", {}, facts.filter(Boolean).join(" · ")));
    if (refused) {
      this.caption.append(h("span", { class: "refusal" }, "✕ Refused: "), last?.[5] ?? refused);
    } else {
      const kind = this.machine?.kinds[event] ?? "";
      const foreign = kind.includes("shared") ? ["PRIVATE_RESET"] : ["SHARED_RESET", "EVENT_ROUTING_SET"];
      if (!kind.includes("bound")) foreign.push("INTERRUPT_RELEASE");
      const open = this.guest.rules.filter(([action, cells]) => !foreign.includes(action) &&
        cells.some(([at, told]) => at === title && !/^(DENIED|waits)/.test(told)));
      const names = open.map(([action]) => action.replace(/^(EVENT|PRIVATE)_/, ""));
      this.caption.append(h("span", { class: "hint" }, `Possible now: ${names.join(", ")}`));
    }
  }

  paintLog() {
    const { now, size } = this.model.get("log");
    say(this.logCount, size ? `${grouped(now)} of ${grouped(size)}` : "");
    const rows = this.store.log;
    let first = now;
    while (first > Math.max(0, now - ROOM) && rows.has(first - 1)) first -= 1;
    let last = now;
    while (last < Math.min(size, now + ROOM) && rows.has(last)) last += 1;
    const drawn = `${this.store.epoch} ${first} ${last}`;
    if (this.drawnLog !== drawn) {
      this.drawnLog = drawn;
      const list = [];
      if (first > 0) list.push(more("earlier", Math.max(0, first - 60)));
      for (let n = first; n < last; n += 1) list.push(this.logRow(n, /** @type {LogRow} */ (rows.get(n))));
      if (last < size) list.push(more("later", last));
      if (!size) list.push(h("li", { class: "none" }, "No call has been made yet."));
      this.logList.replaceChildren(...list);
    }
    let current;
    for (const item of /** @type {Iterable<HTMLElement>} */ (this.logList.children)) {
      const number = Number(item.dataset.number);
      item.classList.toggle("later", number >= now);
      const is = number === now - 1;
      item.classList.toggle("current", is);
      item.firstElementChild?.toggleAttribute("aria-current", false);
      if (is) {
        item.firstElementChild?.setAttribute("aria-current", "true");
        current = item;
      }
    }
    const stop = current ?? this.logList.querySelector("li");
    for (const button of this.logList.querySelectorAll("button")) {
      if (document.activeElement !== button) button.tabIndex = button.parentElement === stop ? 0 : -1;
    }
    this.current = current;
    this.showCurrent();
    // A reloaded page has a few rows; a log that fits into the pane is asked for at once.
    if (first > 0 && now - first < 12) this.ask("log", { first: Math.max(0, now - 40) });
  }

  /** Bring the row of now into sight. */
  showCurrent() {
    const box = this.logScroller;
    const row = this.current;
    if (!row) {
      box.scrollTop = 0;
    } else if (row.offsetTop < box.scrollTop || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight + 4;
    }
  }

  /** @param {number} number @param {LogRow} row */
  logRow(number, [index, kind, text, answer = "", effects = "", reason = "", failed = 0, pe]) {
    const whose = this.several ? [h("b", { class: "pe" }, `PE ${pe}`), " "] : [];
    const what = h("span", { class: "what" }, ...whose, h("code", {}, text));
    if (answer) what.append(" ", h("span", { class: `answer${failed ? " failed" : ""}` }, `${failed ? "✕" : "="} ${answer}`));
    if (effects) what.append(" ", h("span", { class: "effects" }, effects));
    if (reason) what.append(h("span", { class: "reason" }, reason));
    return h("li", { "data-number": number, class: kind }, h("button", { type: "button", "data-index": index },
      h("span", { class: "index" }, grouped(index)),
      h("span", { class: "sign", "aria-hidden": "true" }, this.guest.signs[kind]), what));
  }

  /** Three letters for each PE: what it does, its mask, how deep it is in handlers. @returns {string[]} */
  get signs() {
    return this.model.get("pes").match(/.../g) ?? [];
  }

  paintStrip() {
    const { pe: shown, pinned } = this.model.get("moment");
    this.signs.forEach((/** @type {string} */ signs, /** @type {number} */ pe) => {
      const { chip, does, mask, deep } = this.chips[pe];
      const [sign, word] = DOES[signs[0]];
      const depth = Number(signs.slice(2));
      say(does, `${sign} ${word}`);
      say(mask, signs[1] === "m" ? "⊘" : "");
      say(deep, depth ? `▼${depth}` : "");
      const facts = [word, signs[1] === "m" ? "masked" : "unmasked", depth ? `${depth} deep in handlers` : ""];
      chip.setAttribute("aria-label", `PE ${pe}: ${facts.filter(Boolean).join(", ")}`);
      chip.title = facts.filter(Boolean).join(", ");
      chip.classList.toggle("current", signs[0] === "c");
      chip.classList.toggle("off", signs[0] === "o");
      chip.setAttribute("aria-pressed", String(pe === shown));
      chip.classList.toggle("pinned", pinned && pe === shown);
    });
    this.followButton.setAttribute("aria-pressed", String(!pinned));
  }

  paintMachine() {
    for (const tab of this.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.name === this.tab));
    this.sequence.toggleAttribute("hidden", this.tab !== "");
    const table = this.model.get("table");
    const ready = table?.name === this.tab;
    const [, , columns, none] = this.machine.tables.find(([name]) => name === this.tab) ?? ["", "", [], ""];
    this.grid.hidden = !ready || !table.size;
    this.gridNone.hidden = !ready || table.size > 0;
    const drawn = this.machine.drawings.some(([name]) => name === this.tab);
    this.picture.hidden = !drawn;
    if (this.tab === "") return this.paintSequence();
    if (drawn) return this.paintPicture();
    if (!ready) return;
    say(this.gridNone, none);
    const cells = JSON.stringify(table);
    if (this.drawnTable !== cells) {
      this.drawnTable = cells;
      this.grid.replaceChildren(
        h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, ...table.rows.map((/** @type {string[]} */ [first, ...rest]) =>
          h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((cell) => h("td", {}, cell))))));
    }
    if (table.rows.length < table.size) this.ask("table", { name: this.tab });
  }

  /** A drawing that the kernel made; asked for anew at each moment that is shown. */
  paintPicture() {
    const { at, epoch } = this.model.get("moment");
    const drawing = this.model.get("drawing");
    const known = drawing?.name === this.tab;
    if (!known) this.picture.replaceChildren();
    else if (this.drawnPicture !== drawing) {
      this.drawnPicture = drawing;
      const parsed = new DOMParser().parseFromString(drawing.svg, "image/svg+xml");
      this.picture.replaceChildren(document.importNode(parsed.documentElement, true));
      for (const step of this.picture.querySelectorAll("[data-at]")) {
        const go = () => this.send("goto", { index: Number(step.dataset.at) });
        step.ownerSVGElement.setAttribute("role", "group");
        step.setAttribute("role", "button");
        step.setAttribute("tabindex", "0");
        step.addEventListener("click", go);
        step.addEventListener("keydown", (event) => event.key === "Enter" && go());
      }
    }
    if (!known || drawing.at !== at || drawing.epoch !== epoch) this.ask("drawing", { name: this.tab });
  }

  /** The same drawing as views/sequence.py, from the strokes of the log's rows. */
  paintSequence() {
    const { now, size } = this.model.get("log");
    const { least, most, line, bar } = SHAPE;
    const gutter = Math.max(SHAPE.gutter, 16 + 6.8 * grouped(this.model.get("moment").of).length);
    const pes = this.signs;
    const lanes = this.machine.pes + 1;
    const room = this.machineScroller.clientWidth - gutter - 4;
    const pitch = Math.max(least, Math.min(most, Math.floor(room / (lanes + 0.5))));
    const x = (/** @type {number} */ lane) => gutter + pitch * (lane + 1.5);
    let first = now;
    while (first > Math.max(0, now - ROWS.before) && this.store.log.has(first - 1)) first -= 1;
    let last = now;
    while (last < Math.min(size, now + ROWS.after) && this.store.log.has(last)) last += 1;
    const row = (/** @type {number} */ n) => /** @type {LogRow} */ (this.store.log.get(n));
    const strokesOf = (/** @type {number} */ n) => row(n)[8] ?? [];

    // What the lanes are now is known; walked back, what they were at the top.
    const one = Number(this.model.get("context")?.deep ?? 0);
    const depth = pes.length ? pes.map((/** @type {string} */ signs) => Number(signs.slice(2))) : [one];
    const power = pes.length ? pes.map((/** @type {string} */ signs) => signs[0] !== "o") : [true];
    const pass = (/** @type {Stroke} */ [kind, , end], /** @type {number} */ way) => {
      const change = { d: way, e: -way }[kind];
      if (change) depth[end] = Math.max(0, depth[end] + change);
      if (kind === "+" || kind === "-") power[end] = (kind === "+") === way > 0;
    };
    /** @type {Map<number, number[]>} depths before each row; a reset ends bars without a stroke */
    const depths = new Map([[now, [...depth]]]);
    for (let n = now - 1; n >= first; n -= 1) {
      for (const stroke of [...strokesOf(n)].reverse()) pass(stroke, -1);
      depths.set(n, [...depth]);
    }

    /** @type {Map<string, [number, number][]>} */
    const runs = new Map();
    let y = 4;
    const goDown = () => {
      for (let lane = -1; lane < lanes - 1; lane += 1) {
        const looks = [lane < 0 || power[lane] ? "life" : "life off"];
        for (let n = 0; lane >= 0 && n < depth[lane]; n += 1) looks.push(String(n));
        for (const look of looks) {
          const key = `${lane}/${look}`;
          const known = runs.get(key) ?? [];
          if (known.at(-1)?.[1] !== y) known.push([y, y]);
          /** @type {[number, number]} */ (known.at(-1))[1] = y + line / 2;
          runs.set(key, known);
        }
      }
      y += line / 2;
    };
    /** @type {Node[]} */
    const drawn = [];
    let nowAt = 0;
    for (let n = first; n <= last; n += 1) {
      depth.splice(0, depth.length, ...depths.get(n) ?? depth);
      if (n === now) {
        nowAt = y + line / 4;
        goDown();
      }
      if (n === last) break;
      const group = draw("g", n < now ? {} : { class: "later" },
        draw("text", { class: "index", x: gutter - 8, y: y + line / 2 + 4 }, grouped(row(n)[0])));
      for (const stroke of strokesOf(n)) {
        goDown();
        group.append(this.drawStroke(stroke, x, y, pitch));
        pass(stroke, 1);
        goDown();
      }
      drawn.push(group);
    }
    const lines = [];
    for (const [key, known] of runs) {
      const [lane, look] = key.split("/");
      for (const [top, bottom] of known) {
        lines.push(look.startsWith("life")
          ? draw("path", { class: look, d: `M${x(Number(lane))} ${top}V${bottom}` })
          : draw("rect", { class: "bar", x: x(Number(lane)) - bar / 2 + 7 * Number(look), y: top, width: bar, height: bottom - top }));
      }
    }
    lines.sort((a, b) => Number(a.tagName === "rect") - Number(b.tagName === "rect"));
    const width = gutter + pitch * (lanes + 0.5); // what is noted on the last lane needs some room
    const mark = draw("g", { class: "now" }, draw("path", { d: `M${gutter} ${nowAt}H${width - 8}` }),
      draw("text", { x: gutter - 8, y: nowAt + 4 }, "now"));
    const { heads, body } = this.sequenceParts;
    const { pe: shown } = this.model.get("moment");
    heads.setAttribute("width", String(width));
    heads.setAttribute("height", "26");
    heads.replaceChildren(...Array.from({ length: lanes }, (_, n) => draw("text",
      { x: x(n - 1), y: 17, ...(n - 1 === shown ? { class: "shown" } : {}) },
      n ? `PE ${n - 1}${pes[n - 1]?.[0] === "c" ? " ▶" : ""}` : "Hypervisor")));
    body.setAttribute("width", String(width));
    body.setAttribute("height", String(y + line / 2));
    body.replaceChildren(draw("title", {}, `Calls, events and interrupts around instruction ${grouped(this.model.get("moment").at)}`),
      ...lines, ...drawn, mark);
    const box = this.machineScroller;
    box.scrollTop = Math.max(0, nowAt - box.clientHeight + 26 + 2.5 * line);
  }

  /**
   * @param {Stroke} stroke @param {(lane: number) => number} x @param {number} y
   * @param {number} pitch from one lane to the next
   */
  drawStroke([letter, from, to, label], x, y, pitch) {
    const kind = this.machine.strokes[letter];
    const [start, end] = [x(from), x(to)];
    const fits = (/** @type {number} */ room) => label.length * 6.9 + 12 <= room;
    const most = Math.floor((1.5 * pitch - 12) / 6.9);
    const text = label.length > most ? `${label.slice(0, most - 1)}…` : label;
    if (start === end) {
      return draw("g", { class: `stroke ${kind}` }, draw("circle", { cx: end, cy: y, r: 4 }),
        draw("text", { x: end + 10, y: y + 4 }, text));
    }
    const side = end > start ? 1 : -1;
    const tip = kind === "raise" ? draw("circle", { cx: end, cy: y, r: 4 })
      : draw("polygon", { points: `${end},${y} ${end - 8 * side},${y - 4} ${end - 8 * side},${y + 4}` });
    // Beside the PE, towards the other end; what is long may cross the next lane.
    const [pe, toward] = to < 0 ? [start, side] : [end, -side];
    const place = fits(pitch) ? { x: pe + toward * pitch / 2, "text-anchor": "middle" }
      : { x: pe + toward * 10, "text-anchor": toward > 0 ? "start" : "end" };
    return draw("g", { class: `stroke ${kind}` }, draw("path", { d: `M${start} ${y}H${end - 6 * side}` }), tip,
      draw("text", { ...place, y: y - 4 }, text));
  }

  paintConsole() {
    const { length } = this.model.get("console");
    const { start, text } = this.store.console;
    const shown = start > 0 ? `…${text}` : text;
    if (this.written.textContent !== shown) {
      this.written.textContent = shown;
      this.consoleScroller.scrollTop = this.consoleScroller.scrollHeight;
    }
    this.written.classList.toggle("none", length === 0);
    if (length === 0) say(this.written, "The guest has written nothing yet.");
    if (start > 0 && text.length < 2000) this.ask("console");
  }

  /** Ask once for more of what is shown. @param {string} what @param {object} more */
  ask(what, more = {}) {
    const { at, epoch } = this.model.get("moment");
    const key = JSON.stringify([what, more, at, epoch]);
    if (this.asked === key || this.store.gone) return;
    this.asked = key;
    this.send(what, more);
  }
}

/** @param {string} which @param {number} first */
function more(which, first) {
  return h("li", { class: "more" }, h("button", { type: "button", "data-first": first }, `Show ${which} rows`));
}

/**
 * Make a list of buttons one tab stop, in which two arrow keys move.
 * @param {HTMLElement} list @param {string} selector @param {string} back @param {string} forth
 */
function rove(list, selector, back, forth) {
  list.addEventListener("keydown", (e) => {
    if (e.key !== back && e.key !== forth) return;
    const items = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(selector)]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = items[at + (e.key === forth ? 1 : -1)];
    if (at < 0 || !next) return;
    items[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    e.preventDefault();
    e.stopPropagation();
  });
}

export default () => {
  const store = new Store();
  return {
    /** @param {{ model: Model }} given */
    initialize({ model }) {
      store.connect(model);
    },
    /** @param {{ model: Model, el: HTMLElement }} given */
    render({ model, el }) {
      const surface = new Surface(model, el, store);
      return () => surface.remove();
    },
  };
};
