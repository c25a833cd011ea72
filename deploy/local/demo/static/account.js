// The signed-in user. A real web application has its own sign-in; the demo uses the development
// issuer, where you can choose a user.

import { VaultSessionError } from "./vault-session.js";

const PERSON = "fieldnotes.person";
const select = document.querySelector("#person");
const picture = document.querySelector("#picture");

let people = [];
let urls = {};
let chosen = "";

/** Loads the users and the signed-in user, on a page without a user menu. */
export async function loadAccount() {
  urls = await getJson("/config.json");
  people = await getJson(`${urls.issuer}/people`);
  chosen = sessionStorage.getItem(PERSON) ?? people[0].id;
}

/** Does the same on a page with a user menu; calls `onChange(person)` now and at every change. */
export async function startAccount(onChange) {
  await loadAccount();
  select.append(...people.map((one) => new Option(`${one.name}, ${one.org_name}`, one.id)));
  select.value = chosen;
  select.disabled = false;
  select.addEventListener("change", () => {
    chosen = select.value;
    sessionStorage.setItem(PERSON, chosen);
    show(onChange);
  });
  show(onChange);
}

/** Returns the signed-in user, or undefined. */
export function signedIn() {
  return people.find((person) => person.id === chosen);
}

/** Returns the URL for sessions and the access token, as options for `vault-session.js`. */
export function vaultAccess() {
  return access("vault-session");
}

/** Returns the URL for connections and the access token, as options for it. */
export function connectionsAccess() {
  return access("vault-connections");
}

async function access(path) {
  const url = `${urls.service}/${path}`;
  return signedIn() ? { url, token: await accessToken() } : { url };
}

/** Returns the access token of the signed-in user. */
export async function accessToken() {
  const body = await getJson(`${urls.issuer}/token?person=${encodeURIComponent(chosen)}`);
  return body.access_token;
}

export function focusSignIn() {
  select.focus();
}

function show(onChange) {
  const person = signedIn();
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
    throw new VaultSessionError({ type: "network", detail }, { cause });
  }
}
