// Keeps parts of the page in step with data, touching only what has changed. All text is set as text: it is foreign.

/** Sets the text of an element, and perhaps whether it is good or bad news. */
export function say(element, text, tone = "") {
  if (element.textContent !== text) {
    element.textContent = text;
  }
  if ((element.dataset.tone ?? "") !== tone) {
    element.dataset.tone = tone;
  }
}

/**
 * The rows of a table. A row lives as long as its key; its cells are as many as the table has columns.
 */
export class Rows {
  #body;
  #none;
  #scroll;
  #heads;
  #rows = new Map();

  /** @param {string} id of the table's body; the element that says that there is nothing has `-none` behind it */
  constructor(id) {
    this.#body = document.getElementById(id);
    this.#none = document.getElementById(`${id}-none`);
    this.#scroll = this.#body.closest(".scroll");
    this.#scroll.addEventListener("scroll", () => this.#cue(), { passive: true });
    this.#heads = this.#body.closest("table").querySelectorAll("thead th");
  }

  /** Whether the reader is busy in the table, so that rows should not move away under the hand. */
  get isHeld() {
    return this.#body.matches(":hover, :focus-within");
  }

  /** Where a row stands; the last place there is, if there is none with this key. */
  position(key) {
    return this.#rows.get(key)?.rowIndex ?? Number.MAX_SAFE_INTEGER;
  }

  /**
   * @param {{key: string, cells: (string | {text: string, tone: string})[]}[]} wanted in order
   */
  show(wanted) {
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, row] of this.#rows) {
      if (!keys.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    }
    let place = this.#body.firstElementChild;
    for (const { key, cells } of wanted) {
      const row = this.#rows.get(key) ?? this.#make(key);
      cells.forEach((cell, column) => {
        const { text, tone } = typeof cell === "string" ? { text: cell } : cell;
        say(row.cells[column], text, tone);
      });
      if (row === place) {
        place = row.nextElementSibling;
      } else {
        this.#body.insertBefore(row, place);
      }
    }
    this.#scroll.hidden = wanted.length === 0;
    this.#none.hidden = wanted.length > 0;
    this.#cue();
  }

  /** Says whether there are rows below what is seen. */
  #cue() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    this.#scroll.toggleAttribute("data-more", scrollTop + clientHeight < scrollHeight - 2);
  }

  #make(key) {
    const row = document.createElement("tr");
    for (const [column, head] of this.#heads.entries()) {
      const cell = document.createElement(column === 0 ? "th" : "td");
      cell.className = head.className;
      // Stands beside the cell where there is no room for columns.
      cell.dataset.label = head.textContent;
      // Foreign text may run from right to left.
      cell.dir = "auto";
      row.append(cell);
    }
    row.cells[0].scope = "row";
    this.#rows.set(key, row);
    return row;
  }
}
