// @ts-check
// Plays the pictures of a migration. The drawing comes whole; from one picture to the next only
// outlines, texts and one place change, so that nothing else can move.

/**
 * @typedef {{ title: string, drawing: string, map: [number, number, number, number],
 *   changes: number[][], asked: number[][], said: string[], whole: string[], amounts: string[][],
 *   doing: string[][], link: [string, string][], places: number[],
 *   speeds: [label: string, seconds: number][], text: string }} Film
 * @typedef {{ get(name: string): any, set(name: string, value: any): void, save_changes(): void,
 *   on(name: string, f: Function): void, off(name: string, f: Function): void }} Model
 */

const PLAY = "M4 2v12l9-6z";
const PAUSE = "M3 2h4v12H3zM9 2h4v12H9z";

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any>} attributes `on...` handlers, or plain attributes
 * @param {...(Node | string)} children
 */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** Read a drawing. @param {string} source @returns {any} */
function drawn(source) {
  return document.importNode(
    new DOMParser().parseFromString(source, "image/svg+xml").documentElement, true);
}

/** @param {Element} element @param {string} name @param {string} value */
function put(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {Element | null} element @param {string} words */
function say(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}

/** The stages of all cells, picture by picture. @param {Film} film @returns {Uint8Array[]} */
function developed({ changes }) {
  let cells = new Uint8Array(changes[0].length);
  return changes.map((changed) => {
    cells = cells.slice();
    for (const one of changed) cells[one >> 3] = one & 7;
    return cells;
  });
}

class View {
  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    /** @type {Film} */
    this.film = model.get("film");
    this.cells = developed(this.film);
    this.last = this.cells.length - 1;
    this.playing = 0; // the number of the animation frame that is asked for
    this.build(el);
    this.go(model.get("frame"));
  }

  /** @param {HTMLElement} el */
  build(el) {
    const { film } = this;
    this.icon = drawn('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" '
      + 'aria-hidden="true"><path/></svg>');
    this.word = h("span");
    this.button = h("button", { type: "button", onclick: () => this.toggle() }, this.icon, this.word);
    this.slider = /** @type {HTMLInputElement} */ (h("input", {
      type: "range", min: 0, max: this.last, value: 0, "aria-label": "Moment",
      oninput: () => this.go(Number(this.slider.value)),
      onchange: () => this.save(),
      onkeydown: (/** @type {KeyboardEvent} */ e) => {
        // JupyterLab would keep the arrows from the slider.
        e.stopPropagation();
        if (e.key !== " ") return;
        e.preventDefault();
        this.toggle();
      },
    }));
    this.speed = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": "Speed" },
      ...film.speeds.map(([label, seconds]) => h("option", { value: seconds }, label))));
    this.speed.selectedIndex = film.speeds.length >> 1;
    this.caption = h("p", { "aria-hidden": true });
    this.drawing = drawn(film.drawing);
    // The slider says in words what the picture shows, and so does the caption to who sees.
    this.drawing.setAttribute("aria-hidden", "true");
    this.find = (/** @type {string} */ what) => [...this.drawing.querySelectorAll(what)];
    this.parts = {
      said: this.find(".said"), stages: this.find(".stage"), asked: this.find(".asked"),
      amounts: this.find(".amounts text"), doing: this.find(".doing"), now: this.find(".now"),
      link: this.find(".link, .share"),
    };
    /** @type {string[]} */
    this.names = this.parts.amounts.map((e) => e.textContent.slice(0, -film.amounts[0][0].length));
    el.append(h("div", {
      class: "sdeiviz-player", role: "group", "aria-label": film.title,
      "data-lm-suppress-shortcuts": "true",
    },
    h("div", { class: "controls" }, this.button, this.slider, this.speed),
    this.caption,
    h("div", { class: "picture", tabindex: 0, role: "group", "aria-label": "Picture", "data-scroller": "" },
      this.drawing),
    h("details", {}, h("summary", {}, "as text"), h("pre", {
      tabindex: 0, role: "group", "aria-label": "The same as text", "data-scroller": "",
    }, film.text))));
  }

  /** Show a picture. @param {number} at a fraction is on the way to the next one */
  go(at) {
    this.at = at;
    this.show();
  }

  /** Tell the kernel, once the reader rests: what it says to that must not disturb him before. */
  save() {
    this.model.set("frame", this.frame);
    try {
      this.model.save_changes();
    } catch { /* the kernel is gone: the pictures are here */ }
  }

  get frame() {
    return Math.floor(this.at);
  }

  show() {
    const { film, frame, parts } = this;
    const cells = this.cells[frame];
    parts.stages.forEach((path, stage) => put(path, "d", this.outline(cells, stage)));
    const rings = this.rings(film.asked[frame]);
    for (const path of parts.asked) put(path, "d", rings);
    say(parts.said[0], film.said[frame]);
    parts.amounts.forEach((e, n) => say(e, this.names[n] + film.amounts[frame][n]));
    parts.doing.forEach((e, n) => say(e, film.doing[frame][n]));
    parts.link.forEach((e, n) => say(e, film.link[frame][n]));
    put(parts.now[0], "transform", `translate(${film.places[frame]})`);
    this.slider.value = String(frame);
    put(this.slider, "aria-valuetext", film.whole[frame]);
    say(this.caption, film.whole[frame]);
    put(this.icon.firstChild, "d", this.playing ? PAUSE : PLAY);
    say(this.word, this.playing ? "Pause" : "Play");
  }

  /** Return the path around all cells at a stage. @param {Uint8Array} cells @param {number} stage */
  outline(cells, stage) {
    const [left, top, columns, side] = this.film.map;
    let path = "";
    for (let n = 0; n < cells.length; n++) {
      if (cells[n] !== stage) continue;
      const begin = n, row = Math.floor(n / columns);
      while (n + 1 < Math.min(cells.length, (row + 1) * columns) && cells[n + 1] === stage) n++;
      const wide = (n - begin + 1) * side;
      path += `M${left + begin % columns * side} ${top + row * side}h${wide}v${side}h-${wide}z`;
    }
    return path;
  }

  /** @param {number[]} asked */
  rings(asked) {
    const [left, top, columns, side] = this.film.map;
    return asked.map((n) => `M${left + n % columns * side} ${top + Math.floor(n / columns) * side}`
      + `h${side}v${side}h-${side}z`).join("");
  }

  toggle() {
    if (this.playing) {
      this.stop();
      return;
    }
    this.then = performance.now();
    this.playing = requestAnimationFrame((now) => this.tick(now));
    this.go(this.frame === this.last ? 0 : this.frame);
  }

  /** @param {number} now */
  tick(now) {
    const seconds = Math.max(0, now - this.then) / 1000;
    this.then = now;
    this.go(Math.min(this.last, this.at + seconds * this.last / Number(this.speed.value)));
    if (this.at === this.last || !this.slider.isConnected) this.stop();
    else this.playing = requestAnimationFrame((later) => this.tick(later));
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.show();
    this.save();
  }
}

export default {
  /** @param {{ model: Model, el: HTMLElement }} given */
  render({ model, el }) {
    const view = new View(model, el);
    const go = () => {
      if (model.get("frame") !== view.frame) view.go(model.get("frame"));
    };
    model.on("change:frame", go);
    return () => {
      model.off("change:frame", go);
      if (view.playing) view.stop();
    };
  },
};
