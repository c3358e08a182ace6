// The looking half of page_checks.py: one function for each check, on a root and what is given.
(() => {
  let root;

  const name = (e) => {
    const own = e.getAttribute?.("data-pane") || e.getAttribute?.("data-id")
      || e.className?.baseVal || e.className || "";
    const text = (e.textContent || "").trim().replace(/\s+/g, " ").slice(0, 30);
    return `${e.tagName.toLowerCase()}.${String(own).trim().replace(/\s+/g, ".")} "${text}"`;
  };

  const hidden = (e) => {
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    // Kept for screen readers: one pixel, clipped away.
    const aside = style.position === "absolute" && style.overflow !== "visible"
      && box.width <= 1 && box.height <= 1;
    return style.display === "none" || style.visibility === "hidden" || aside;
  };

  const seen = (e) => {
    for (let at = e; at && at !== root.parentElement; at = at.parentElement) {
      if (hidden(at)) return false;
    }
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };

  const texts = function* () {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const parent = node.parentElement;
      const shown = node.data.trim() && !/^(style|title)$/i.test(parent.tagName);
      if (shown && seen(parent)) yield [node, parent];
    }
  };

  // -- colours ----------------------------------------------------------------------------------

  const rgba = (text) => {
    const numbers = (text.match(/-?[\d.]+(e-?\d+)?/g) || []).map(Number);
    const alpha = numbers[3] ?? 1;
    if (text.startsWith("color(srgb")) return [...numbers.slice(0, 3).map((n) => n * 255), alpha];
    return /^rgba?\(/.test(text) ? [...numbers.slice(0, 3), alpha] : [0, 0, 0, 0];
  };

  const over = (top, under) =>
    top.slice(0, 3).map((n, i) => n * top[3] + under[i] * (1 - top[3])).concat(1);

  // In a drawing, a closed shape of the same group lies behind its text; an arrow does not.
  const boxBehind = (e) => {
    if (!(e instanceof SVGElement) || !e.querySelector(":scope > text")) return null;
    return e.querySelector(":scope > polygon") ? null : e.querySelector(":scope > path, :scope > rect");
  };

  const backdrop = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const box = boxBehind(at);
      const colour = rgba(box ? getComputedStyle(box).fill : getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] >= 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };

  const light = (colour) => {
    const [r, g, b] = colour.map((n) => n / 255)
      .map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const ratio = (one, two) => {
    const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };

  // -- boxes ------------------------------------------------------------------------------------

  const SLACK = 1.5;
  const scroller = (e) => e.hasAttribute?.("data-scroller");

  // Which of the elements around it a box sticks out of, from one of them up to a declared scroller.
  const outOf = (box, from) => {
    for (let at = from; at && !scroller(at); at = at.parentElement) {
      const style = getComputedStyle(at);
      if (at instanceof HTMLElement && style.display !== "inline") {
        const outer = at.getBoundingClientRect();
        if (box.left < outer.left - SLACK || box.right > outer.right + SLACK) return at;
        const tall = box.top < outer.top - SLACK || box.bottom > outer.bottom + SLACK;
        if (tall && (style.position !== "static" || at.hasAttribute("data-pane"))) return at;
      }
      if (at === root) return null;
    }
    return null;
  };

  const checks = {
    overflow() {
      const problems = new Set();
      for (const e of [root, ...root.querySelectorAll("*")]) {
        if (!(e instanceof HTMLElement) || !seen(e) || scroller(e)) continue;
        const style = getComputedStyle(e);
        if (style.overflowX === "visible" && style.overflowY === "visible") continue;
        if (e.scrollWidth > e.clientWidth + SLACK || e.scrollHeight > e.clientHeight + SLACK) {
          problems.add(`${name(e)} cuts off: ${e.scrollWidth} x ${e.scrollHeight}`
            + ` in ${e.clientWidth} x ${e.clientHeight}`);
        }
      }
      for (const [node, parent] of texts()) {
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        const outer = outOf(box, parent);
        if (outer) problems.add(`${name(parent)} sticks out of ${name(outer)}`);
      }
      for (const e of root.querySelectorAll("[data-pane], [data-scroller], button, [role=slider]")) {
        const outer = seen(e) && outOf(e.getBoundingClientRect(), e.parentElement);
        if (outer) problems.add(`${name(e)} sticks out of ${name(outer)}`);
      }
      const cell = root.parentElement.getBoundingClientRect();
      if (root.getBoundingClientRect().right > cell.right + SLACK) problems.add("wider than its cell");
      return [...problems];
    },

    intersections() {
      const panes = [...root.querySelectorAll("[data-pane]")].filter(seen);
      const problems = panes.length > 1 ? [] : ["there are no panes to compare"];
      panes.forEach((one, n) => panes.slice(n + 1).forEach((two) => {
        const [a, b] = [one.getBoundingClientRect(), two.getBoundingClientRect()];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 0.5 && tall > 0.5) problems.push(`${name(one)} lies over ${name(two)}`);
      }));
      return problems;
    },

    boxes() {
      const from = root.getBoundingClientRect();
      const parts = [root, ...root.querySelectorAll("[data-pane], [role=toolbar], [role=slider]")];
      return Object.fromEntries(parts.map((e, n) => {
        const box = e.getBoundingClientRect();
        const place = [box.left - from.left, box.top - from.top, box.width, box.height];
        const what = e.getAttribute("data-pane") || e.getAttribute("role");
        return [`${n} ${what}`, place.map((x) => Math.round(x * 2) / 2)];
      }));
    },

    text_contrast({ least }) {
      const problems = new Set();
      for (const [, parent] of texts()) {
        const style = getComputedStyle(parent);
        const under = backdrop(parent);
        const found = ratio(over(rgba(parent instanceof SVGElement ? style.fill : style.color), under), under);
        if (found < least) problems.add(`${name(parent)}: ${found.toFixed(2)}`);
      }
      return [...problems];
    },

    mark_contrast({ marks, least }) {
      const problems = [];
      for (const [what, property] of Object.entries(marks)) {
        const all = [...root.querySelectorAll(what)].filter((e) => {
          const box = e.getBoundingClientRect();
          return (box.width > 0 || box.height > 0) && !hidden(e);
        });
        if (!all.length) problems.push(`${what}: there is none`);
        for (const e of all) {
          const under = backdrop(e.ownerSVGElement ?? e.parentElement);
          const found = ratio(over(rgba(getComputedStyle(e)[property]), under), under);
          if (found < least) {
            problems.push(`${what} ${name(e)}: ${found.toFixed(2)}`);
            break;
          }
        }
      }
      return problems;
    },

    text_sizes({ least }) {
      const problems = new Set();
      for (const [, parent] of texts()) {
        let size = parseFloat(getComputedStyle(parent).fontSize);
        if (parent instanceof SVGGraphicsElement) {
          const view = parent.getScreenCTM();
          size *= Math.hypot(view.a, view.b);
        }
        if (size < least - 0.05) problems.add(`${name(parent)}: ${size.toFixed(1)} px`);
      }
      return [...problems];
    },

    targets({ least }) {
      const clickable = "button, a[href], input, select, summary, [role=button], [role=slider]";
      const all = [...root.querySelectorAll(clickable)].filter(seen);
      const problems = all.length ? [] : ["there is nothing to click"];
      for (const e of all) {
        const box = e.getBoundingClientRect();
        if (box.width < least - 0.5 || box.height < least - 0.5) {
          problems.push(`${name(e)}: ${box.width.toFixed(0)} x ${box.height.toFixed(0)}`);
        }
      }
      return problems;
    },

    drawn_labels() {
      const problems = [];
      const meet = (a, b, by) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > by
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > by;
      for (const svg of root.querySelectorAll("svg")) {
        const labels = [...svg.querySelectorAll("text")].filter(seen);
        const shapes = [...svg.querySelectorAll("g.node > path")].filter(seen);
        labels.forEach((one, n) => {
          const a = one.getBoundingClientRect();
          for (const two of labels.slice(n + 1)) {
            // Two lines of one label may touch: their boxes have room above and below the letters.
            const by = one.parentElement === two.parentElement ? 4 : 0.5;
            if (meet(a, two.getBoundingClientRect(), by)) {
              problems.push(`${name(one)} lies over ${name(two)}`);
            }
          }
          for (const shape of shapes) {
            const b = shape.getBoundingClientRect();
            const within = a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
            if (!within && meet(a, b, 0.5)) {
              problems.push(`${name(one)} crosses the edge of ${name(shape.parentElement)}`);
            }
          }
        });
      }
      return problems;
    },

    without_colour({ pairs }) {
      const kinds = ["fontWeight", "fontStyle", "textDecorationLine", "borderStyle", "borderWidth",
        "strokeWidth", "strokeDasharray", "outlineStyle"];
      const shape = (e) => kinds.map((kind) => getComputedStyle(e)[kind]).join("|")
        + getComputedStyle(e, "::before").content;
      // As sets: how often a sign occurs depends on how much there is to show.
      const parts = (e) => [e, ...e.querySelectorAll("*")].filter((part) => !hidden(part));
      const signs = (e) => [...new Set(parts(e).map(shape))].sort().join("\n");
      const own = (e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("");
      const glyphs = (e) => (parts(e).map(own).join("").match(/[^\s\x20-\x7e]|[*!]/g) || []).join("");
      const problems = [];
      for (const [marked, plain] of Object.entries(pairs)) {
        const [one, two] = [root.querySelector(marked), root.querySelector(plain)];
        if (!one || !two) {
          problems.push(`${marked} or ${plain}: there is none`);
        } else if (signs(one) === signs(two) && glyphs(one) === glyphs(two)) {
          problems.push(`${marked} looks like ${plain} but for its colour`);
        }
      }
      return problems;
    },

    above_the_fold({ wanted }) {
      root.scrollIntoView({ block: "start" });
      const problems = [];
      for (const what of wanted) {
        const e = root.querySelector(what);
        const box = e?.getBoundingClientRect();
        const inside = box && box.top >= 0 && box.bottom <= innerHeight;
        const hit = inside && document.elementFromPoint(box.left + Math.min(box.width / 2, 40), box.top + box.height / 2);
        if (!hit || !(e.contains(hit) || hit.contains(e))) problems.push(`${what} is out of sight`);
      }
      return problems;
    },

    focused() {
      const e = document.activeElement;
      if (!root.contains(e)) return null;
      const rings = [e, ...e.querySelectorAll(":scope > *")].map((part) => {
        const style = getComputedStyle(part);
        if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return 0;
        const under = backdrop(part.parentElement);
        return ratio(over(rgba(style.outlineColor), under), under);
      });
      const label = e.getAttribute("aria-label") || e.textContent.trim().slice(0, 30);
      return { name: name(e), label, ring: Math.max(...rings) };
    },
  };

  return ({ selector, check, given }) => {
    root = document.querySelector(selector);
    return checks[check](given);
  };
})()
