// Builds elements. Text is always text: no string becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** Returns an element with a class and children, which are elements or texts. */
export function element(tag, className = "", ...children) {
  const created = document.createElement(tag);
  if (className) created.className = className;
  created.append(...children);
  return created;
}

/** Returns a button that calls `onClick(button)`. */
export function button(label, onClick, className = "") {
  const created = element("button", className, label);
  created.type = "button";
  created.addEventListener("click", () => onClick(created));
  return created;
}

/** Returns a symbol of /look/symbols.svg. */
export function symbol(id, className = "symbol") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/look/symbols.svg#${id}`);
  svg.append(use);
  return svg;
}

/** Returns a copy of the element in a template. */
export function copyOf(template) {
  return document.querySelector(template).content.firstElementChild.cloneNode(true);
}
