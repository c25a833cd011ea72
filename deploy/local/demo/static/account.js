// Who is signed in. A real application has its own sign-in; here the development issuer stands in
// for it, and you can be anybody.

import { VaultSessionError } from "./vault-session.js";

const PERSON = "fieldnotes.person";
const select = document.querySelector("#person");
const picture = document.querySelector("#picture");

let people = [];
let urls = {};
let chosen = "";

/** Finds out who can sign in and who is signed in, on a page that lets nobody choose. */
export async function loadAccount() {
  urls = await getJson("/config.json");
  people = await getJson(`${urls.issuer}/people`);
  chosen = sessionStorage.getItem(PERSON) ?? people[0].id;
}

/** Does the same on a page with a choice; calls `onChange(person)` now and at every change. */
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

/** The person who is signed in, or undefined. */
export function signedIn() {
  return people.find((person) => person.id === chosen);
}

/** Where Vault BFF is, and as whom to call it: what `vault-session.js` wants to know. */
export async function vaultAccess() {
  const url = `${urls.service}/vault-session`;
  return signedIn() ? { url, token: await accessToken() } : { url };
}

/** The access token of whoever is signed in. */
export async function accessToken() {
  const answer = await getJson(`${urls.issuer}/token?person=${encodeURIComponent(chosen)}`);
  return answer.access_token;
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
