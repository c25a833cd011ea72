// The cards of the settings page, one for each connector.

import { isBusy } from "./busy.js";
import { STATES, showState } from "./connections.js";
import { copyOf, symbol } from "./markup.js";
import { open } from "./open.js";

let cards = [];

/** Returns a group of cards, whose states are not known yet. */
export function drawGroup(title, connectors) {
  const group = copyOf("#group");
  group.querySelector("h2").textContent = title;
  group.querySelector("ul").append(...connectors.map(drawCard));
  return group;
}

/** Shows the state of each card; `stateOf(connector)` returns a name in `STATES`. */
export function showStates(stateOf) {
  cards = cards.filter(({ card }) => card.isConnected);
  for (const one of cards) show(one, stateOf(one.connector));
}

function drawCard(connector) {
  const { unified_api, service_id, name, purpose } = connector;
  const card = copyOf("#card");
  const tile = card.querySelector(".tile");
  tile.dataset.kind = unified_api;
  tile.append(symbol(connector.symbol));
  card.querySelector("h3").textContent = name;
  card.querySelector("p").textContent = purpose ?? "";
  const button = card.querySelector("button");
  const request = { connection: { unified_api, service_id } };
  button.addEventListener("click", () =>
    open(button, name, request, card.querySelector(".failure")),
  );
  cards.push({ card, connector });
  show(cards.at(-1), "checking");
  return card;
}

function show({ card, connector }, state) {
  const button = card.querySelector("button");
  card.dataset.state = state;
  showState(card.querySelector(".state"), state);
  button.disabled = state === "checking";
  button.classList.toggle("primary", state === "none" || state === "attention");
  if (isBusy(button)) return; // its text shows that it is opening a connector
  button.textContent = STATES[state].verb;
  button.setAttribute("aria-label", `${STATES[state].verb} ${connector.name}`);
}
