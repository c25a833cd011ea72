// The drawer "Under the hood": the latest requests of this page, and the service's log of them.

import { actions } from "./actions.js";
import { changes } from "./changes.js";
import { button, element, symbol } from "./markup.js";

const OPEN = "fieldnotes.drawer";
const SHOWN_OF_LIST = 2;
const LEFT_OUT = new Set(["content-length"]);

const toggle = button("Under the hood", () => setOpen(body.hidden), "drawer-toggle");
const last = element("p", "drawer-last");
const list = element("ul", "drawer-actions");
const panels = element("div", "drawer-panels");
const body = element("div", "drawer-body", list, panels);
const drawer = element("aside", "drawer", element("div", "drawer-bar", toggle, last), body);
let chosen = actions[0];

function setOpen(open) {
  body.hidden = !open;
  toggle.setAttribute("aria-expanded", String(open));
  document.documentElement.classList.toggle("drawer-open", open);
  sessionStorage.setItem(OPEN, open);
  if (open) draw();
}

function draw() {
  last.replaceChildren(...(actions[0] ? summary(actions[0]) : ["No request yet"]));
  if (body.hidden) return;
  list.replaceChildren(
    ...actions.map((action) => {
      const choice = button("", () => choose(action), "drawer-action");
      choice.append(...summary(action));
      choice.setAttribute("aria-pressed", String(action === chosen));
      return element("li", "", choice);
    }),
  );
  drawPanels();
}

async function drawPanels() {
  const action = chosen;
  if (!action) {
    panels.replaceChildren(element("p", "dim", "Open or list connections to see a request."));
    return;
  }
  const { pathname, search } = new URL(action.url, location);
  const request = panel("Request", `${action.method} ${pathname}${search}`, action.sent, action.body);
  const response = action.status
    ? panel("Response", `Status ${action.status}`, action.received, action.result)
    : section("Response", element("p", "dim", "No response arrived."));
  const service = panels.querySelector(".service") ?? section("Service");
  service.className = "service";
  panels.replaceChildren(request, response, service);
  const produced = await whatTheServiceDid(action);
  if (action === chosen) service.replaceChildren(element("h2", "", "Service"), ...produced);
}

async function whatTheServiceDid({ requestId }) {
  if (!requestId) return [element("p", "dim", "The response has no request ID to look for.")];
  const response = await fetch(`/activity/${encodeURIComponent(requestId)}`).catch(() => undefined);
  if (!response?.ok) return [element("p", "dim", "The demo’s server does not respond.")];
  const { has_log, log, metrics, events } = await response.json();
  if (!has_log) {
    return [
      element(
        "p",
        "dim",
        "This demo cannot read the service’s log: it is in another container. See it with ",
        element("code", "", "docker compose logs service"),
        ".",
      ),
    ];
  }
  return [
    ...part("Log", log.map(logEvent)),
    ...part("Metrics", metrics.map((line) => code(line.replace(/\.0$/, "")))),
    ...part("Events received since", events.flatMap(received)),
  ];
}

function received({ event_type, connection, occurred_at, log }) {
  return [code(`${event_type} ${connection} ${occurred_at}`), ...log.map(logEvent)];
}

function part(title, contents) {
  const none = element("p", "dim", "None yet");
  return [element("h3", "", title), ...(contents.length ? contents : [none])];
}

// The response has the request ID already.
function logEvent({ event, timestamp, level, request_id, ...fields }) {
  const given = Object.entries(fields).filter(([, value]) => value !== null && String(value));
  const line = given.map(([name, value]) => `${name}=${value}`).join(" ");
  const head = element("strong", level === "info" ? "" : "bad", event);
  return element("pre", "", head, `\n${line}`);
}

function panel(title, first, headers, text) {
  const lines = headers.filter(([name]) => !LEFT_OUT.has(name)).map(([name, value]) => `${name}: ${value}`);
  const head = element("pre", "", element("strong", "", first), `\n${lines.join("\n")}`);
  return section(title, head, ...(text ? [code(readable(text))] : []));
}

function section(title, ...contents) {
  return element("section", "", element("h2", "", title), ...contents);
}

function code(text) {
  return element("pre", "", text);
}

function readable(text) {
  try {
    return JSON.stringify(shortened(JSON.parse(text)), null, 2);
  } catch {
    return text;
  }
}

function shortened(value) {
  for (const [name, list] of Object.entries(value)) {
    const more = Array.isArray(list) ? list.length - SHOWN_OF_LIST : 0;
    if (more > 0) value[name] = [...list.slice(0, SHOWN_OF_LIST), `… and ${more} more`];
  }
  return value;
}

function summary({ method, url, status, milliseconds }) {
  const kind = !status || status >= 400 ? "status bad" : "status good";
  return [
    element("span", kind, String(status ?? "Failed")),
    " ",
    element("code", "", `${method} ${new URL(url, location).pathname}`),
    " ",
    element("span", "dim", `${milliseconds} ms`),
  ];
}

function choose(action) {
  chosen = action;
  const index = actions.indexOf(action);
  draw();
  list.querySelectorAll("button")[index].focus({ preventScroll: true });
}

function onAction() {
  chosen = actions[0];
  draw();
}

toggle.prepend(symbol("code", "symbol small"));
toggle.append(symbol("chevron", "symbol small chevron"));
drawer.setAttribute("aria-label", "Under the hood");
body.id = "drawer-body";
body.tabIndex = 0; // it scrolls, so it must be focusable with the keyboard
body.setAttribute("role", "group");
body.setAttribute("aria-label", "Request, response and service");
toggle.setAttribute("aria-controls", body.id);
document.body.append(drawer);
setOpen(sessionStorage.getItem(OPEN) === "true");
draw();
drawer.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || body.hidden) return;
  setOpen(false);
  toggle.focus();
});
addEventListener("action", onAction);
changes.addEventListener("activity", () => body.hidden || drawPanels());
