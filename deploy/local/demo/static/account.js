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
let signInEnds = new AbortController(); // when the user signs out, or another one signs in
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

/**
 * Returns options for the npm package: the URL of the service, the access token of the signed-in
 * user, and a signal that is aborted when that user is no longer the signed-in one.
 */
export async function vaultAccess() {
  const { signal } = signInEnds;
  const token = signedIn() ? await accessToken(signal) : null;
  return { baseUrl: urls.service, token, signal };
}

async function accessToken(signal) {
  const url = `${urls.issuer}/token?person=${encodeURIComponent(chosen)}`;
  const body = await getJson(url, { signal });
  return body.access_token;
}

/** Returns the URL of the emulated Vault. */
export function vaultUrl() {
  return urls.apideck;
}

/** Tells whether a call failed because its user is no longer the signed-in one. */
export function isAborted(error) {
  return error.name === "AbortError";
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
  signInEnds.abort();
  signInEnds = new AbortController();
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

async function getJson(url, init) {
  try {
    const response = await fetch(url, init);
    return await response.json();
  } catch (cause) {
    if (isAborted(cause)) throw cause;
    const detail = "The sign-in cannot be reached. Please try again in a moment.";
    throw new VaultError({ type: "network", detail }, { cause });
  }
}
