// The signed-in user. A real web application has its own sign-in; the demo uses the development
// issuer, where you can choose a user.

import { button, element, symbol } from "./markup.js";
import { VaultError } from "./vault-bff-client/index.js";

const PERSON = "fieldnotes.person";
const select = document.querySelector("#person");
const picture = document.querySelector("#picture");

let people = [];
let urls = {};
let chosen = "";
let changed = () => {};

/** Loads the users; calls `onChange(person)` now and whenever another user signs in. */
export async function startAccount(onChange) {
  urls = await getJson("/config.json");
  people = await getJson(`${urls.issuer}/people`);
  chosen = sessionStorage.getItem(PERSON) ?? people[0].id;
  select.append(...people.map((one) => new Option(`${one.name}, ${one.org_name}`, one.id)));
  select.disabled = false;
  select.addEventListener("change", () => signIn(select.value));
  changed = () => show(onChange);
  changed();
}

/** Returns the signed-in user, or undefined. */
export function signedIn() {
  return people.find((person) => person.id === chosen);
}

/** Returns the URL of the service and the access token, as options for the npm package. */
export async function vaultAccess() {
  return { baseUrl: urls.service, token: signedIn() ? await accessToken() : null };
}

/** Returns the access token of the signed-in user. */
export async function accessToken() {
  const body = await getJson(`${urls.issuer}/token?person=${encodeURIComponent(chosen)}`);
  return body.access_token;
}

/** Returns the URL of the emulated Vault. */
export function vaultUrl() {
  return urls.apideck;
}

export function focusSignIn() {
  select.focus();
}

/** Shows what a signed-out user sees instead of the integrations; nothing for a signed-in user. */
export function drawSignIn(person) {
  const choices = people.map((one) => {
    const picture = element("img");
    Object.assign(picture, { src: one.picture, alt: "", width: 36, height: 36 });
    const text = element("span", "", element("strong", "", one.name), ` ${one.org_name}`);
    const choice = button("", () => signIn(one.id), "person");
    choice.append(picture, text);
    return element("li", "", choice);
  });
  const box = element(
    "section",
    "empty",
    symbol("lock"),
    element("h2", "", "Sign in to see your integrations"),
    element("p", "dim", "What is connected belongs to your organization. Choose a user of this demo."),
    element("ul", "people", ...choices),
  );
  document.querySelector("#sign-in").replaceChildren(...(person ? [] : [box]));
}

function signIn(id) {
  chosen = id;
  sessionStorage.setItem(PERSON, chosen);
  changed();
}

function show(onChange) {
  const person = signedIn();
  select.value = person ? person.id : "";
  picture.hidden = !person;
  if (person) picture.src = person.picture;
  onChange(person);
}

async function getJson(url) {
  try {
    const response = await fetch(url);
    return await response.json();
  } catch (cause) {
    const detail = "The sign-in cannot be reached. Please try again in a moment.";
    throw new VaultError({ type: "network", detail }, { cause });
  }
}
